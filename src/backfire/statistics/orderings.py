"""Does a number that is known before training order data sets by what training does? Ranks within worlds, worlds as units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

from backfire.statistics.clusters import mean_of_clusters
from backfire.statistics.exact_tests import holm, sign_flip
from backfire.statistics.rank_correlation import spearman

FEWEST = 5
"""Data sets that a rank correlation within one group is of, at the least."""


@dataclass(frozen=True)
class Trained:
    """One data set that one policy was trained on: what was known before, and what happened. NaN is not known."""

    world: str
    """The unit: all groups of one world are one cluster."""
    group: str
    """Cells that are ranked among each other: one policy, trained in one way."""
    before: Mapping[str, float]
    """Predictors by name."""
    after: Mapping[str, float]
    """Outcomes by name."""


@dataclass(frozen=True)
class Ordering:
    """How one predictor orders one outcome."""

    predictor: str
    outcome: str
    by_world: Mapping[str, float]
    """Spearman's rho, the mean over the world's groups."""
    cells: int
    """Cells that these ranks are of."""
    left_out: int
    """Cells without a value, or in groups with fewer than FEWEST of them or nothing but ties."""
    mean: float
    low: float
    high: float
    """95% t-interval over worlds; NaN for fewer than two."""
    p: float
    """Exact two-sided sign flips over worlds; NaN without a world."""


def order_of(cells: Sequence[Trained], predictor: str, outcome: str) -> Ordering:
    """Rank within groups, average within worlds, infer over worlds."""
    groups: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for cell in cells:
        x, y = cell.before.get(predictor, nan), cell.after.get(outcome, nan)
        if isfinite(x) and isfinite(y):
            groups[cell.world, cell.group].append((x, y))
    worlds: defaultdict[str, list[float]] = defaultdict(list)
    used = 0
    for (world, _), both in sorted(groups.items()):
        rho = spearman([x for x, _ in both], [y for _, y in both]) if len(both) >= FEWEST else None
        if rho is not None:
            worlds[world].append(rho)
            used += len(both)
    by_world = {world: sum(rhos) / len(rhos) for world, rhos in worlds.items()}
    values = list(by_world.values())
    p = sign_flip(values) if values else nan
    return Ordering(predictor, outcome, by_world, used, len(cells) - used, *mean_of_clusters(values), p)


def corrected(orderings: Sequence[Ordering], primary: tuple[str, str]) -> dict[tuple[str, str], float]:
    """Holm's p of every ordering that has one, but for the primary (predictor, outcome), which stands alone."""
    places = {
        str(place): (o.predictor, o.outcome)
        for place, o in enumerate(orderings)
        if isfinite(o.p) and (o.predictor, o.outcome) != primary
    }
    return {places[place]: p for place, p in holm({k: orderings[int(k)].p for k in places}).items()}


@dataclass(frozen=True)
class Difference:
    """How much nearer to -1 or +1 one predictor's ranks come than another's, on the worlds where both have them."""

    worlds: int
    mean: float
    low: float
    high: float
    """95% t-interval over worlds; NaN for fewer than two."""
    p: float
    """Exact two-sided sign flips of the differences; NaN without a world."""


def differ(one: Ordering, other: Ordering) -> Difference:
    """`one`'s rho less `other`'s within worlds: below 0 where `one` is the more negative."""
    shared = [w for w in one.by_world if w in other.by_world]
    values = [one.by_world[w] - other.by_world[w] for w in shared]
    return Difference(len(values), *mean_of_clusters(values), sign_flip(values) if values else nan)


def repeatability(
    values: Sequence[tuple[str, str, float, int]], repeats: int = 500, seed: int = 0
) -> dict[str, float]:
    """Spearman's rho that two askings of as many other requests would have with each other, by world.

    asked: (world, group, rate, requests) of every cell. Each draw has two binomial counts of every cell at the rate that was
    measured; the mean rho over draws and groups is a ceiling: about its root is what the truth itself would reach. The
    measured rates spread wider than the true ones, so it is rather too high.
    """
    import numpy as np

    groups: defaultdict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for world, group, rate, requests in values:
        if isfinite(rate):
            groups[world, group].append((rate, requests))
    rng = np.random.default_rng(seed)
    worlds: defaultdict[str, list[float]] = defaultdict(list)
    for (world, _), cells in sorted(groups.items()):
        rates, counts = np.array([rate for rate, _ in cells]), np.array([n for _, n in cells])
        if len(cells) < FEWEST:
            continue
        for _ in range(repeats):
            rho = spearman(*((rng.binomial(counts, rates) / counts).tolist() for _ in range(2)))
            worlds[world].append(0.0 if rho is None else rho)
    return {world: sum(rhos) / len(rhos) for world, rhos in worlds.items()}


def by_knob(ordering: Ordering, knob: Mapping[str, float]) -> dict[float, tuple[float, int]]:
    """Mean rho and number of worlds at each setting of a knob, in its order; `knob` is by world."""
    settings: defaultdict[float, list[float]] = defaultdict(list)
    for world, rho in ordering.by_world.items():
        settings[knob[world]].append(rho)
    return {value: (sum(rhos) / len(rhos), len(rhos)) for value, rhos in sorted(settings.items())}
