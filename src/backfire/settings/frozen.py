"""The class that every command's settings derive from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from backfire.errors import InputError
from backfire.settings.faults import problems
from backfire.settings.fields import classes_in, default_of, description_of, flat, parts, tags_of
from backfire.settings.places import PYTHON, Place


class Settings(BaseModel):
    """Frozen, checked, and documented by the docstring under each field.

    The same class is what Python takes, what the command line's options are made of, and a section of a study file.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A class that is only asked for its help builds no validator.
        defer_build=True,
    )

    group: ClassVar[str | None] = None
    """The heading of the help below which the fields stand, where neither they nor their part has a Group."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Names that fields had in earlier versions, with what they are called now: an error says so to whoever gives an old one."""
    sections: ClassVar[bool] = False
    """Whether nested parts are sections with names of their own, as in a study file. There is no flat view of them then."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(problems(error, type(self), PYTHON)) from error

    # pydantic calls an __init__ of one's own during validation, too, unless it bears this mark.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A description that names a list has the list in it."""
        described = handler(schema)
        fields = handler.resolve_ref_schema(described).get("properties", {})
        for name, field in cls.model_fields.items():
            if name in fields and "description" in fields[name]:
                fields[name]["description"] = description_of(field)
        return described

    @classmethod
    def of(cls, settings: Self | None = None, /, **keywords: Any) -> Self:
        """`settings` with keywords merged in; a keyword may be the flat name of a nested part's field.

        Every wrong value is named by one InputError.
        """
        if settings is not None and not isinstance(settings, cls):
            raise InputError(f"settings {settings!r:.80}: give {cls.__name__}(...), or keywords")
        if settings is not None and not keywords:
            return settings
        given = (
            {} if settings is None else {name: getattr(settings, name) for name in settings.model_fields_set}
        )
        return cls.parse(nested(cls, keywords, given))

    @classmethod
    def parse(cls, values: Mapping[str, Any], place: Place = PYTHON) -> Self:
        """Settings from plain values; InputError names each wrong one as it is called at `place`."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(problems(error, cls, place)) from error


def nested(
    cls: type[Settings], keywords: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Values by flat names as values by fields, merged into those that are given already."""
    values: dict[str, Any] = dict(given or {})
    paths = {part.path[-1]: part.path for part in reversed(parts(cls))}
    paths |= {name: setting.path for name, setting in flat(cls).items()}
    paths |= {name: (name,) for name in cls.model_fields}
    # Whole parts come before their fields, which are put over them.
    for name in sorted(keywords, key=lambda name: name in flat(cls) and name not in cls.model_fields):
        *outer, last = paths.get(name, (name,))
        inside, around = values, cls
        for step, following in zip(outer, paths[name][1:] if outer else (), strict=True):
            field = around.model_fields[step]
            inside[step] = inside = _open(inside[step] if step in inside else default_of(field))
            around = _class_with(field, following)
        inside[last] = keywords[name]
    return values


def _class_with(field: FieldInfo, name: str) -> type[Settings]:
    """The class of a part that has a field; of a union, the first member that has it."""
    return next(one for one in classes_in(field.annotation) if name in one.model_fields)


def _open(part: Any) -> dict[str, Any]:
    """A nested part as a dictionary that can be added to."""
    if isinstance(part, Settings):
        names = [*part.model_fields_set, *(name for name, _ in tags_of(type(part)))]
        return {name: getattr(part, name) for name in names}
    return dict(part) if isinstance(part, Mapping) else {}
