"""A study's results as a table for other tools: one row a cell, or one row an estimate; numbers are not rounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from backfire.answers.results import Cell, Results

ABOUT = ("cell", "family", "target", "recipe", "world", "seed")
"""What every row begins with."""
TRAINED = ("steps", "final_loss", "reward_accuracy", "reward_margin", "seconds", "tokens_sampled")
"""What is said of a cell's training, beside the method."""
COUNTS = frozenset({"seed", "n", "unscored", "steps", "tokens_sampled", "pairs"})


@dataclass(frozen=True)
class Estimate:
    """One number of a cell, with what it rests on. None: there is none, as of an estimate without an interval."""

    measure: str
    """`asr`, `over_refusal`, `general`, `separability`, `safety_influence` or `pilot`."""
    name: str
    """The attack, the set of prompts, the task or the probe."""
    judge: str | None
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    """What the estimate is of: scored responses, items of a task, pairs, or probes."""
    unscored: int | None

    @property
    def column(self) -> str:
        """Its column in a table of one row a cell: `asr.direct.phrases`."""
        return ".".join(part for part in (self.measure, self.name, self.judge) if part)


def estimates(cell: Cell) -> Iterator[Estimate]:
    """Every number of a cell that is an estimate, in the order of the results."""
    for asr in cell.asr:
        yield Estimate("asr", asr.attack, asr.judge, asr.rate, asr.low, asr.high, asr.scored, asr.unscored)
    for refused in cell.over_refusal:
        bounds = (refused.rate, refused.low, refused.high, refused.scored, refused.unscored)
        yield Estimate("over_refusal", refused.prompts, refused.judge, *bounds)
    for task in cell.general:
        spread = None if task.value is None or task.stderr is None else 1.96 * task.stderr
        low, high = (None, None) if spread is None else (task.value - spread, task.value + spread)  # type: ignore[operator]
        yield Estimate("general", task.task, None, task.value, low, high, task.n, None)
    for probe in cell.separability:
        seen = probe.pointwise
        bounds_of = (None, None, None) if seen is None else (seen.auroc, seen.low, seen.high)
        yield Estimate("separability", probe.probe, None, *bounds_of, probe.pairs, None)
    if (influence := cell.safety_influence) is not None:
        spanned = (influence.cosine, influence.low, influence.high)
        yield Estimate("safety_influence", "", None, *spanned, influence.probes, None)
    if (pilot := cell.pilot) is not None:
        yield Estimate("pilot", "", None, pilot.change, pilot.low, pilot.high, pilot.probes or 0, None)


def results_arrow(results: Results, *, tidy: bool = False) -> pa.Table:
    """The results as an Arrow table.

    Args:
        tidy: one row an estimate, with `measure`, `name` and `judge`, in place of one row a cell.

    Raises:
        InputError: two numbers of a cell would have one column.
    """
    rows = [row for cell in results.cells for row in (_tidy(cell) if tidy else [_wide(cell)])]
    return _table(rows)


def _about(cell: Cell) -> dict[str, Any]:
    world = None if cell.world is None else str(cell.world)
    return dict(zip(ABOUT, (cell.id, cell.family, cell.target, cell.recipe, world, cell.seed), strict=True))


def _tidy(cell: Cell) -> list[dict[str, Any]]:
    about = _about(cell)
    return [{**about, **{name: getattr(one, name) for name in _FIELDS}} for one in estimates(cell)]


_FIELDS = tuple(Estimate.__dataclass_fields__)


def _wide(cell: Cell) -> dict[str, Any]:
    row = _about(cell)
    for one in estimates(cell):
        numbers = {
            one.column: one.estimate,
            f"{one.column}.low": one.low,
            f"{one.column}.high": one.high,
            f"{one.column}.n": one.n,
        }
        if one.unscored is not None:
            numbers[f"{one.column}.unscored"] = one.unscored
        if twice := sorted(numbers.keys() & row.keys()):
            raise InputError(
                f"cell {cell.id} has two numbers for the column {twice[0]!r}: name its attacks, sets and judges apart, or take "
                "the tidy table"
            )
        row |= numbers
    row["pairs"] = None if cell.pairs is None else cell.pairs.built
    trained = cell.training
    row["training.method"] = None if trained is None else trained.method
    return row | {f"training.{name}": None if trained is None else getattr(trained, name) for name in TRAINED}


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """The columns of all rows, in the order in which they are first met; what a row lacks is null."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: pa.array([row.get(name) for row in rows], _kind(name, rows)) for name in names})


def _kind(name: str, rows: list[dict[str, Any]]) -> pa.DataType:
    import pyarrow as pa

    if name.rpartition(".")[2] in COUNTS:
        return pa.int64()
    values = (row.get(name) for row in rows)
    text = name in (*ABOUT, "measure", "name", "judge", "training.method")
    return pa.string() if text or any(isinstance(value, str) for value in values) else pa.float64()
