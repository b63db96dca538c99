"""The help of every command as it was last made from the settings classes, so that it is shown at once.

Importing pydantic and the classes takes longer than a help may take. `help.json` therefore holds the pages, each with a
checksum of the files that it was made from. A page whose files have changed since is made anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from backfire.cli.entries import COMMANDS, Entry
from backfire.cli.help_page import Page

if TYPE_CHECKING:
    from backfire.cli.command import Command

PACKAGE = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_name("help.json")


def page_of(entry: Entry) -> Page:
    """The help of a command: the stored page, or, where a file that it is made from has changed, a new one."""
    return stored(entry.name) or made(entry)


def made(entry: Entry) -> Page:
    """The help of a command, made from its class."""
    from backfire.cli.help_page import command_page

    return command_page(entry.load(), f"backfire {entry.name}")


def stored(name: str) -> Page | None:
    """The stored page of a command; None where there is none that fits the files."""
    try:
        page = json.loads(FILE.read_text(encoding="utf-8"))[name]
        fits = all(checksum(PACKAGE / file) == known for file, known in page["sources"].items())
    except (OSError, ValueError, KeyError):
        return None
    return Page(page["usage"], page["about"], page["headings"]) if fits else None


def checksum(file: Path) -> int:
    """Of a file's bytes, whatever its line ends."""
    return crc32(file.read_bytes().replace(b"\r\n", b"\n"))


def contents() -> str:
    """What `help.json` has to hold."""
    pages = {}
    for entry in COMMANDS:
        if ":" in entry.target:
            page = made(entry)
            sources = {file: checksum(PACKAGE / file) for file in sorted(_sources(entry.load()))}
            pages[entry.name] = {
                "sources": sources,
                "usage": page.usage,
                "about": page.about,
                "headings": page.headings,
            }
    return json.dumps(pages, ensure_ascii=False, indent=1) + "\n"


def _sources(cls: type[Command]) -> set[str]:
    """The files of every class that the page is made from, and of what makes it."""
    modules = {one.__module__ for part in _classes(cls) for one in part.__mro__}
    modules |= {
        "backfire.cli.help_page",
        "backfire.cli.parsing",
        "backfire.settings.command_words",
        *_listing(cls),
    }
    files = [Path(str(sys.modules[name].__file__)) for name in modules if name.startswith("backfire.")]
    return {file.resolve().relative_to(PACKAGE).as_posix() for file in files}


def _listing(cls: type[Command]) -> set[str]:
    """The modules that make a list of a docstring, and those that it is made of."""
    from backfire.settings import Listed, flat

    marks = [mark for setting in flat(cls).values() if (mark := setting.mark(Listed)) is not None]
    made_of = tuple(f"{mark.package}." for mark in marks)
    return {mark.source.split(":")[0] for mark in marks} | {
        name for name in sys.modules if name.startswith(made_of)
    }


def _classes(cls: type[Any]) -> Iterator[type[Any]]:
    from backfire.settings.fields import classes_anywhere

    yield cls
    for field in cls.model_fields.values():
        for inner in classes_anywhere(field.annotation):
            yield from _classes(inner)
