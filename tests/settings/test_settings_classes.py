"""Settings: merging keywords, flat names, messages in the spelling of the place, references to inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, model_validator

from backfire.errors import InputError
from backfire.settings import (
    COMMAND_LINE,
    PYTHON,
    FileReference,
    Group,
    JudgeReference,
    ModelReference,
    Names,
    Place,
    Prefix,
    Settings,
    StudyFile,
    flat,
    inputs_of,
    nested,
)


class Sampling(Settings):
    """How to sample."""

    temperature: float = Field(default=1.0, ge=0)
    """0 is greedy."""
    top_p: float = 1.0
    """The smallest set of tokens
    with this much probability."""

    @model_validator(mode="after")
    def _greedy(self) -> Sampling:
        if self.temperature == 0 and self.top_p < 1:
            raise ValueError(
                f"{{top_p}} {self.top_p:g} does nothing with {{temperature}} 0, nor do {{braces}}"
            )
        return self


class Adapter(Settings):
    r: int = 16


class Filter(Settings):
    method: Literal["filter"] = "filter"
    keep: float | None = None
    seed: int = 0


class Balance(Settings):
    method: Literal["balance"] = "balance"
    pool: FileReference | None = None
    seed: int = 0


class Trial(Settings):
    """A class with a part of every kind."""

    policy: ModelReference | None = None
    judges: tuple[JudgeReference, ...] = ("phrases",)
    sampling: Annotated[Sampling, Group("Sampling")] = Sampling(temperature=0.0)
    adapter: Annotated[Adapter | None, Prefix("lora")] = None
    how: Annotated[Filter | Balance, Field(discriminator="method")] = Filter()
    ends: Annotated[Literal["drop", "cut"] | None, Names("--match-ends")] = None
    shots: int | dict[str, int] | None = None


def test_the_flat_view_has_every_field_once() -> None:
    fields = flat(Trial)
    assert list(fields) == [
        *(
            "policy",
            "judges",
            "temperature",
            "top_p",
            "lora_r",
            "method",
            "keep",
            "seed",
            "pool",
            "ends",
            "shots",
        )
    ]
    assert fields["top_p"].path == ("sampling", "top_p")
    assert fields["top_p"].about == "The smallest set of tokens with this much probability."
    assert fields["top_p"].group == "Sampling"
    assert fields["temperature"].default == 0.0, "the part's own default, not its class's"
    assert fields["lora_r"].optional_parts == (("adapter",),)
    assert {name: s.tags for name, s in fields.items() if s.tags} == {
        "keep": ("filter",),
        "pool": ("balance",),
    }
    assert {name: s.input for name, s in fields.items() if s.input} == {
        "policy": "model",
        "judges": "judge",
        "pool": "file",
    }


def test_keywords_are_merged_into_settings() -> None:
    first = Trial.of(top_p=1.0, lora_r=4)
    assert (first.sampling.temperature, first.adapter) == (0.0, Adapter(r=4)), "what is not given stays"
    second = Trial.of(first, temperature=0.5, keep=0.3)
    assert second.sampling == Sampling(temperature=0.5, top_p=1.0)
    assert second.how == Filter(keep=0.3)
    assert second.adapter == Adapter(r=4)
    assert Trial.of(second) is second
    assert Trial.of(sampling={"top_p": 0.5}, temperature=0.2).sampling == Sampling(top_p=0.5, temperature=0.2)
    with pytest.raises(InputError, match=r"give Trial\(...\)"):
        Trial.of(Sampling())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "name", "top_p", "shots"),
    [
        (
            PYTHON,
            "temperature = -1",
            "top_p 0.5 does nothing with temperature 0, nor do {braces}",
            "shots = 'x'",
        ),
        (COMMAND_LINE, "--temperature -1", "--top-p 0.5 does nothing with --temperature 0, nor", "--shots x"),
        (
            StudyFile("attacks"),
            "attacks.sampling.temperature = -1",
            "attacks.sampling.top_p 0.5 does nothing with attacks.sampling.temperature 0",
            "attacks.shots = 'x'",
        ),
    ],
)
def test_messages_name_fields_as_they_were_given(place: Place, name: str, top_p: str, shots: str) -> None:
    assert _wrong(place, temperature=-1) == f"{name}: give at least 0"
    assert _wrong(place, top_p=0.5).startswith(top_p)
    assert _wrong(place, shots="x") == f"{shots}: give a whole number or names with their values"


def _wrong(place: Place, **keywords: Any) -> str:
    with pytest.raises(InputError) as caught:
        Trial.parse(nested(Trial, keywords), place)
    return str(caught.value)


def test_every_wrong_value_is_named_with_its_fix() -> None:
    assert _wrong(PYTHON, seed="a", keep="b", top_p="inf") == (
        "top_p = 'inf': give a finite number; keep = 'b': give a number; seed = 'a': give a whole number"
    )
    assert _wrong(PYTHON, temprature=1) == "there is no temprature: did you mean temperature?"
    assert _wrong(COMMAND_LINE, ends="dop") == "--match-ends dop: choose drop or cut (did you mean drop?)"
    assert _wrong(PYTHON, method="polish") == "method = 'polish': choose filter or balance"
    assert _wrong(PYTHON, how={"keep": 1}) == "method is missing: choose filter or balance"
    assert _wrong(PYTHON, policy=" ") == "policy = ' ': name a model, the text is empty"
    with pytest.raises(InputError, match=r"top_p 0\.5 does nothing with temperature 0"):
        Sampling(temperature=0, top_p=0.5)
    with pytest.raises(InputError, match="there is no kep: did you mean keep"):
        Filter(kep=0.5)  # type: ignore[call-arg]


def test_an_input_may_be_given_opened_and_is_a_text_in_json() -> None:
    class Model:
        name = "mine"

    model = Model()
    trial = Trial(policy=model, judges=("exact", model), how=Balance(pool=Path("a.db")))
    assert trial.policy is model
    assert [(one.name, one.kind, one.value) for one in inputs_of(trial)] == [
        ("policy", "model", model),
        ("judges", "judge", "exact"),
        ("judges", "judge", model),
        ("pool", "file", Path("a.db")),
    ]
    assert trial.model_dump(mode="json")["policy"] == "mine"
    properties = Trial.model_json_schema()["properties"]
    assert properties["judges"]["items"] == {"type": "string"}


def test_two_parts_with_one_name_are_refused() -> None:
    class Twice(Settings):
        one: Adapter = Adapter()
        two: Adapter = Adapter()

    with pytest.raises(TypeError, match=r"twice, as one\.r and two\.r"):
        flat(Twice)
