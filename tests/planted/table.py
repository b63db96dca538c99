"""Plant faults in real text, audit every file, and print what was found as tables.

    python tests/planted/table.py [--data FOLDER] [--scratch FOLDER] [--only WORD] [--peers FILE] [--page FILE]

The real text lies in --data, BACKFIRE_DATA or ../shared/data. Files and answers are kept in --scratch, so that an interrupted
run goes on where it was, and so that only what changed is audited again. --peers names what `benchmarks/audit_peers.py --json`
wrote. --page replaces the tables of docs/reference/planted-faults.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from planted.faults import FAULTS  # noqa: E402
from planted.planting import PAIRS, controls, planted  # noqa: E402
from planted.scoring import Alarms, Score, alarms, answer_to, score, summary  # noqa: E402

BEGIN, END = "<!-- tables: written by tests/planted/table.py -->", "<!-- end of the tables -->"
Peers = dict[str, dict[str, list[str]]]
"""For each peer, what it reports of each file, by the file's name."""


def tables(scores: list[Score], alarmed: list[Alarms], peers: Peers) -> str:
    """What stands on the page between the two marks."""
    lines = [summary(scores, alarmed), "", *_faults(scores, peers), "", *_controls(alarmed, peers)]
    return "\n".join(lines)


def _faults(scores: list[Score], peers: Peers) -> list[str]:
    lines = [
        f"| fault | pairs | place | effect | rows | advice |{''.join(f' {peer} |' for peer in peers)}",
        f"|-|-|-|-|-|-|{'-|' * len(peers)}",
    ]
    for fault in FAULTS:
        versions = [one for one in scores if one.fault == fault.name]
        if not versions:
            continue
        cells = [
            fault.name,
            _both(f"{one.share:.0%}" for one in versions),
            _both("–" if one.place is None else str(one.place) for one in versions),
            _both(_code(one.effect) for one in versions),
            _both("–" if one.rows is None else f"{one.rows:.0%}" for one in versions),
            _both("right" if one.advice_right else "–" for one in versions),
            *(_both(_seen(found, one) for one in versions) for found in peers.values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _seen(reported: dict[str, list[str]], one: Score) -> str:
    names = reported.get(f"{one.fault} {one.strength}")
    return "?" if names is None else ", ".join(names) or "–"


def _controls(alarmed: list[Alarms], peers: Peers) -> list[str]:
    lines = [
        f"| file without a fault | level | false alarms |{''.join(f' {peer} |' for peer in peers)}",
        f"|-|-|-|{'-|' * len(peers)}",
    ]
    for one in alarmed:
        cells = [
            one.name,
            one.level,
            ", ".join(_code(gate) for gate in one.gates) or "none",
            *(", ".join(found.get(one.name, ["?"])) or "none" for found in peers.values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _both(values: object) -> str:
    """The weak and the strong version's value, once where they are equal."""
    return " / ".join(dict.fromkeys(values))  # type: ignore[arg-type, call-overload]


def _code(name: str | None) -> str:
    return "–" if name is None else f"`{name}`"


def data_folder(given: str | None) -> Path:
    return Path(given or os.environ.get("BACKFIRE_DATA") or TESTS.parents[1] / "shared" / "data")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the folder of real text")
    parser.add_argument("--scratch", default=str(Path(tempfile.gettempdir()) / "backfire-planted"))
    parser.add_argument("--only", default="", help="only files whose names hold this word")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument(
        "--earlier", action="store_true", help="take stored answers of other versions of the code, too"
    )
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    data, scratch = data_folder(given.data), Path(given.scratch)
    if not data.is_dir():
        sys.exit(f"no real text at {data}: name its folder by --data or BACKFIRE_DATA")
    files = [*controls(data, given.pairs), *planted(data, given.pairs)]
    files = [file for file in files if given.only in file.name]
    scores: list[Score] = []
    alarmed: list[Alarms] = []
    for number, file in enumerate(files, 1):
        answer = answer_to(file, scratch, earlier=given.earlier)
        if file.fault is None:
            alarmed.append(alarms(file, answer))
            line: Score | Alarms = alarmed[-1]
        else:
            scores.append(score(file, answer))
            line = scores[-1]
        print(f"{number} of {len(files)}, {file.name}: {line}", file=sys.stderr, flush=True)
    peers: Peers = json.loads(given.peers.read_text(encoding="utf-8")) if given.peers else {}
    text = tables(scores, alarmed, peers)
    print(text)
    if given.page:
        page = given.page.read_text(encoding="utf-8")
        between = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
        given.page.write_text(between.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page), encoding="utf-8")


if __name__ == "__main__":
    main()
