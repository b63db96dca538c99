"""Write docs/cli.md and the package's help.json from the commands' own help: `python scripts/write_cli_docs.py`;
`--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from backfire.cli.entries import COMMANDS
from backfire.cli.help_page import group_page, root_page
from backfire.cli.help_store import FILE, contents, made

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH = 100
HEAD = """# The command line

The help of every command, as `backfire COMMAND --help` gives it. Written by `python scripts/write_cli_docs.py`; do not
edit. The answer goes to stdout; progress, warnings and errors go to stderr.

| exit code | meaning |
|-|-|
| 0 | all done |
| 1 | done in part (responses or stages that failed, no pairs: the output says which), or an unexpected error |
| 2 | an input that cannot be used: one line names the value and the fix |
| 3 | a condition of `audit --fail-on` holds or could not be looked at, or `--compare` found a number worse: a line each says why |
| 130 | interrupted: one line says what was kept and how to go on |
"""


def helps() -> Iterator[tuple[str, str]]:
    """Every command's full name and its help, parents first."""
    yield "backfire", root_page(WIDTH)
    for entry in COMMANDS:
        if entry.target:
            yield f"backfire {entry.name}", made(entry).text(WIDTH)
        else:
            yield f"backfire {entry.name}", group_page(entry.name, entry.about, WIDTH)


def page() -> str:
    parts = [HEAD]
    for path, text in helps():
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## {path}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    for file, text in ((PAGE, page()), (FILE, contents())):
        if "--check" not in sys.argv[1:]:
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_text(encoding="utf-8") != text:
            sys.exit(f"{file} is out of date: python scripts/write_cli_docs.py")
