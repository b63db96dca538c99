"""`results.json`: the one file that the report reads. Field by field in docs/reference/results-schema.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backfire.errors import InputError
from backfire.records import Decided
from backfire.store import write_json

SCHEMA = 1
"""The version of the schema that this module reads and writes."""
BASELINE = "sft"
"""The recipe that stands for the starting checkpoint itself, untrained."""

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Label = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    """Strict about the documented fields; fields that are not documented are kept, not shown."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False)


def _check_rate(hits: int, rate: _Interval) -> None:
    if hits > rate.scored:
        raise ValueError(f"counts {hits} of {rate.scored} scored: at most all of them can count")
    if (rate.rate is None) != (rate.scored == 0):
        raise ValueError(f"rate {rate.rate} with {rate.scored} scored: null means that nothing was scored")
    if rate.rate is not None and abs(rate.rate * rate.scored - hits) > 1e-6 * rate.scored:
        raise ValueError(f"rate {rate.rate} is not {hits} of {rate.scored}: write the unrounded quotient")


class _Interval(_Part):
    scored: Count
    unscored: Count
    rate: Share | None
    low: Share | None
    high: Share | None
    clusters: Count | None = None

    @model_validator(mode="after")
    def _ordered(self) -> _Interval:
        if self.rate is not None and (self.low is None or self.high is None):
            raise ValueError(f"rate {self.rate} has no interval: give low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} lies above high {self.high}")
        return self


class AttackRate(_Interval):
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


class RefusalRate(_Interval):
    """How often one set of prompts that deserve an answer was refused, by one judge."""

    prompts: Label
    judge: Label
    refusals: Count

    @model_validator(mode="after")
    def _counted(self) -> RefusalRate:
        _check_rate(self.refusals, self)
        return self


class TaskScore(_Part):
    """One general task's score, as lm-evaluation-harness gives it."""

    task: Label
    metric: Label
    value: float | None
    stderr: float | None
    n: Count


class Pointwise(_Part):
    """AUROC of a probe that sees one response and says chosen or rejected."""

    auroc: Share | None
    low: Share | None = None
    high: Share | None = None
    control: Share | None = None


class Pairwise(_Part):
    """Accuracy of a probe that sees both responses and says which is chosen."""

    accuracy: Share | None
    low: Share | None = None
    high: Share | None = None
    control: Share | None = None


class Separability(_Part):
    """One rung of the audit's ladder of probes, from length up to hidden states."""

    rung: Label
    pointwise: Pointwise | None
    pairwise: Pairwise | None
    pairs: Count
    about: str = ""
    reason: str | None = None
    """Why there is no number."""


class CellInfluence(_Part):
    """What training on the cell's pairs was predicted to do to refusing, to first order; above 0 is towards it.

    cosine null: undetermined, and so are low and high.
    """

    cosine: float | None
    low: float | None
    high: float | None
    probes: Count

    @model_validator(mode="after")
    def _whole(self) -> CellInfluence:
        bounds = (self.cosine, self.low, self.high)
        if any(bound is None for bound in bounds) != all(bound is None for bound in bounds):
            raise ValueError(
                f"cosine {self.cosine}, low {self.low}, high {self.high}: give all three, or null for all three"
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} lies above high {self.high}")
        return self


class LogRow(_Part):
    """One logged step of training."""

    step: Count
    loss: float | None
    reward_accuracy: float | None = None
    reward_margin: float | None = None


class Training(_Part):
    """How the cell's policy was trained."""

    method: Label
    steps: Count | None
    final_loss: float | None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    seconds: float | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    log: list[LogRow] = Field(default_factory=list)


class PairCounts(_Part):
    """What the recipe built, and what it left out and why."""

    built: Count
    harmful: Count | None = None
    benign: Count | None = None
    left_out: dict[str, Count] = Field(default_factory=dict)
    truncated: dict[str, Count] = Field(default_factory=dict)
    sources: dict[str, Any] = Field(default_factory=dict)
    responses_left_out: dict[str, Count] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)


class ExampleVerdict(_Part):
    """What one judge said of an example; harmful null is unscored."""

    judge: Label
    decision: Decided | None = None
    """refuse, comply, broken or undecided; not there in results of older versions."""
    harmful: bool | None
    refusal: bool | None = None
    reason: str = ""


class Example(_Part):
    """One stored response to an attack."""

    attack: Label
    prompt: str
    response: str
    verdicts: list[ExampleVerdict] = Field(default_factory=list)


class Note(_Part):
    """How many verdicts on a set of prompts carry a reason, most of them for being unscored."""

    prompts: Label
    judge: Label
    reason: str
    count: Count


class Cell(_Part):
    """One recipe applied to one target with one seed; `recipe` is `sft` for the untrained target."""

    id: Label
    family: Label
    target: Label
    recipe: Label
    seed: int
    world: int | str | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    pairs: PairCounts | None = None
    asr: list[AttackRate]
    over_refusal: list[RefusalRate]
    general: list[TaskScore]
    general_settings: dict[str, Any] = Field(default_factory=dict)
    separability: list[Separability]
    safety_influence: CellInfluence | None = None
    """Null where it was not measured."""
    training: Training | None
    examples: list[Example] = Field(default_factory=list)
    notes: list[Note] = Field(default_factory=list)
    truncated_responses: dict[str, Count] = Field(default_factory=dict)

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Cells of one group share a starting checkpoint, and so one baseline: family, target, world, seed."""
        return (self.family, self.target, "" if self.world is None else str(self.world), str(self.seed))


class Results(_Part):
    """A whole study's results."""

    schema_version: int = Field(alias="schema")
    backfire: Label
    name: Label
    created: Label
    study: dict[str, Any] = Field(default_factory=dict)
    stages: dict[str, Any] = Field(default_factory=dict)
    cells: list[Cell]

    @model_validator(mode="after")
    def _whole(self) -> Results:
        if self.schema_version != SCHEMA:
            raise ValueError(
                f"schema {self.schema_version}, this version reads {SCHEMA}: report it with backfire {self.backfire}"
            )
        if not self.cells:
            raise ValueError("cells is empty: a study has at least one cell")
        ids, places = set(), set()
        for cell in self.cells:
            place = (cell.group, cell.recipe)
            if cell.id in ids or place in places:
                raise ValueError(f"cell {cell.id} ({cell.recipe}, {cell.group}) stands twice: keep one")
            ids.add(cell.id)
            places.add(place)
        return self


def parse_results(value: Results | Mapping[str, Any], *, origin: str = "results") -> Results:
    """Check a value against the schema.

    Raises InputError that names every wrong value by its path, such as `cells[2].asr[0].rate`.
    """
    if isinstance(value, Results):
        return value
    try:
        return Results.model_validate(value)
    except ValidationError as error:
        raise InputError(
            "\n".join([f"{origin} does not fit docs/reference/results-schema.md:", *_defects(error)])
        ) from error


def read_results(path: str | Path) -> Results:
    """Read and check a results.json; a run folder stands for the results.json in it.

    Raises InputError when the file is missing, is not JSON, or breaks the schema.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "results.json"
    if not path.is_file():
        raise InputError(f"{path} is not there: name a results.json, or the run folder that holds one")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is not JSON ({error}): write it again with `backfire study run`") from error
    return parse_results(value, origin=str(path))


def write_results(path: str | Path, results: Results | Mapping[str, Any]) -> Path:
    """Check and write results.json whole; numbers are not rounded, NaN and infinities are refused."""
    path = Path(path)
    checked = parse_results(results, origin=str(path))
    value = checked.model_dump(by_alias=True)
    try:
        write_json(path, value)
    except ValueError as error:
        raise InputError(
            f"{path}: a number is not finite ({error}): write undefined numbers as null"
        ) from error
    except TypeError as error:
        raise InputError(f"{path}: {error}: write numbers, text, lists and objects only") from error
    return path


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number; undefined numbers are null")


def _defects(error: ValidationError, most: int = 12) -> Iterator[str]:
    found = error.errors(include_url=False)
    for defect in found[:most]:
        path = ""
        for step in defect["loc"]:
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
        message = defect["msg"].removeprefix("Value error, ")
        if defect["type"] == "missing":
            yield f"  {path}: missing"
        elif defect["type"] == "value_error":
            yield f"  {path or 'results'}: {message}"
        else:
            shown = repr(defect["input"])
            yield f"  {path or 'results'}: {shown[:80]}{'…' if len(shown) > 80 else ''}: {message}"
    if len(found) > most:
        yield f"  and {len(found) - most} more"
