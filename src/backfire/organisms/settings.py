"""How a world of model organisms is grown."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from backfire.organisms.knobs import Knobs
from backfire.settings import Default, Metavar, Names, Repeated, Settings


class GrowSettings(Settings):
    """How a world of model organisms is grown: its seed, its knobs, and what of it."""

    seed: int
    """The world's seed, from which its nouns, its facts and its members' first weights come."""
    knobs: Annotated[
        Knobs, Names("--knob"), Metavar("NAME=VALUE"), Repeated(), Default("those of the shipped world")
    ] = Knobs()
    """A knob of the world and its value, such as refusal_overlap=0.8. `backfire organisms` lists the knobs."""
    members: Annotated[tuple[str, ...], Names("--only"), Metavar("MEMBER")] = ()
    """A member to grow, such as llama/target, with the base model that it is taught from. Where none is named, all are
    grown."""
    workers: int = Field(default=1, ge=1)
    """How many processes grow members at the same time, each with one thread."""

    @field_validator("knobs", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return value
        parts = [str(text).strip().partition("=") for text in value]
        if not all(name and equals and rest for name, equals, rest in parts):
            raise ValueError("give each as NAME=VALUE, such as refusal_overlap=0.8")
        try:
            return Knobs.model_validate({name: rest for name, _, rest in parts})
        except ValidationError as error:
            first = error.errors()[0]
            problem = "no such knob" if first["type"] == "extra_forbidden" else first["msg"]
            known = ", ".join(Knobs.model_fields)
            raise ValueError(f"{first['loc'][0]}: {problem}; the knobs are {known}") from error
