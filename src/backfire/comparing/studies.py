"""Two studies cell by cell: paired where both stored what every request came to, and by their rates elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backfire.answers import read_checkpoint, read_results
from backfire.answers.attack import AttackRate, RateRow, RefusalRate
from backfire.answers.comparisons import Difference, Outcome
from backfire.answers.general import TaskScore
from backfire.answers.results import Cell, Results
from backfire.comparing.differences import adjust, compare_checkpoints
from backfire.comparing.settings import CompareSettings
from backfire.errors import InputError
from backfire.statistics.independent import (
    difference_of_estimates,
    difference_of_shares,
    fisher_exact,
    p_of_difference,
)
from backfire.statistics.intervals import Z95

UNPAIRED = "unpaired"
"""What the unit of a row is called whose requests were not compared one by one."""
TASKS = "lm-eval"


@dataclass(frozen=True)
class StudyComparison:
    """How a second study differs from a first, cell by cell."""

    first: str
    second: str
    rows: Sequence[Difference]
    """`second` of a row names the cell; `first` is the first study. Holm's correction is over all rows that have a p."""
    only_first: Sequence[str]
    """Cells that the second study does not have."""
    only_second: Sequence[str]
    not_paired: Mapping[str, str]
    """By cell, why its requests could not be compared one by one."""
    not_compared: Sequence[str]
    """Numbers that only one study has of a cell that both have."""


def compare_studies(
    first: str | Path, second: str | Path, settings: CompareSettings | None = None, **keywords: Any
) -> StudyComparison:
    """Compare two studies, each a run folder or its results.json: the second's numbers minus the first's.

    Cells are matched by family, recipe, world and seed. Attack success and needless refusals are compared request by request where
    both run folders hold the attacks' outcomes of the same requests; elsewhere by the rates alone (Newcombe's interval and Fisher's
    exact test, or the two intervals where requests share behaviours). General tasks are compared by their standard errors.

    Raises:
        InputError: results that cannot be read, one study given twice, or no cell in common.
    """
    settings = CompareSettings.of(settings, **keywords)
    paths = Path(first), Path(second)
    if paths[0].resolve() == paths[1].resolve():
        raise InputError(f"{first} is given twice: name two studies")
    one, other = _cells(read_results(paths[0]), paths[0]), _cells(read_results(paths[1]), paths[1])
    both = [name for name in one if name in other]
    if not both:
        raise InputError(
            f"{first} and {second} have no cell in common ({_some(one)}; {_some(other)}): cells are matched by family, recipe, world "
            "and seed"
        )
    rows: list[Difference] = []
    not_paired: dict[str, str] = {}
    not_compared: list[str] = []
    for name in both:
        pair = one[name], other[name]
        paired: list[Difference] = []
        try:
            paired = _paired(paths, pair, settings)
        except InputError as error:
            not_paired[name] = str(error)
        known = {(row.prompts, row.judge) for row in paired}
        rest = [row for row in _by_rates(pair, not_compared, name) if (row.prompts, row.judge) not in known]
        rows += [replace(row, first=str(first), second=name) for row in (*paired, *rest)]
    return StudyComparison(
        str(first),
        str(second),
        adjust(rows),
        [name for name in one if name not in other],
        [name for name in other if name not in one],
        not_paired,
        not_compared,
    )


def _cells(results: Results, path: Path) -> dict[str, Cell]:
    """The cells by family, recipe, world and seed, as far as these vary; by target, too, where one family has several."""
    worlds = {cell.world for cell in results.cells} - {None}
    several = Counter((c.family, c.recipe, str(c.world), c.seed) for c in results.cells)
    cells: dict[str, Cell] = {}
    for cell in results.cells:
        whose = cell.family
        if several[cell.family, cell.recipe, str(cell.world), cell.seed] > 1:
            whose = f"{cell.family} {cell.target}"
        place = f", world {cell.world}" if worlds else ""
        name = f"{whose} {cell.recipe}{place}, seed {cell.seed}"
        if name in cells:
            raise InputError(f"{path} has two cells that are called {name!r}: they cannot be told apart")
        cells[name] = cell
    return cells


def _paired(paths: tuple[Path, Path], pair: tuple[Cell, Cell], settings: CompareSettings) -> list[Difference]:
    sides = []
    for path, cell in zip(paths, pair, strict=True):
        place = cell.provenance.get("attack")
        folder = path if path.is_dir() else path.parent
        if not isinstance(place, str) or not (folder / place).is_file():
            raise InputError(f"{path} does not hold what every request came to")
        sides.append(read_checkpoint(folder / place, str(path)))
    return compare_checkpoints(sides[0], sides[1], {}, cluster=settings.cluster, seed=settings.seed)


def _by_rates(pair: tuple[Cell, Cell], not_compared: list[str], name: str) -> list[Difference]:
    """Every number that both cells have, without pairing; what one of them lacks is added to `not_compared`."""
    rows = []
    before, after = (_rates(cell) for cell in pair)
    for key in before.keys() | after.keys():
        if key not in before or key not in after:
            not_compared.append(f"{name}: {key[1]} by {key[2]}, {key[0]}")
    for key, one in before.items():
        if (other := after.get(key)) is not None:
            rows.append(_rate_row(*key, one, other))
    scores, later = ({score.task: score for score in cell.general} for cell in pair)
    for task in [*scores, *later]:
        if task not in scores or task not in later:
            not_compared.append(f"{name}: {task}, a general task")
    rows += [_task_row(scores[task], later[task]) for task in scores if task in later]
    return rows


def _rates(cell: Cell) -> dict[tuple[Outcome, str, str], RateRow]:
    harmful: dict[tuple[Outcome, str, str], RateRow] = {
        ("harmful", row.attack, row.judge): row for row in cell.asr
    }
    return harmful | {("refusal", row.prompts, row.judge): row for row in cell.over_refusal}


def _hits(row: RateRow) -> int:
    return row.harmful if isinstance(row, AttackRate) else row.refusals if isinstance(row, RefusalRate) else 0


def _rate_row(outcome: Outcome, prompts: str, judge: str, one: RateRow, other: RateRow) -> Difference:
    change, p = None, None
    if one.rate is not None and other.rate is not None:
        if one.clusters is None and other.clusters is None:
            counts = (_hits(one), one.scored), (_hits(other), other.scored)
            change, p = difference_of_shares(*counts), fisher_exact(*counts)
        else:
            change = difference_of_estimates(_interval(one), _interval(other))
            p = p_of_difference(change)
    return _row(outcome, prompts, judge, (one.rate, other.rate), change, p, one.scored + other.scored,
                one.unscored + other.unscored)  # fmt: skip


def _interval(row: RateRow) -> tuple[float, float, float]:
    rate = row.rate or 0.0
    return rate, rate if row.low is None else row.low, rate if row.high is None else row.high


def _task_row(one: TaskScore, other: TaskScore) -> Difference:
    change, p = None, None
    known = one.value is not None and other.value is not None
    if known and one.stderr is not None and other.stderr is not None:
        spans = [
            (
                score.value or 0.0,
                (score.value or 0.0) - Z95 * score.stderr,
                (score.value or 0.0) + Z95 * score.stderr,
            )
            for score in (one, other)
            if score.stderr is not None
        ]
        change = difference_of_estimates(spans[0], spans[1])
        p = p_of_difference(change)
    return _row("score", one.task, TASKS, (one.value, other.value), change, p, one.n + other.n, 0)


def _row(
    outcome: Outcome,
    prompts: str,
    judge: str,
    rates: tuple[float | None, float | None],
    change: tuple[float, float, float] | None,
    p: float | None,
    n: int,
    unscored: int,
) -> Difference:
    before, after = rates
    plain = None if before is None or after is None else after - before
    return Difference(
        claim="these checkpoints",
        first="",
        second="",
        prompts=prompts,
        judge=judge,
        outcome=outcome,
        unit=UNPAIRED,
        units=n,
        n=n,
        unscored=unscored,
        first_rate=before,
        second_rate=after,
        difference=plain,
        low=None if change is None else change[1],
        high=None if change is None else change[2],
        lowest=None,
        highest=None,
        p=p,
        reason=None
        if change is not None
        else "one of the two has no rate"
        if plain is None
        else "no standard error",
    )


def _some(cells: Mapping[str, Cell], most: int = 3) -> str:
    names = list(cells)
    return "; ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
