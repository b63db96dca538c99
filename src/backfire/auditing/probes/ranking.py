"""AUROC within folds and strata: its value, each side's influence on it, its slope by the scores, and on many labellings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import Ints

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """Sides that are compared with one another: of one fold, and of one stratum."""

    members: Ints
    """Which sides: indices into the stacked sides."""
    weight: float
    """Share of this cell's AUROC in the average."""


def cells_of(folds: Ints, strata: Ints | None, chosen: NDArray[np.bool_]) -> list[Cell]:
    """The cells that hold both labels. All arguments over sides [m]; stratum -1 takes no part.

    A cell weighs as chosen * rejected / (chosen + rejected): its pairs, where all sides are paired within it.
    """
    code = (
        folds
        if strata is None
        else np.where(strata < 0, -1, folds * (int(strata.max(initial=0)) + 1) + strata)
    )
    order = np.argsort(code, kind="stable")
    edges = np.flatnonzero(np.diff(code[order], prepend=-2))
    weighted = []
    for start, end in zip(edges, [*edges[1:], len(order)], strict=True):
        members = order[start:end]
        if code[members[0]] < 0:
            continue
        above = int(np.count_nonzero(chosen[members]))
        below = len(members) - above
        if above and below:
            weighted.append((members, above * below / (above + below)))
    total = sum(weight for _, weight in weighted)
    return [Cell(members, weight / total) for members, weight in weighted]


def auroc(scores: Values, chosen: NDArray[np.bool_], cells: list[Cell]) -> tuple[float, Values]:
    """The weighted mean of the cells' AUROCs, ties counting half, and each side's influence on it: [m].

    The weights add up to 1 but for rounding, which must not take an AUROC of 1 above it. Influences are DeLong's
    (DeLong, DeLong and Clarke-Pearson 1988): what a side's comparisons gave beyond the
    average. They sum to 0 in every cell.
    """
    influence = np.zeros(len(scores))
    total = 0.0
    for cell, up, down in _split(cells, chosen):
        above, below = _share_below(scores[up], scores[down]), 1 - _share_below(scores[down], scores[up])
        area = float(above.mean())
        total += cell.weight * area
        influence[up] = cell.weight * (above - area) / len(up)
        influence[down] = cell.weight * (below - area) / len(down)
    return min(total, 1.0), influence


def auroc_slopes(scores: Values, chosen: NDArray[np.bool_], cells: list[Cell]) -> Values:
    """Derivative of the smoothed AUROC by each side's score: [m].

    Moving a chosen side up by δ passes δ times the density of rejected scores there, and the other way round;
    densities are Gaussian kernel estimates with Silverman's bandwidth (1986).
    """
    slopes = np.zeros(len(scores))
    for cell, up, down in _split(cells, chosen):
        inside = np.concatenate(
            [density(scores[down], scores[up]) / len(up), -density(scores[up], scores[down]) / len(down)]
        )
        members = np.concatenate([up, down])
        slopes[members] = cell.weight * free_of_scale(inside, scores[members])
    return slopes


def free_of_scale(slopes: Values, scores: Values) -> Values:
    """Smoothed slopes less what they say of moving or stretching all scores, which changes no order."""
    size = np.abs(slopes)
    if not size.any():
        return slopes
    slopes = slopes - float(slopes.sum()) / float(size.sum()) * size
    apart = scores - np.average(scores, weights=size)
    spread = float(np.sum(size * apart**2))
    return slopes if spread == 0 else slopes - float(slopes @ apart) / spread * size * apart


def slopes_at_zero(scores: Values) -> Values:
    """Derivative, by each score, of how many scores lie above 0: [m].

    The density of scores at 0, shared out by local linear weights (Fan 1992): what a move does there is read off the
    scores nearby, as if it were linear in the score. So stretching all scores, which moves none across 0, has no slope.
    The density is a Gaussian kernel estimate whose leading bias is taken off (Schucany and Sommers 1977).
    """
    spread = float(np.sqrt(np.mean(scores**2)))
    if spread < 1e-12:
        return np.zeros(len(scores))
    width = 1.06 * spread * len(scores) ** -0.2
    near = np.exp(-0.5 * (scores / width) ** 2)
    wider = np.exp(-0.25 * (scores / width) ** 2) / np.sqrt(2)
    there = float(np.sum(2 * near - wider)) / (width * np.sqrt(2 * np.pi))
    local = near * (near @ scores**2 - (near @ scores) * scores)
    total = float(local.sum())
    slopes: Values = max(0.0, there) * local / total if total > 0 else np.zeros(len(scores))
    return slopes


def density(of: Values, at: Values) -> Values:
    """Kernel density of the values `of`, at other values; 0 where all of them are equal. Binned on 512 points."""
    spread = float(of.std())
    if spread < 1e-12:
        return np.zeros(len(at))
    width = 1.06 * spread * len(of) ** -0.2
    low, high = min(of.min(), at.min()) - 4 * width, max(of.max(), at.max()) + 4 * width
    points = 512
    step = (high - low) / points
    counts = np.histogram(of, points, (low, high))[0] / (len(of) * step)
    reach = int(np.ceil(4 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="full")[reach : reach + points]
    centres = low + (np.arange(points) + 0.5) * step
    heights: Values = np.interp(at, centres, smooth)
    return heights


def swapped_aurocs(scores: NDArray[np.floating], labels: NDArray[np.int8], cells: list[Cell]) -> Values:
    """AUROC of each column of held-out scores [m, labellings] under the same column of labels, +1 or -1.

    `cells` are those of the true labels, and keep their weights. A swap that leaves a cell with one label makes it
    undecided, a half.
    """
    areas = np.zeros(labels.shape[1])
    for cell in cells:
        width = max(1, BLOCK // len(cell.members))
        for start in range(0, labels.shape[1], width):
            block = slice(start, start + width)
            inside = np.ascontiguousarray(scores[cell.members, block].T)
            areas[block] += cell.weight * _areas(
                inside, np.ascontiguousarray(labels[cell.members, block].T > 0)
            )
    return np.minimum(areas, 1.0)


BLOCK = 1 << 20
"""Scores that are sorted at a time."""


def _areas(scores: NDArray[np.floating], chosen: NDArray[np.bool_]) -> Values:
    """AUROC of every row, by the chosen ones' ranks (Mann and Whitney 1947): [labellings, m] each."""
    order = np.argsort(scores, axis=1)
    up, ordered = np.take_along_axis(chosen, order, 1), np.take_along_axis(scores, order, 1)
    place = np.arange(scores.shape[1])
    ranks = up @ place.astype(np.float64)
    new = ordered[:, 1:] != ordered[:, :-1]
    for j in np.flatnonzero(~new.all(axis=1)):
        first = np.concatenate([[0], np.flatnonzero(new[j]) + 1, [len(place)]])
        ranks[j] = up[j] @ np.repeat((first[:-1] + first[1:] - 1) / 2, np.diff(first))
    above = up.sum(axis=1)
    compared = above * (len(place) - above)
    areas: Values = np.where(compared > 0, (ranks - above * (above - 1) / 2) / np.maximum(compared, 1), 0.5)
    return areas


def _split(cells: list[Cell], chosen: NDArray[np.bool_]) -> Iterator[tuple[Cell, Ints, Ints]]:
    for cell in cells:
        up = chosen[cell.members]
        yield cell, cell.members[up], cell.members[~up]


def _share_below(values: NDArray[np.floating], others: NDArray[np.floating]) -> Values:
    """For each value the share of the others below it, ties counted half."""
    ordered = np.sort(others)
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    share: Values = (left + right) / (2 * len(others))
    return share
