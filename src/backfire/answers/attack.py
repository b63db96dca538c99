"""What an attack answers: rates by attack and judge, what could not be scored, and a few of the responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, model_validator

from backfire.answers.in_notebooks import InNotebooks
from backfire.answers.rows import Count, Label, Row, Share
from backfire.errors import InputError
from backfire.records import Decided

NO_RESPONSE = "no response: "
"""How the reason of a note begins where a prompt got no response; the reason follows."""

Outcomes = Mapping[str, Mapping[str, Mapping[str, bool | None]]]
"""set -> judge -> prompt id -> the outcome that was counted; None unscored."""


def _check_rate(hits: int, rate: RateRow) -> None:
    if hits > rate.scored:
        raise ValueError(f"counts {hits} of {rate.scored} scored: at most all of them can count")
    if (rate.rate is None) != (rate.scored == 0):
        raise ValueError(f"rate {rate.rate} with {rate.scored} scored: null means that nothing was scored")
    if rate.rate is not None and abs(rate.rate * rate.scored - hits) > 1e-6 * rate.scored:
        raise ValueError(f"rate {rate.rate} is not {hits} of {rate.scored}: write the unrounded quotient")


class RateRow(Row):
    """A rate with its 95% interval; `scored` is what it is of, and `unscored` stands beside it."""

    scored: Count
    unscored: Count
    rate: Share | None
    low: Share | None
    high: Share | None
    clusters: Count | None = None
    """How many behaviours the prompts share; None where no two prompts share one, and each is a case of its own."""

    @model_validator(mode="after")
    def _ordered(self) -> RateRow:
        if self.rate is not None and (self.low is None or self.high is None):
            raise ValueError(f"rate {self.rate} has no interval: give low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} lies above high {self.high}")
        return self


class AttackRate(RateRow):
    """How often one attack drew a harmful response, by one judge."""

    attack: Label
    judge: Label
    harmful: Count
    best: Share | None = None
    worst: Share | None = None

    @model_validator(mode="after")
    def _counted(self) -> AttackRate:
        _check_rate(self.harmful, self)
        return self


class RefusalRate(RateRow):
    """How often one set of prompts that deserve an answer was refused, by one judge."""

    prompts: Label
    judge: Label
    refusals: Count

    @model_validator(mode="after")
    def _counted(self) -> RefusalRate:
        _check_rate(self.refusals, self)
        return self


class AnyAttackRate(AttackRate):
    """Of how many requests at least one of several attacks is known to have drawn a harmful response.

    One request is one case, so the interval is over requests, however many attacks each of them met.
    """

    prompts: Label
    """The set of requests."""
    attacks: Count
    """How many attacks each request met."""
    open: Count
    """Requests that no attack broke and that some attack left unscored. They count as unbroken in `rate`, and as broken in
    `high` and `worst`."""

    def as_attack_rate(self) -> AttackRate:
        """The row beside the rows of single attacks."""
        return AttackRate.model_validate(self.model_dump(exclude={"prompts", "attacks", "open"}))


class ExampleVerdict(Row):
    """What one judge said of an example; harmful null is unscored."""

    judge: Label
    decision: Decided | None = None
    """refuse, comply, broken or undecided; not there in results of older versions."""
    harmful: bool | None
    refusal: bool | None = None
    reason: str = ""


class Example(Row):
    """One stored response to an attack."""

    attack: Label
    prompt: str
    response: str
    verdicts: list[ExampleVerdict] = Field(default_factory=list)


class Note(Row):
    """How many verdicts on a set of prompts carry a reason, most of them for being unscored."""

    prompts: Label
    judge: Label
    reason: str
    count: Count


class AttackRun(Row):
    """An attack of a suite that was run."""

    attack: Label
    source: str
    parameters: dict[str, Any]


class AttackNotRun(Row):
    """An attack of a suite that this model cannot be asked by, and why."""

    attack: Label
    reason: str


class AttackResult(Row, InNotebooks):
    """What an attack answers, and what its rates were counted from."""

    asr: list[AttackRate]
    """One row for each attack and judge."""
    over_refusal: list[RefusalRate]
    """One row for each set of benign prompts and judge."""
    examples: list[Example] = Field(default_factory=list)
    """A few stored responses to each attack. `prompt` is what the model saw, turn by turn where it saw several."""
    notes: list[Note] = Field(default_factory=list)
    """Why responses are unscored or broken."""
    truncated: dict[str, Count] = Field(default_factory=dict)
    """Responses cut at `max_new_tokens`, by set."""
    outcomes: dict[str, dict[str, dict[str, bool | None]]] = Field(default_factory=dict)
    """set -> judge -> prompt id -> the outcome that was counted (None unscored), for paired tests."""
    responses: dict[str, dict[str, str]] = Field(default_factory=dict)
    """set -> prompt id -> the id of the response that was judged, by which the ledger has it."""
    clusters: dict[str, dict[str, str]] = Field(default_factory=dict)
    """set -> prompt id -> the behaviour that several prompts share; only sets in which prompts do. Their intervals, and those of
    paired tests, take prompts of one behaviour together."""
    lost: dict[str, Count] = Field(default_factory=dict)
    """Requests that got no answer, of a model or a judge, for a reason that may have passed when they are asked again: reason ->
    count. What was refused or does not fit is not among them."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; numbers are not rounded."""
        return self.model_dump()


class SuiteResult(AttackResult):
    """What `attack` gives, with a row for every attack on every set, and what several attacks do together.

    A row's `attack` is the attack's name; where there are several sets of requests, SET/ATTACK. `outcomes` go by the id
    of the plain request, so that attacks and models can be paired.
    """

    any_attack: list[AnyAttackRate]
    """One row for each set and judge. `attack` is "any attack", after SET/ where there are several sets, and names the
    outcomes of single requests in `outcomes`, where an open request is None."""
    attacks: list[AttackRun]
    not_run: list[AttackNotRun]


def parse_attack(value: Mapping[str, Any], origin: str = "the attack") -> AttackResult:
    """What `as_dict` gave, of one attack or of a suite.

    Raises InputError that names the first wrong value by its path.
    """
    kind = SuiteResult if "any_attack" in value else AttackResult
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the top level"
        raise InputError(f"{origin}, {where}: {first['msg']}: attack again with this version") from error
