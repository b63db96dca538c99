"""What a file is: told by its content, for which its name is a hint that may be wrong."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backfire.errors import InputError, setting
from backfire.tables.delimited import MARKS, Layout, sniffed
from backfire.tables.encoding import UTF8
from backfire.tables.json_containers import is_container
from backfire.tables.text_files import FIRST, PACKED, opened, packed_with, unpacked, written_in

Container = Literal["JSON lines", "JSON", "CSV", "Parquet", "Arrow", "text"]
ENDINGS: dict[str, Container] = {
    ".jsonl": "JSON lines",
    ".ndjson": "JSON lines",
    ".json": "JSON",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".txt": "text",
}
HEAD = 1 << 20
"""Bytes of text by which JSON lines are told from JSON."""
_BINARY: tuple[tuple[bytes, Container], ...] = (
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"\xff\xff\xff\xff", "Arrow"),
)
_OTHERS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV UTF-8"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as JSONL or CSV"),
    (b"\x89HDF", "an HDF5 file", "save the table as Parquet"),
    (b"\x80\x04\x95", "a Python pickle, which is never opened", "save the table as Parquet or JSONL"),
    (b"\x80\x05\x95", "a Python pickle, which is never opened", "save the table as Parquet or JSONL"),
    (b"%PDF", "a PDF", "give a table"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
    (b"<!DOCTYPE html", "a web page", "download the file itself, not the page about it"),
    (b"<!doctype html", "a web page", "download the file itself, not the page about it"),
    (b"<html", "a web page", "download the file itself, not the page about it"),
)


@dataclass(frozen=True)
class Recognised:
    """What a file is."""

    container: Container
    note: str = ""
    """What its name does not say, such as "a JSON array"; empty where all is as the name says."""
    layout: Layout | None = None
    """Of CSV."""


def ending_of(name: str | Path) -> str:
    """The ending of a file's name that says its format, without that of its packing; empty if it is none of ENDINGS."""
    lower = str(name).lower()
    for packed in PACKED:
        lower = lower.removesuffix(packed)
    return next((ending for ending in ENDINGS if lower.endswith(ending)), "")


def recognise(path: Path, encoding: str | None = None) -> Recognised:
    """What a file is, by its first bytes and lines.

    Raises:
        InputError: it cannot be read, is empty, is something else than a table, or cannot be told; it says which
            formats are read.
    """
    with unpacked(path) as file:
        first = file.read(FIRST)
    ending = ending_of(path)
    named = ENDINGS.get(ending)
    for magic, what, do in _OTHERS:
        if first.startswith(magic):
            raise InputError(f"{path} is {what}: {do}")
    binary = next((container for magic, container in _BINARY if first.startswith(magic)), None)
    if binary is not None or named in ("Parquet", "Arrow"):
        return _binary(path, named, binary)
    text, whole = _text(path, encoding)
    recognised = _by_text(path, text, whole, ending, named)
    notes = [recognised.note, _written(first, encoding)]
    return Recognised(recognised.container, ", ".join(filter(None, notes)), recognised.layout)


def _binary(path: Path, named: Container | None, container: Container | None) -> Recognised:
    with path.open("rb") as file:
        packed = packed_with(file.read(8))
    if packed is not None:
        raise InputError(
            f"{path} is {container or named} packed with {packed}: unpack it (only text is read packed)"
        )
    if container is None:
        raise InputError(
            f"cannot read {path} as {named}: it does not begin as such a file does; is it cut short?"
        )
    return Recognised(container, "" if container == named else f"which is {container}")


def _text(path: Path, encoding: str | None) -> tuple[str, bool]:
    """The beginning of a text file, and whether that is all of it; of JSON, a whole line at least."""
    with opened(path, encoding) as file:
        pieces, size = [], 0
        while piece := file.read(HEAD):
            pieces.append(piece)
            size += len(piece)
            if size >= HEAD and (b"\n" in piece or pieces[0].lstrip()[:1] != b"{"):
                break
    text = codecs.getincrementaldecoder(UTF8)("surrogateescape").decode(b"".join(pieces))
    return text, not piece


def _written(first: bytes, encoding: str | None) -> str:
    written = written_in(first, encoding)
    return "" if written == UTF8 else written


def _by_text(path: Path, text: str, whole: bool, ending: str, named: Container | None) -> Recognised:
    head = text.lstrip()
    if head[:1] in ("{", "["):
        form = json_form(text, whole)
        if named in ("CSV", "text") and not (form == "JSON lines" or _may_go_on(text, whole)):
            form = None
        if form is not None:
            containers = {"JSON lines": ("JSON lines", "JSON"), "JSON": ("JSON",)}[form]
            what = (
                form
                if form == "JSON lines"
                else "a JSON array"
                if head[0] == "["
                else "JSON of several lines"
            )
            return Recognised(form, "" if named in containers else f"which is {what}")
    zeros = text[:FIRST].count("\x00")
    if zeros >= 8 and zeros * 100 > len(text[:FIRST]):
        raise InputError(
            f"{path} holds zero bytes and is no text in UTF-8: if it is text, name its encoding, such as "
            f"{setting('encoding')} utf-16; if not, give one of " + ", ".join(ENDINGS)
        )
    layout = sniffed(text, "\t" if ending == ".tsv" else ",")
    if named == "CSV":
        usual = layout.delimiter == ("\t" if ending == ".tsv" else ",")
        return Recognised(
            "CSV",
            "" if usual else f"separated by {MARKS.get(layout.delimiter, repr(layout.delimiter))}",
            layout,
        )
    if (
        layout.known
        and (named is None or named != "text" or layout.delimiter == "\t")
        and not _quoted_line(head)
    ):
        return Recognised(
            "CSV", f"which is CSV separated by {MARKS.get(layout.delimiter, repr(layout.delimiter))}", layout
        )
    if named is None:
        raise InputError(_untold(path))
    return Recognised(named)


def _untold(path: Path) -> str:
    named = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
    return (
        f"cannot tell what {path} is: it {named}, and its content is neither JSON nor a table with the usual column names; "
        f"let its name end in one of {', '.join(ENDINGS)} (the text ones also with {', '.join(PACKED)})"
    )


def _quoted_line(head: str) -> bool:
    """Whether the first line is a JSON string, as a list of prompts one a line may be written."""
    line = head.split("\n", 1)[0].strip()
    return isinstance(_value(line), str)


def json_form(text: str, whole: bool) -> Literal["JSON lines", "JSON"] | None:
    """Whether text that begins with { or [ is one value a line, or is one value or several over more lines; None where it
    is no JSON. `whole` is whether the text is all of the file."""
    lines = [line for line in text.split("\n")[: None if whole else -1] if line.strip()]
    first = _value(lines[0]) if lines else _BROKEN
    if first is not _BROKEN:
        if len(lines) > 1 and (isinstance(first, dict) or _value(lines[1]) is not _BROKEN):
            return "JSON lines"
        return "JSON lines" if isinstance(first, dict) and not is_container(first) else "JSON"
    if text.lstrip()[0] == "[" or _may_go_on(text, whole):
        return "JSON"
    return "JSON lines" if any(isinstance(_value(line), dict) for line in lines[1:50]) else None


_BROKEN = object()


def _value(line: str) -> object:
    try:
        value: object = json.loads(line, parse_int=float)
    except (ValueError, RecursionError):
        return _BROKEN
    return value


def _may_go_on(text: str, whole: bool) -> bool:
    """Whether the first value of a text is sound, be it that the text ends before it does."""
    start = len(text) - len(text.lstrip())
    try:
        json.JSONDecoder(parse_int=float).raw_decode(text, start)
    except RecursionError:
        return False
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()) - 8
        return cut and not whole
    return True
