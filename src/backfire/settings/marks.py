"""What a field says of itself beside its type and its docstring, as `Annotated[int, Group("Measuring")]`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Group:
    """The heading below which the command line's help lists the field, or every field of a nested part."""

    title: str


@dataclass(frozen=True)
class Metavar:
    """What the help writes in the place of the value, such as FILE."""

    text: str


@dataclass(frozen=True, init=False)
class Names:
    """The option's own names, such as `Names("-n", "--n")`, where `--` and the field's name is not meant.

    `negative` is what takes a flag back, where it is not `--no-` and the name.
    """

    options: tuple[str, ...]
    negative: str | None

    def __init__(self, *options: str, negative: str | None = None) -> None:
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "negative", negative)


@dataclass(frozen=True)
class Argument:
    """The command line takes the field by its place, without an option's name."""


@dataclass(frozen=True)
class Prefix:
    """The flat names of a nested part's fields begin with this word: `lora` makes `r` into `lora_r`.

    Where the part may be None, an option of this name (`--lora`) gives the part with its defaults.
    """

    word: str


@dataclass(frozen=True)
class Commas:
    """The command line takes several values as one text with commas between; otherwise the option is repeated."""


@dataclass(frozen=True)
class Repeated:
    """The option is repeated although the field is no tuple: a validator of the field takes the list of texts."""


@dataclass(frozen=True)
class Default:
    """What the help says of the default, where the value itself would not tell."""

    text: str


@dataclass(frozen=True)
class Listed:
    """`{names}` in the docstring stands for a list that is made elsewhere: `module:function`, called where the help is written."""

    source: str
    package: str
    """Whose modules the list is made of: the stored help is of another version where one of them has changed."""

    def names(self) -> str:
        """The list."""
        return str(_called(self.source))


def _called(source: str) -> Any:
    """What `module:function` gives."""
    module, _, function = source.partition(":")
    return getattr(import_module(module), function)()


@dataclass(frozen=True)
class OneOf:
    """A text that is one of the names that `module:function` gives, which is called when a value is checked."""

    source: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names."""
        return tuple(_called(self.source))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names)}

    def _checked(self, value: str) -> str:
        from backfire.settings.faults import choices

        if value not in self.names:
            raise ValueError(f"choose {choices(self.names, value)}")
        return value


def one_or_several(value: Any) -> Any:
    """What may be given alone, or as several: a tuple; None is none of them. Used as a validator of a field."""
    if value is None:
        return ()
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    return tuple(value) if several else (value,)


Mark = TypeVar("Mark")


def marks_of(annotation: Any, metadata: Iterator[Any] | list[Any] | tuple[Any, ...] = ()) -> Iterator[Any]:
    """Everything that `Annotated` says of a type, the outermost first, also inside `X | None` and `tuple[X, ...]`."""
    yield from metadata
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        if argument is not ... and not isinstance(argument, str):
            yield from marks_of(argument)


def mark_of(kind: type[Mark], annotation: Any, metadata: Any = ()) -> Mark | None:
    """The outermost mark of this kind."""
    return next((mark for mark in marks_of(annotation, metadata) if isinstance(mark, kind)), None)
