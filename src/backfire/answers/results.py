"""`results.json`: the one file that the report reads. Field by field in docs/reference/results-schema.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, model_validator

from backfire.answers.attack import AttackRate, Example, Note, RefusalRate
from backfire.answers.general import TaskScore
from backfire.answers.in_notebooks import InNotebooks
from backfire.answers.older_files import results_of_schema_1
from backfire.answers.rows import Count, Label, Row, Share
from backfire.errors import InputError
from backfire.store import write_json

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCHEMA = 2
"""The version of the schema that this module writes. It reads the one before, too."""
BASELINE = "sft"
"""The recipe that stands for the starting checkpoint itself, untrained."""


class Pointwise(Row):
    """AUROC of a probe that sees one response and says chosen or rejected."""

    auroc: Share | None
    low: Share | None = None
    high: Share | None = None
    control: Share | None = None


class Pairwise(Row):
    """Accuracy of a probe that sees both responses and says which is chosen."""

    accuracy: Share | None
    low: Share | None = None
    high: Share | None = None
    control: Share | None = None


class Separability(Row):
    """What one of the audit's probes reaches, from the probe of lengths up to that of hidden states."""

    probe: Label
    pointwise: Pointwise | None
    pairwise: Pairwise | None
    pairs: Count
    about: str = ""
    reason: str | None = None
    """Why there is no number."""


class CellInfluence(Row):
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


class CellPilot(Row):
    """What a few steps of DPO on the cell's pairs did to the policy's refusal margin, before the training itself.

    change: of the mean margin over the probes, in nats; above 0 is towards refusing. low and high: its 95% interval over the probes,
    null where there is none.
    """

    steps: Count
    change: float
    low: float | None = None
    high: float | None = None
    probes: Count | None = None


class LogRow(Row):
    """One logged step of training."""

    step: Count
    loss: float | None
    reward_accuracy: float | None = None
    reward_margin: float | None = None


class WatchRow(Row):
    """One measurement during training; what was not measured is left out. `training` of `watch.jsonl` is meant by the
    log-probabilities, which are means over pairs that are trained on."""

    step: Count
    refused: Share | None = None
    needless_refusals: Share | None = None
    refusal_margin: float | None = None
    logps_chosen: float | None = None
    logps_rejected: float | None = None
    watched_accuracy: Share | None = None
    held_out_accuracy: Share | None = None
    tokens_harmful: float | None = None


class RewardRow(Row):
    """The responses of one step of RLOO: means over them."""

    step: Count
    reward: float
    kl: float
    tokens: float
    ended: Share


class Training(Row):
    """How the cell's policy was trained."""

    method: Label
    steps: Count | None
    final_loss: float | None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    seconds: float | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    log: list[LogRow] = Field(default_factory=list)
    watch: list[WatchRow] = Field(default_factory=list)
    rewards: list[RewardRow] = Field(default_factory=list)
    """Of RLOO: reward, KL to the starting policy, and length, by step."""
    tokens_sampled: Count | None = None
    """Tokens that models sampled for this training: RLOO's own responses, or those that the recipe chose its pairs from. Null
    where nobody counted them, as of responses that were read from files."""


class PairCounts(Row):
    """What the recipe built, and what it left out and why."""

    built: Count
    harmful: Count | None = None
    benign: Count | None = None
    left_out: dict[str, Count] = Field(default_factory=dict)
    truncated: dict[str, Count] = Field(default_factory=dict)
    sources: dict[str, Any] = Field(default_factory=dict)
    responses_left_out: dict[str, Count] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)


class Cell(Row):
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
    pilot: CellPilot | None = None
    """Null where there was none."""
    training: Training | None
    examples: list[Example] = Field(default_factory=list)
    notes: list[Note] = Field(default_factory=list)
    truncated_responses: dict[str, Count] = Field(default_factory=dict)

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Cells of one group share a starting checkpoint, and so one baseline: family, target, world, seed."""
        return (self.family, self.target, "" if self.world is None else str(self.world), str(self.seed))


class Results(Row, InNotebooks):
    """A whole study's results. `to_pandas` and `to_arrow` give them as a table."""

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

    def to_arrow(self, *, tidy: bool = False) -> pa.Table:
        """One row a cell, numbers unrounded.

        Each estimate has a column, such as `asr.direct.phrases`, and beside it `.low`, `.high`, `.n` and `.unscored`. What was not
        measured is null. The bounds of a general task are 1.96 standard errors away.

        Args:
            tidy: one row an estimate: `measure`, `name`, `judge`, `estimate`, `low`, `high`, `n`, `unscored`.
        """
        from backfire.answers.results_table import results_arrow

        return results_arrow(self, tidy=tidy)

    def to_pandas(self, *, tidy: bool = False) -> pd.DataFrame:
        """The table of `to_arrow` as a DataFrame. Counts are pandas' whole numbers (Int64), in which a missing one is <NA>."""
        import pandas as pd
        import pyarrow as pa

        return self.to_arrow(tidy=tidy).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def parse_results(value: Results | Mapping[str, Any], *, origin: str = "results") -> Results:
    """Check a value against the schema.

    Raises InputError that names every wrong value by its path, such as `cells[2].asr[0].rate`.
    """
    if isinstance(value, Results):
        return value
    if isinstance(value, Mapping) and value.get("schema") == 1:
        value = results_of_schema_1(value)
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
    errors = error.errors(include_url=False)
    for defect in errors[:most]:
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
    if len(errors) > most:
        yield f"  and {len(errors) - most} more"
