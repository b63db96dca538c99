"""How a study opens its models: what one level of the file says, put over what the level around it says."""

from __future__ import annotations

from typing import Any

from backfire.models.settings import Opening

AS_IT_IS = Opening()
"""A model in its own dtype, with its own template."""


def merged(outer: Opening, inner: Opening | None) -> Opening:
    """How a model is opened where `inner` says it, else as `outer` has it."""
    given = {} if inner is None else {name: getattr(inner, name) for name in inner.model_fields_set}
    return Opening(**{**dict(outer), **given})


def opened_as_spec(opening: Opening) -> dict[str, Any]:
    """What a model's opening changes in the names of what is made with it; nothing where nothing is said."""
    given = opening.model_dump(mode="json", exclude={"device"}, exclude_defaults=True)
    return {"opening": given} if given else {}
