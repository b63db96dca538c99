"""Write the printed outputs that docs show: `python scripts/write_doc_outputs.py`; `--check` only compares.

A page asks for an output by a comment, and the text block below it is what the command printed:

    <!-- output of: backfire audit prefs.jsonl | from: ^Conclusion | to: ^What to do -->

Commands run in examples/data, or in an empty folder that is kept from block to block of a page where the comment says `in: scratch`.
`stderr of:` shows what the command says beside its answer; `exit: 3` is the exit code that is expected, else 0. `from` and `to` are
regular expressions: the block begins with the first line that `from` matches, and ends before the next that `to` matches.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data"
BLOCK = re.compile(r"(<!-- (output|stderr) of: (.+?) -->\n```text\n)(.*?)(```)", re.DOTALL)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
WIDTH = 100


@dataclass(frozen=True)
class Printed:
    """What a command printed on one stream, and its exit code."""

    text: str
    code: int


@cache
def run(command: str, stream: str, folder: Path) -> Printed:
    environment = {
        **os.environ,
        "COLUMNS": str(WIDTH),
        "PYTHONPATH": str(ROOT / "src"),
        # rich then takes it for a terminal of COLUMNS columns; on stderr that would draw bars of progress
        **({"FORCE_COLOR": "1"} if stream == "output" else {}),
        "BACKFIRE": f"{sys.executable} -m backfire",
    }
    line = re.sub(r"^backfire ", "$BACKFIRE ", command)
    done = subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
    text = done.stdout if stream == "output" else done.stderr
    return Printed(STYLE.sub("", text), done.returncode)


def shown(asked: str, stream: str, scratch: Path) -> str:
    """The lines that a comment asks for."""
    command, *options = re.split(r" \| (?=from: |to: |exit: |in: )", asked)
    option = dict(part.split(": ", 1) for part in options)
    printed = run(command, stream, scratch if option.get("in") == "scratch" else DATA)
    expected = int(option.get("exit", "0"))
    if printed.code != expected:
        sys.exit(f"{command} ended with exit code {printed.code}, not {expected}:\n{printed.text}")
    lines = [line.rstrip() for line in printed.text.splitlines()]
    first = next((k for k, line in enumerate(lines) if re.search(option.get("from", ""), line)), None)
    if first is None:
        sys.exit(f"{command}: no line matches {option['from']}")
    lines = lines[first:]
    if "to" in option:
        last = next((k for k, line in enumerate(lines) if k and re.search(option["to"], line)), len(lines))
        lines = lines[:last]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def rewritten(page: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        text = page.read_text(encoding="utf-8")
        return BLOCK.sub(lambda m: m[1] + shown(m[3], m[2], Path(scratch)) + m[5], text)


if __name__ == "__main__":
    stale = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        old = page.read_text(encoding="utf-8")
        if not BLOCK.search(old):
            continue
        new = rewritten(page)
        if new != old:
            stale.append(page)
            if "--check" not in sys.argv:
                page.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(
            f"python scripts/write_doc_outputs.py: other output now in {', '.join(str(p.relative_to(ROOT)) for p in stale)}"
        )
    print(*stale, sep="\n")
