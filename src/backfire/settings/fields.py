"""The flat view of a settings class: every field of it and of its nested parts under one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from backfire.settings.marks import Group, Listed, Mark, Prefix, mark_of, marks_of
from backfire.settings.references import InputKind, Reference

if TYPE_CHECKING:
    from backfire.settings.frozen import Settings


@dataclass(frozen=True)
class Setting:
    """One field in the flat view."""

    name: str
    """Its flat name: `temperature`, although it lies in `decoding`."""
    path: tuple[str, ...]
    """Where it lies: `("decoding", "temperature")`."""
    field: FieldInfo
    group: str | None
    """The heading of the help below which it stands."""
    default: Any = PydanticUndefined
    """What holds where it is not given."""
    optional_parts: tuple[tuple[str, ...], ...] = ()
    """The nested parts around it that may be None: whoever gives the field gives these parts."""
    tags: tuple[str, ...] = ()
    """Where it belongs to some members of a tagged union only: their tags, such as methods of repair."""

    @property
    def about(self) -> str:
        """The field's docstring on one line, its paragraphs apart."""
        parts = description_of(self.field).split("\n\n")
        return "\n\n".join(" ".join(part.split()) for part in parts)

    def mark(self, kind: type[Mark]) -> Mark | None:
        return mark_of(kind, self.field.annotation, self.field.metadata)

    @property
    def input(self) -> InputKind | None:
        """Which kind of input it names, if it names one."""
        mark = self.mark(Reference)
        return None if mark is None else mark.kind

    @property
    def required(self) -> bool:
        return self.default is PydanticUndefined and not self.optional_parts and not self.tags


def description_of(field: FieldInfo) -> str:
    """A field's docstring; a list that it names is read from where it is made (`Listed`)."""
    text, mark = field.description or "", mark_of(Listed, field.annotation, field.metadata)
    return text if mark is None else text.replace("{names}", mark.names())


@dataclass(frozen=True)
class Part:
    """A nested part of a settings class."""

    path: tuple[str, ...]
    field: FieldInfo
    classes: tuple[type[Settings], ...]

    @property
    def optional(self) -> bool:
        return type(None) in get_args(self.field.annotation)

    @property
    def prefix(self) -> str | None:
        mark = mark_of(Prefix, self.field.annotation, self.field.metadata)
        return None if mark is None else mark.word


def classes_in(annotation: Any) -> tuple[type[Settings], ...]:
    """The settings classes that a type names: itself, or members of a union; not those inside lists."""
    from backfire.settings.frozen import Settings

    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return (annotation,)
    if get_origin(annotation) in (tuple, list, dict) or get_origin(annotation) is Literal:
        return ()
    return tuple(one for argument in get_args(annotation) for one in classes_in(argument))


def classes_anywhere(annotation: Any) -> tuple[type[Settings], ...]:
    """The settings classes that a type names, also those inside lists and dictionaries."""
    inner = [one for one in get_args(annotation) if one is not ... and get_origin(annotation) is not Literal]
    return classes_in(annotation) or tuple(one for argument in inner for one in classes_anywhere(argument))


def renamed_in(cls: type[Settings]) -> dict[str, str]:
    """Names that fields of a class and of its nested parts had in earlier versions, with what they are called now."""
    inner = [
        renamed_in(one) for field in cls.model_fields.values() for one in classes_anywhere(field.annotation)
    ]
    return {old: new for names in [*inner, cls.renamed] for old, new in names.items()}


def is_part(field: FieldInfo) -> bool:
    """Whether a field is a nested part: nothing but settings classes, and None."""
    members = _members(field.annotation)
    return bool(members) and all(isinstance(one, type) and classes_in(one) for one in members)


def _members(annotation: Any) -> list[Any]:
    """The members of a union but None; of another type, itself. `Annotated` is looked through."""
    if hasattr(annotation, "__metadata__"):
        return _members(annotation.__origin__)
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    return [m for one in get_args(annotation) if one is not type(None) for m in _members(one)]


@cache
def parts(cls: type[Settings]) -> tuple[Part, ...]:
    """The nested parts of a class, outer ones first."""
    nested: list[Part] = []
    for name, field in cls.model_fields.items():
        if is_part(field):
            classes = classes_in(field.annotation)
            nested.append(Part((name,), field, classes))
            inside = [replace(inner, path=(name, *inner.path)) for one in classes for inner in parts(one)]
            nested += {inner.path: inner for inner in inside}.values()
    return tuple(nested)


@cache
def flat(cls: type[Settings]) -> Mapping[str, Setting]:
    """Every field of a class and of its nested parts by its flat name, in the order in which they are written."""
    by_name: dict[str, Setting] = {}
    for name, field in cls.model_fields.items():
        group = mark_of(Group, field.annotation, field.metadata)
        if cls.sections or not is_part(field):
            title = group.title if group else cls.group
            _put(by_name, Setting(name, (name,), field, title, default_of(field)), cls)
            continue
        part = Part((name,), field, classes_in(field.annotation))
        for inner in _inside(part):
            inner = replace(
                inner,
                name=f"{part.prefix}_{inner.name}" if part.prefix else inner.name,
                path=(name, *inner.path),
                group=group.title if group else inner.group,
                default=_inner_default(default_of(field), inner),
                optional_parts=(
                    *([(name,)] if part.optional else []),
                    *((name, *one) for one in inner.optional_parts),
                ),
            )
            _put(by_name, inner, cls)
    return by_name


def default_of(field: FieldInfo) -> Any:
    """A field's default; PydanticUndefined where it has none."""
    return field.get_default(call_default_factory=True, validated_data={})


def _inner_default(outer: Any, inner: Setting) -> Any:
    """The default of a part's field: the part's own default decides, where it has one."""
    value = outer
    for step in inner.path:
        if not hasattr(value, step):
            return inner.default
        value = getattr(value, step)
    return value


def _inside(part: Part) -> Iterator[Setting]:
    """The fields of a part; of a tagged union, those of all its members, each once."""
    if len(part.classes) == 1:
        yield from flat(part.classes[0]).values()
        return
    together: dict[str, Setting] = {}
    for one in part.classes:
        for name, inner in flat(one).items():
            known = together.get(name, inner)
            together[name] = replace(known, tags=(*known.tags, tag_of(one, part.field)))
    every = tuple(tag_of(one, part.field) for one in part.classes)
    for inner in together.values():
        is_tag = inner.name == part.field.discriminator
        default = PydanticUndefined if is_tag else inner.default
        yield replace(inner, default=default, tags=() if inner.tags == every else inner.tags)


def tags_of(cls: type[Settings]) -> list[tuple[str, str]]:
    """The fields that can have only one value, with it: by them a union tells its members."""
    values = {
        name: get_args(field.annotation)
        for name, field in cls.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    return [(name, str(value[0])) for name, value in values.items() if len(value) == 1]


def tag_of(cls: type[Settings], field: FieldInfo) -> str:
    """The tag of a member of a union, such as `filter` of `Filter.method: Literal["filter"]`."""
    name = field.discriminator
    if not isinstance(name, str):
        raise TypeError(f"{cls.__name__} stands in a union: give the union Field(discriminator=...)")
    return dict(tags_of(cls))[name]


def _put(by_name: dict[str, Setting], setting: Setting, cls: type[Settings]) -> None:
    if setting.name in by_name:
        first = ".".join(by_name[setting.name].path)
        raise TypeError(
            f"{cls.__name__} has {setting.name} twice, as {first} and {'.'.join(setting.path)}: give a Prefix"
        )
    by_name[setting.name] = setting


@dataclass(frozen=True)
class Input:
    """An input that settings name."""

    name: str
    kind: InputKind
    value: Any


def inputs_of(settings: Settings) -> list[Input]:
    """Every input that settings name, in the fields' order: lists and dictionaries of references give each of theirs."""
    inputs: list[Input] = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        mark = next((m for m in marks_of(field.annotation, field.metadata) if isinstance(m, Reference)), None)
        for one in _each(value):
            if isinstance(one, _settings_class()):
                inputs += inputs_of(one)
            elif mark is not None and one is not None:
                inputs.append(Input(name, mark.kind, one))
    return inputs


def _each(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _settings_class() -> type[Settings]:
    from backfire.settings.frozen import Settings

    return Settings
