"""What settings name: models, judges, prompts, files; and the settings without these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from backfire.settings import InputKind, Settings
from backfire.settings.marks import mark_of
from backfire.settings.references import Reference


@dataclass(frozen=True)
class Named:
    """A reference that settings hold."""

    place: str
    """Where it stands: `attacks.harmful.direct`, `targets.0.policy`."""
    kind: InputKind
    value: Any


def references_in(settings: Settings, within: str = "") -> Iterator[Named]:
    """Every reference that the settings name."""
    for name, field in type(settings).model_fields.items():
        kind = _kind(field)
        for place, value in _members(getattr(settings, name), f"{within}{name}"):
            if isinstance(value, Settings):
                yield from references_in(value, f"{place}.")
            elif kind is not None and value is not None:
                yield Named(place, kind, value)


def without_references(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, but for what they name, whose contents decide."""
    plain: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            plain[name] = without_references(value)
        elif _kind(field) is None and not field.exclude:
            plain[name] = value
    return plain


def _kind(field: FieldInfo) -> InputKind | None:
    mark = mark_of(Reference, field.annotation, field.metadata)
    return None if mark is None else mark.kind


def _members(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{place}.{key}", one) for key, one in value.items())
    elif isinstance(value, tuple):
        yield from ((f"{place}.{number}", one) for number, one in enumerate(value))
    else:
        yield place, value
