"""Settings as words of the command line: the inverse of what the command line makes of its words."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic_core import PydanticUndefined

from backfire.settings.fields import Setting, default_of, flat, parts
from backfire.settings.marks import Commas, Names, Repeated
from backfire.settings.places import options_of

if TYPE_CHECKING:
    from backfire.settings.frozen import Settings


def is_flag(setting: Setting) -> bool:
    """Whether the option takes no value."""
    annotation = setting.field.annotation
    return annotation is bool or set(get_args(annotation)) == {bool, NoneType}


def is_list(setting: Setting) -> bool:
    """Whether the option may be repeated, each time with one more value."""
    repeated = setting.mark(Repeated) is not None or holds_tuple(setting.field.annotation)
    return repeated and setting.mark(Commas) is None


def holds_tuple(annotation: Any) -> bool:
    """Whether a type is a tuple or a list, or has one among its members."""
    if get_origin(annotation) in (tuple, list):
        return True
    return any(holds_tuple(one) for one in get_args(annotation) if get_origin(annotation) is not dict)


def negative_of(setting: Setting) -> str | None:
    """`--no-x` of a flag that is on by default, or open; None where there is nothing to take back."""
    names = setting.mark(Names)
    if names and names.negative:
        return names.negative
    return None if setting.default is False else f"--no-{options_of(setting)[-1].removeprefix('--')}"


def option(cls: type[Settings], name: str) -> str:
    """The option of a field by its flat name, such as `--max-length`. Raises KeyError where the class has no such field."""
    return options_of(flat(cls)[name])[-1]


def command_line(
    verb: str, arguments: Sequence[str], settings: Settings | None, outputs: Mapping[str, str]
) -> str:
    """`backfire repair prefs.jsonl --method clean --out clean`: every setting that differs from its default has its option.

    outputs: by option, what the command writes.
    """
    words = ["backfire", *verb.split(), *arguments]
    if settings is not None:
        words += options_for(settings)
    for name, path in outputs.items():
        words += [f"--{name}", path]
    return shlex.join(words)


def options_for(settings: Settings) -> Iterator[str]:
    """The options that give these settings."""
    prefixes = {part.path: part.prefix for part in parts(type(settings)) if part.optional}
    begun: set[tuple[str, ...]] = set()
    for setting in flat(type(settings)).values():
        owner: Any = settings
        for step in setting.path[:-1]:
            owner = getattr(owner, step, None)
        name = setting.path[-1]
        if owner is None or name not in type(owner).model_fields:
            continue
        value, default = getattr(owner, name), setting.default
        if default is not PydanticUndefined and setting.tags:
            default = default_of(type(owner).model_fields[name])  # of several methods each has its own
        opened = {path for path in setting.optional_parts if path in prefixes} - begun
        begun |= opened
        switches = [prefix for path in sorted(opened) if (prefix := prefixes[path]) is not None]
        yield from (f"--{switch}" for switch in switches)
        # A part that may be left out is there by its switch, or by its first option.
        if value is not None and (value != default or (opened and not switches)):
            yield from _words(setting, value)


def _words(setting: Setting, value: Any) -> Iterator[str]:
    word = options_of(setting)[-1]
    if is_flag(setting):
        yield word if value else negative_of(setting) or word
    elif is_list(setting):
        for one in value:
            yield from (word, str(one))
    else:
        yield from (word, _text(value))


def _text(value: Any) -> str:
    """A value as one word."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return f"{value:.2f}" if isinstance(value, float) and round(value, 2) == value else str(value)
