"""What two other tools report of the planted faults on which `tests/planted/table.py` tries backfire.

    BACKFIRE_PEERS=/path/to/python python benchmarks/audit_peers.py [--data FOLDER] [--scratch FOLDER] [--json FILE]

The Python has to have soup-cli 0.77.0 (with datasketch) and finelint 0.2.0: `pip install soup-cli==0.77.0 datasketch
finelint==0.2.0` in an environment of its own. Where BACKFIRE_PEERS is not set, the benchmark says so and does nothing.

A peer has found a fault when it reports something that it does not report of the same file without the fault: a check of
`soup data lint` or `soup data validate` that warns, or a kind of finding (finelint's codes, `soup data pii`) that half as
many rows more have as the fault was planted in. It is not asked whether the report names the fault: a warning of length
counts for cut ends. Both read prompts and responses as plain text. Prints one row of a Markdown table; with --json, also
what was reported of every file, which `table.py --peers` sets beside backfire's answers. With --scratch, reports are kept there, and
only files that changed are read again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from planted.planting import PAIRS, clean_rows, controls, planted  # noqa: E402

PEERS = ("soup-cli", "finelint")
Counts = dict[str, dict[str, int]]
"""For each peer, how many rows each kind of report is about; a check that warns counts every row."""

RUN_BY_THE_PEERS_PYTHON = r"""
import collections, contextlib, io, json, os, re, sys
from pathlib import Path

from finelint.cli import main as finelint
from soup_cli.cli import app

EVERY_ROW = 10**6


def soup(*words):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            app(["data", *words], standalone_mode=False)
        except (SystemExit, Exception) as error:
            print("ended:", repr(error))
    return shown.getvalue()


def soup_reports(name):
    Path("lint.json").unlink(missing_ok=True)
    soup("lint", name, "-o", "lint.json")
    checks = json.loads(Path("lint.json").read_text())["checks"]
    counts = {check["name"]: EVERY_ROW for check in checks if check["verdict"] != "OK"}
    Path("pii.jsonl").unlink(missing_ok=True)
    soup("pii", "-i", name, "-o", "pii.jsonl")
    with_data = Path("pii.jsonl").read_text().splitlines() if Path("pii.jsonl").exists() else []
    if with_data:
        counts["pii"] = len(with_data)
    for line in re.findall(r"! (.+)", soup("validate", name)):
        count = re.search(r"\d+", line)
        counts[re.sub(r"[\d,]+ ?", "", line).strip()] = int(count.group()) if count else EVERY_ROW
    return counts


def finelint_reports(name):
    fields = [word for field in ("prompt", "chosen", "rejected") for word in ("--fields", field)]
    sides = ["--input-fields", "prompt", "--output-fields", "chosen", "--output-fields", "rejected"]
    with contextlib.redirect_stdout(io.StringIO()):
        finelint(["inspect", name, "--schema", "generic", *fields, *sides, "--report", "report.json",
                  "--affected-records", "affected.json"])
    findings = json.loads(Path("report.json").read_text())["findings"]
    return dict(collections.Counter(finding["code"] for finding in findings))


os.chdir(sys.argv[1])
for path in sorted(Path(".").glob("*.planted.jsonl")):
    reports = {"soup-cli": soup_reports(path.name), "finelint": finelint_reports(path.name)}
    print(json.dumps([path.name.removesuffix(".planted.jsonl"), reports]), flush=True)
"""


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its turns as plain text."""

    def text(value: Any) -> Any:
        if isinstance(value, list):
            return "\n\n".join(turn["content"] for turn in value)
        return value

    return {name: text(value) for name, value in row.items()}


def reported(python: str, files: dict[str, Any], kept: Path | None) -> dict[str, Counts]:
    """What the peers report of every file. Reports of the same rows are read from the file `kept`."""
    stored = json.loads(kept.read_text(encoding="utf-8")) if kept and kept.exists() else {}
    texts = {
        name: "".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in rows)
        for name, rows in files.items()
    }
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            if stored.get(name, {}).get("rows") != digests[name]:
                Path(folder, f"{name}.planted.jsonl").write_text(text, encoding="utf-8")
        command = [python, "-c", RUN_BY_THE_PEERS_PYTHON, folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            for line in running.stdout:
                name, counts = json.loads(line)
                stored[name] = {"rows": digests[name], "counts": counts}
                print(f"{name}: {counts}", file=sys.stderr, flush=True)
                if kept:
                    kept.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    if running.returncode:
        sys.exit(f"the peers' Python ended with {running.returncode}")
    return {name: stored[name]["counts"] for name in files}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", default=os.environ.get("BACKFIRE_DATA") or str(ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    python, data = os.environ.get("BACKFIRE_PEERS"), Path(given.data)
    if not python or not data.is_dir():
        missing = f"no real text at {data}" if python else "BACKFIRE_PEERS names no Python with the peers"
        print(f"| audit, planted faults beside {' and '.join(PEERS)} | – | skipped: {missing} | – |")
        return
    faults, cleans = list(planted(data)), list(controls(data))
    start = perf_counter()
    bases = {file.fault.base for file in faults if file.fault}
    files = {f"before {base}": clean_rows(data, base, PAIRS, 7) for base in bases}
    files |= {file.name: list(file.rows) for file in (*faults, *cleans)}
    kept = None if given.scratch is None else given.scratch / "reports-of-the-peers.json"
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
    found = reported(python, files, kept)
    seconds = perf_counter() - start
    answers: dict[str, dict[str, list[str]]] = {peer: {} for peer in PEERS}
    for peer, names in answers.items():
        for file in faults:
            assert file.fault is not None
            before = found[f"before {file.fault.base}"][peer]
            more = len(file.rows_with_it) / 2
            names[f"{file.fault.name} {file.strength}"] = [
                kind for kind, rows in found[file.name][peer].items() if rows - before.get(kind, 0) >= more
            ]
        for file in cleans:
            names[file.name.removeprefix("clean-")] = list(found[file.name][peer])
    if given.json:
        given.json.write_text(json.dumps(answers, indent=1), encoding="utf-8")
    seen = ", ".join(
        f"{peer} {sum(bool(names[f'{f.fault.name} {f.strength}']) for f in faults if f.fault)}"
        for peer, names in answers.items()
    )
    print(
        f"| audit, planted faults beside {' and '.join(PEERS)} | {len(faults)} files with a fault, {len(cleans)} without |"
        f" of {len(faults)} reported: {seen} | {(len(faults) + len(cleans)) / seconds:.1f} files/s |"
    )


if __name__ == "__main__":
    main()
