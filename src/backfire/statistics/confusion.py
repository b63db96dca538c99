"""Figures of a judge against labels, such as precision and Cohen's kappa, and their intervals, from clustered counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfire.statistics.intervals import clustered_wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 2000
"""Bootstrap samples of clusters, for kappa."""
FIGURES = ("accuracy", "precision", "recall", "specificity", "f1", "kappa")


def figures(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Each figure of tables [tables, 4] of hits, false alarms, misses, passes; NaN where it is undefined."""
    import numpy as np

    hits, alarms, misses, passes = counts.T
    n = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = (hits + passes) / n
        by_chance = _by_chance(counts)
        return {
            "accuracy": accuracy,
            "precision": hits / (hits + alarms),
            "recall": hits / (hits + misses),
            "specificity": passes / (passes + alarms),
            "f1": 2 * hits / (2 * hits + alarms + misses),
            "kappa": (accuracy - by_chance) / (1 - by_chance),
        }


def _by_chance(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The agreement that judge and people would have by chance, of tables [tables, 4]."""
    hits, alarms, misses, passes = counts.T
    chance: NDArray[np.float64] = (
        (hits + alarms) * (hits + misses) + (misses + passes) * (alarms + passes)
    ) / counts.sum(axis=1) ** 2
    return chance


def intervals(table: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """The 95% interval of each figure, of a table [clusters, 4] of hits, false alarms, misses, passes.

    `clustered_wilson` for accuracy, precision, recall and specificity, and for F1 = 2J / (1 + J) that of
    J = hits / (hits + false alarms + misses). For kappa percentiles of cluster bootstraps, never narrower than the interval
    of accuracy at the agreement by chance that was seen (Cohen 1960), for few clusters resampled vary too little.
    """
    import numpy as np

    hits, alarms, misses, passes = table.T
    ratios = {
        "accuracy": (hits + passes, table.sum(axis=1)),
        "precision": (hits, hits + alarms),
        "recall": (hits, hits + misses),
        "specificity": (passes, passes + alarms),
        "f1": (hits, hits + alarms + misses),
    }
    bounds = {name: clustered_wilson(above, below) for name, (above, below) in ratios.items() if below.sum()}
    if "f1" in bounds:
        low, high = (2 * bound / (1 + bound) for bound in bounds["f1"])
        bounds["f1"] = low, high
    generator = np.random.default_rng(0)
    resampled = generator.multinomial(len(table), np.full(len(table), 1 / len(table)), size=RESAMPLES) @ table
    kappas = figures(resampled)["kappa"]
    by_chance = float(_by_chance(table.sum(axis=0)[None])[0])
    if by_chance < 1 and np.isfinite(kappas).sum() > RESAMPLES / 2:
        low, high = np.nanpercentile(kappas, [2.5, 97.5])
        cohen = [(bound - by_chance) / (1 - by_chance) for bound in bounds["accuracy"]]
        bounds["kappa"] = max(-1.0, min(float(low), cohen[0])), min(1.0, max(float(high), cohen[1]))
    return bounds
