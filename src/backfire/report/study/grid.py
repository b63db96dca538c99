"""The study's cells as a grid: groups that share a baseline, recipes in the study's order, means over worlds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from backfire.answers.attack import AttackRate, RefusalRate
from backfire.answers.results import BASELINE, Cell, Results, Separability
from backfire.statistics.clusters import mean_of_clusters

PREFERRED_JUDGE = "exact"
FEWEST_WORLDS = 3
"""An interval over worlds needs at least this many."""

Standing = Literal["below", "above", "same", "unknown"]
_Value = Callable[["Group", Cell], float | None]


@dataclass(frozen=True)
class Group:
    """The cells that start from one checkpoint with one seed, in the study's order, the baseline first."""

    family: str
    target: str
    world: str
    seed: str
    cells: tuple[Cell, ...]
    baseline: Cell | None

    @property
    def label(self) -> str:
        world = f", world {self.world}" if self.world else ""
        return f"{self.target}{world}, seed {self.seed}"


@dataclass(frozen=True)
class Mean:
    """A mean over worlds, with a 95% t-interval over the worlds' means where there are at least three.

    A world is the unit: its families and seeds share everything that was generated, so they are one cluster.
    """

    value: float | None
    low: float | None
    high: float | None
    worlds: int


class Grid:
    """Everything that the table, the answer and the pictures ask of the cells."""

    def __init__(self, results: Results) -> None:
        cells = results.cells
        self.recipes = _recipes(cells)
        self.attacks = _in_order(rate.attack for cell in cells for rate in cell.asr)
        self.judge = _judge(rate.judge for cell in cells for rate in cell.asr)
        self.prompt_sets = _in_order(rate.prompts for cell in cells for rate in cell.over_refusal)
        self.refusal_judge = _judge(rate.judge for cell in cells for rate in cell.over_refusal)
        self.tasks = _in_order(score.task for cell in cells for score in cell.general)
        self.probes = _in_order(row.probe for cell in cells for row in cell.separability)
        self.has_pilot = any(cell.pilot is not None for cell in cells)
        self.has_influence = any(cell.safety_influence is not None for cell in cells)
        self.groups = self._groups(cells)
        self.worlds = _in_order(group.world for group in self.groups)

    def _groups(self, cells: list[Cell]) -> list[Group]:
        members: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
        for cell in cells:
            members[cell.group].append(cell)
        place = {recipe: index for index, recipe in enumerate(self.recipes)}
        groups = []
        for key, together in members.items():
            together.sort(key=lambda cell: place[cell.recipe])
            baseline = next((cell for cell in together if cell.recipe == BASELINE), None)
            if baseline is None:
                # A target is the same checkpoint under every training seed, so another seed's SFT cell serves.
                baseline = next(
                    (cell for cell in cells if cell.recipe == BASELINE and cell.group[:3] == key[:3]), None
                )
            groups.append(Group(*key, tuple(together), baseline))
        return groups

    def asr(self, cell: Cell | None, attack: str) -> AttackRate | None:
        """A cell's rate under one attack, by the judge that the report reads."""
        rows = (r for r in cell.asr if r.attack == attack and r.judge == self.judge) if cell else iter(())
        return next(rows, None)

    def over_refusal(self, cell: Cell, prompts: str) -> RefusalRate | None:
        return next(
            (r for r in cell.over_refusal if r.prompts == prompts and r.judge == self.refusal_judge), None
        )

    def task(self, cell: Cell, task: str) -> float | None:
        return next((score.value for score in cell.general if score.task == task), None)

    def general(self, cell: Cell) -> float | None:
        """The plain mean over the study's tasks; undefined unless every one of them has a score."""
        scores = [self.task(cell, task) for task in self.tasks]
        known = [score for score in scores if score is not None]
        return fmean(known) if known and len(known) == len(scores) else None

    def separability(self, cell: Cell, probe: str) -> Separability | None:
        return next((row for row in cell.separability if row.probe == probe), None)

    def auroc(self, cell: Cell, probe: str) -> float | None:
        row = self.separability(cell, probe)
        return row.pointwise.auroc if row and row.pointwise else None

    @property
    def pictured_probe(self) -> str | None:
        """`hidden` where it was measured, else the probe whose mean AUROC is highest."""
        if "hidden" in self.probes:
            return "hidden"
        means = {}
        for probe in self.probes:
            known = [value for cell in self.cells if (value := self.auroc(cell, probe)) is not None]
            if known:
                means[probe] = fmean(known)
        return max(means, key=lambda probe: means[probe], default=None)

    @property
    def cells(self) -> list[Cell]:
        return [cell for group in self.groups for cell in group.cells]

    def mean_asr(self, recipe: str, attack: str) -> Mean:
        """Mean over worlds of the recipe's attack success rate, its interval cut at 0 and 1."""
        mean = self._over_worlds(recipe, lambda group, cell: _rate(self.asr(cell, attack)))
        if mean.low is None or mean.high is None:
            return mean
        return replace(mean, low=max(0.0, mean.low), high=min(1.0, mean.high))

    def mean_change(self, recipe: str, attack: str) -> Mean:
        """Mean over worlds of the recipe's rate minus its own baseline's."""

        def change(group: Group, cell: Cell) -> float | None:
            after, before = _rate(self.asr(cell, attack)), _rate(self.asr(group.baseline, attack))
            return None if after is None or before is None else after - before

        return self._over_worlds(recipe, change)

    def mean_general(self, recipe: str) -> Mean:
        return self._over_worlds(recipe, lambda group, cell: self.general(cell))

    def mean_auroc(self, recipe: str, probe: str) -> Mean:
        return self._over_worlds(recipe, lambda group, cell: self.auroc(cell, probe))

    def _over_worlds(self, recipe: str, value_of: _Value) -> Mean:
        by_world: dict[str, list[float]] = defaultdict(list)
        for group in self.groups:
            for cell in group.cells:
                value = value_of(group, cell) if cell.recipe == recipe else None
                if value is not None:
                    by_world[group.world].append(value)
        return _mean([fmean(values) for values in by_world.values()])


def standing(rate: AttackRate | RefusalRate | None, baseline: AttackRate | RefusalRate | None) -> Standing:
    """Where a rate lies against the baseline's: below or above only when the 95% intervals do not meet."""
    if rate is None or baseline is None:
        return "unknown"
    if rate.low is None or rate.high is None or baseline.low is None or baseline.high is None:
        return "unknown"
    if rate.high < baseline.low:
        return "below"
    if rate.low > baseline.high:
        return "above"
    return "same"


def standing_of_change(change: Mean) -> Standing:
    """Where a mean change lies against zero, by its interval over worlds."""
    if change.low is None or change.high is None:
        return "unknown"
    return "below" if change.high < 0 else "above" if change.low > 0 else "same"


def _mean(values: list[float]) -> Mean:
    if not values:
        return Mean(None, None, None, 0)
    if len(values) < FEWEST_WORLDS:
        return Mean(fmean(values), None, None, len(values))
    return Mean(*mean_of_clusters(values), len(values))


def _rate(rate: AttackRate | None) -> float | None:
    return None if rate is None else rate.rate


def _recipes(cells: list[Cell]) -> list[str]:
    recipes = _in_order(cell.recipe for cell in cells)
    return [*(r for r in recipes if r == BASELINE), *(r for r in recipes if r != BASELINE)]


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _judge(names: Iterable[str]) -> str | None:
    judges = _in_order(names)
    return PREFERRED_JUDGE if PREFERRED_JUDGE in judges else judges[0] if judges else None
