"""How a field is called where somebody gave it: `--top-p` on the command line, `decoding.top_p` in a study file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.settings.fields import flat, parts
from backfire.settings.marks import Argument, Metavar, Names

if TYPE_CHECKING:
    from backfire.settings.fields import Part, Setting
    from backfire.settings.frozen import Settings


class Place:
    """In Python: a field goes by its flat name, which is its keyword."""

    def name(self, cls: type[Settings], path: Sequence[str | int]) -> str:
        """What the field at `path` of `cls` is called here. Indexes and keys may follow a field."""
        for setting in flat(cls).values():
            if tuple(path[: len(setting.path)]) == setting.path:
                return self.setting(setting)
        for part in parts(cls):
            if tuple(path) == part.path:
                return self.part(part)
        return ".".join(map(str, path))

    def flat_name(self, cls: type[Settings], name: str) -> str:
        """What the field of a flat name is called here; the name itself where the class has no such field."""
        setting = flat(cls).get(name)
        return name if setting is None else self.setting(setting)

    def setting(self, setting: Setting) -> str:
        return setting.name

    def part(self, part: Part) -> str:
        return part.path[-1]

    def given(self, name: str, value: Any) -> str:
        """A field with its value, as a message begins with it."""
        return f"{name} = {_short(repr(value))}"


@dataclass(frozen=True)
class CommandLine(Place):
    """On the command line a field goes by its option."""

    def setting(self, setting: Setting) -> str:
        if setting.mark(Argument):
            metavar = setting.mark(Metavar)
            return metavar.text if metavar else setting.name.upper()
        return options_of(setting)[-1]

    def part(self, part: Part) -> str:
        return f"--{part.prefix}" if part.prefix else part.path[-1]

    def given(self, name: str, value: Any) -> str:
        if isinstance(value, (list, tuple)):
            value = " ".join(map(str, value))
        return f"{name} {_short(repr(value) if value == '' else str(value))}"


@dataclass(frozen=True)
class StudyFile(Place):
    """In a study file a field goes by the path from the file's top, or from that of a section."""

    section: str = ""

    def name(self, cls: type[Settings], path: Sequence[str | int]) -> str:
        return ".".join(map(str, [*([self.section] if self.section else []), *path]))


PYTHON = Place()
COMMAND_LINE = CommandLine()
STUDY = StudyFile()


def options_of(setting: Setting) -> tuple[str, ...]:
    """The option's names on the command line; the last is the one that messages use."""
    names = setting.mark(Names)
    return names.options if names else (f"--{setting.name.replace('_', '-')}",)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
