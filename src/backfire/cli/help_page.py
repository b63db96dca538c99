"""A command's help, as plain text: what it does, its arguments, and its options below their headings."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from backfire.cli.entries import ABOUT, EPILOG, children

if TYPE_CHECKING:
    from backfire.cli.command import Command
    from backfire.settings import Setting

LEFT = 30
"""The widest left column: a longer one has its text below it."""
WIDEST_CHOICES = 48
PLAIN = "Options"
Row = tuple[str, str]


@dataclass(frozen=True)
class Page:
    """A help page before it is laid out: `headings` holds what stands in either column below each heading."""

    usage: str
    about: Sequence[str]
    headings: Mapping[str, Sequence[Sequence[str]]]

    def text(self, width: int) -> str:
        """The page in lines of this width."""
        blocks = [self.usage, *(_wrapped(paragraph, width) for paragraph in self.about)]
        for heading, rows in self.headings.items():
            blocks.append("\n".join([f"{heading}:", *_columns(rows, width)]))
        return "\n\n".join(block for block in blocks if block) + "\n"


def command_page(cls: type[Command], name: str) -> Page:
    """The help of one command; `name` is how it is called, such as `backfire train dpo`."""
    from backfire.cli.parsing import arguments_of, switches
    from backfire.settings import Argument, flat, is_list

    places = arguments_of(cls)
    metavars = [_metavar(one) + ("..." if one.mark(Argument) and is_list(one) else "") for one in places]
    headings: dict[str, list[Row]] = {}
    if places:
        headings["Arguments"] = [(metavar, _text(one)) for metavar, one in zip(metavars, places, strict=True)]
    headings[PLAIN] = []
    left = {path: switch for switch, path in switches(cls).items()}
    for one in flat(cls).values():
        rows = headings.setdefault(one.group or PLAIN, [])
        for path in one.optional_parts:
            if path in left:
                rows.append((f"--{left.pop(path)}", _about_part(cls, path)))
        if one not in places:
            rows.append((_left(one), _text(one)))
    headings[PLAIN].append(("-h, --help", "Print this page."))
    if below := children(name.removeprefix("backfire ")):
        headings["Commands"] = [(entry.words[-1], entry.about) for entry in below]
    more = "".join(f" {metavar}" for metavar in metavars)
    return Page(f"Usage: {name} [OPTIONS]{more}", _paragraphs(cls.__doc__ or ""), headings)


def group_page(group: str, about: str, width: int) -> str:
    """The help of a group of commands, or of `backfire` itself, which is the group ""."""
    headings: dict[str, list[Row]] = {}
    for entry in children(group):
        heading = "Commands" if group else entry.heading
        headings.setdefault(heading, []).append((entry.words[-1], entry.about))
    if not group:
        headings[PLAIN] = [("--version", "Print the version."), ("-h, --help", "Print this page.")]
    name = f"backfire {group}".strip()
    page = Page(f"Usage: {name} COMMAND [ARGUMENTS]", [about], headings).text(width)
    return page if group else f"{page}\n{_wrapped(EPILOG, width)}\n"


def about_of(cls: type[Command]) -> str:
    """The first paragraph of a command's help, on one line."""
    return _paragraphs(cls.__doc__ or "")[0]


def root_page(width: int) -> str:
    """`backfire --help`."""
    return group_page("", ABOUT, width)


def _columns(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    left = min(LEFT, max(len(first) for first, _ in rows))
    for first, second in rows:
        lines = textwrap.wrap(second, max(30, width - left - 4), break_on_hyphens=False) or [""]
        if len(first) > left:
            yield f"  {first}"
            first = ""
        yield f"  {first:<{left}}  {lines[0]}".rstrip()
        yield from (f"  {'':<{left}}  {line}" for line in lines[1:])


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False)


def _left(setting: Setting) -> str:
    from backfire.settings import is_flag, negative_of, options_of

    options = ", ".join(options_of(setting))
    if not is_flag(setting):
        return f"{options} {_metavar(setting)}"
    negative = negative_of(setting)
    return f"{options} / {negative}" if negative else options


def _metavar(setting: Setting) -> str:
    from backfire.settings import Argument, Metavar

    mark = setting.mark(Metavar)
    if mark:
        return mark.text
    if setting.mark(Argument):
        return setting.name.upper()
    choices = _choices(setting.field.annotation)
    return "NAME" if len(choices) > WIDEST_CHOICES else choices or _type_in_words(setting.field.annotation)


def _choices(annotation: Any) -> str:
    """The words to choose from, as a|b; empty where any value may be given."""
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, UnionType) or hasattr(annotation, "__metadata__"):
        inner = [one for one in get_args(annotation) if one is not NoneType]
        return _choices(inner[0]) if hasattr(annotation, "__metadata__") or len(inner) == 1 else ""
    return ""


def _type_in_words(annotation: Any) -> str:
    """INT, FLOAT, PATH or TEXT."""
    if hasattr(annotation, "__metadata__"):
        return _type_in_words(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType, tuple, list):
        members = [one for one in get_args(annotation) if one not in (NoneType, ...)]
        return _type_in_words(members[0])
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return "PATH"
    return {int: "INT", float: "FLOAT"}.get(annotation, "TEXT")


def _text(setting: Setting) -> str:
    """What an option says: its docstring, whether it may be repeated, and its default."""
    from pydantic_core import PydanticUndefined

    from backfire.settings import Argument, Default, Metavar, is_flag, is_list

    parts = [" ".join(setting.about.split())]
    choices = _choices(setting.field.annotation)
    if len(choices) > WIDEST_CHOICES and not setting.mark(Metavar):
        parts.append(f"[one of {', '.join(choices.split('|'))}]")
    if is_list(setting) and not setting.mark(Argument):
        parts.append("[repeatable]")
    shown = setting.mark(Default)
    if setting.tags:
        parts.append(f"[with {' or '.join(setting.tags)}]")
    if setting.required:
        parts.append("[required]")
    elif setting.default is PydanticUndefined:
        parts.append("[required there]")
    elif shown:
        parts.append(f"[default: {shown.text}]")
    elif setting.default is True and is_flag(setting):
        parts.append("[default: yes]")
    elif not is_flag(setting) and setting.default not in (None, (), {}, ""):
        parts.append(f"[default: {_default(setting.default)}]")
    return " ".join(part for part in parts if part)


def _default(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _about_part(cls: type[Command], path: tuple[str, ...]) -> str:
    """The docstring of the field that holds an optional part."""
    from backfire.settings import parts

    (part,) = [one for one in parts(cls) if one.path == path]
    return " ".join((part.field.description or "").split())
