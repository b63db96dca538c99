"""Do the audit's intervals cover, and are its p-values uniform where nothing is planted? By simulation.

    python scripts/simulate_coverage.py [--sets 2000] [--pairs 100 500 2000] [--designs NAME ...] [--workers 1]

Every row of the table is a design at one number of pairs: so many simulated sets, each measured as an audit measures a
probe, 199 swaps included. The stated value is what the same cross-fitting gives on average over sets of that size: one
half where nothing is planted and the number is an AUROC or an accuracy, else the mean over the simulated sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.probes.folds import make_split
from backfire.auditing.probes.held_out import measure

Values = NDArray[np.float64]

NUMBERS = ("auroc", "accuracy", "pairwise_accuracy", "information")
LONE = {"auroc": 0.5, "accuracy": 0.5, "pairwise_accuracy": 0.5}
"""What is expected where nothing is planted. V-information is not listed: a fitted slope costs some of it."""
SIZES = (100, 500, 2000)


class Design(NamedTuple):
    """How the sides of pairs are drawn, chosen ones first: [2 * pairs, width]."""

    about: str
    draw: Callable[[np.random.Generator, int], Values]
    planted: bool
    pairs_a_prompt: int = 1


def numeric(
    rng: np.random.Generator, pairs: int, *, width: int, shift: float = 0.0, noise: float = 0.0
) -> Values:
    """Normal features, half of whose variance the sides of a pair share.

    The first feature of the chosen side is raised by `shift` deviations; in a share `noise` of the pairs the label is
    then wrong.
    """
    shared, chosen, rejected = rng.normal(size=(3, pairs, width)) * np.sqrt(0.5)
    chosen, rejected = chosen + shared, rejected + shared
    chosen[:, 0] += shift
    wrong = rng.random(pairs) < noise
    chosen[wrong], rejected[wrong] = rejected[wrong], chosen[wrong].copy()
    return np.vstack([chosen, rejected])


def sources(rng: np.random.Generator, pairs: int, *, writers: int, share: float) -> Values:
    """Who wrote each side, one column a writer: two different ones by lot; the earlier is chosen in `share` of pairs."""
    drawn = np.sort(np.argsort(rng.random((pairs, writers)), axis=1)[:, :2], axis=1)
    other_way = rng.random(pairs) >= share
    drawn[other_way] = drawn[other_way, ::-1]
    return np.eye(writers)[drawn.T.ravel()]


def copied(rng: np.random.Generator, pairs: int, *, times: int, width: int, shift: float) -> Values:
    """`numeric`, every pair several times over, as near copies of one prompt are."""
    few = numeric(rng, pairs // times, width=width, shift=shift).reshape(2, pairs // times, width)
    return np.repeat(few, times, axis=1).reshape(-1, width)


DESIGNS = {
    "none": Design("nothing planted, 48 features", partial(numeric, width=48), False),
    "none-1": Design("nothing planted, 1 feature", partial(numeric, width=1), False),
    "cue": Design("a cue in one of 48 features", partial(numeric, width=48, shift=0.6), True),
    "cue-1": Design("a cue, 1 feature", partial(numeric, width=1, shift=0.5), True),
    "noise": Design(
        "the cue in one of 48, a fifth of the labels wrong",
        partial(numeric, width=48, shift=0.6, noise=0.2),
        True,
    ),
    "source": Design(
        "who of 4 wrote it; the label follows in 3 of 4", partial(sources, writers=4, share=0.75), True
    ),
    "copies": Design(
        "a cue in one of 48, four copies of a pair", partial(copied, times=4, width=48, shift=0.6), True, 4
    ),
}
ASKED = ("none", "none-1", "cue", "cue-1", "noise", "source")


def one_set(name: str, pairs: int, swaps: int, number: int) -> Values:
    """(value, low, high, p) of each of NUMBERS, for the set of that number: [4, 4]."""
    design = DESIGNS[name]
    rng = np.random.default_rng([list(DESIGNS).index(name), pairs, number])
    groups = np.arange(pairs) // design.pairs_a_prompt
    found = measure(design.draw(rng, pairs), make_split(groups, controls=swaps, seed=number))
    numbers = [getattr(found, each) for each in NUMBERS]
    return np.array([(n.value, n.low, n.high, n.control["p"]) for n in numbers])


class Simulated(NamedTuple):
    """Many sets of one design and size."""

    design: str
    pairs: int
    swaps: int
    found: Values
    """(value, low, high, p) of each of NUMBERS: [sets, 4, 4]."""

    def truth(self, number: str) -> float:
        if not DESIGNS[self.design].planted and number in LONE:
            return LONE[number]
        return float(self._of(number)[:, 0].mean())

    def coverage(self, number: str) -> float:
        """Share of sets whose interval holds the stated value."""
        _, low, high, _ = self._of(number).T
        truth = self.truth(number)
        return float(np.mean((low <= truth) & (truth <= high)))

    def deviation(self, number: str) -> float:
        """Standard deviation of the estimate over sets."""
        return float(self._of(number)[:, 0].std(ddof=1))

    def stated(self, number: str) -> float:
        """What the intervals take it to be: their mean half width / 1.96."""
        return float(np.mean(self._of(number)[:, 2] - self._of(number)[:, 1]) / (2 * 1.959964))

    def p_values(self, number: str) -> Values:
        return self._of(number)[:, 3]

    def tenths(self, number: str) -> NDArray[np.int64]:
        """How many p-values fell into each tenth of (0, 1]: [10]. With 199 swaps p is a multiple of 1 / 200."""
        steps = np.rint(self.p_values(number) * (self.swaps + 1)).astype(np.int64)
        return np.bincount((steps - 1) * 10 // (self.swaps + 1), minlength=10)

    def _of(self, number: str) -> Values:
        found: Values = self.found[:, NUMBERS.index(number)]
        return found


def simulated(name: str, pairs: int, sets: int, *, swaps: int = 199, workers: int = 1) -> Simulated:
    """Draw and measure that many sets of a design."""
    one = partial(one_set, name, pairs, swaps)
    if workers == 1:
        found = [one(number) for number in range(sets)]
    else:
        with ProcessPoolExecutor(workers) as pool:
            found = list(pool.map(one, range(sets), chunksize=20))
    return Simulated(name, pairs, swaps, np.array(found))


HEAD = (
    "| planted | n | AUROC | deviation (stated) | covered | accuracy | pairwise | bits | p ≤ .05, .5 |",
    "|-|-|-|-|-|-|-|-|-|",
)


def row(found: Simulated) -> str:
    """The figures of a row of the table; shares in per cent."""
    cover = [f"{100 * found.coverage(number):.1f}" for number in NUMBERS]
    p = found.p_values("auroc")
    cells: list[Any] = [
        DESIGNS[found.design].about,
        f"{found.pairs:,}",
        f"{found.truth('auroc'):.3f}",
        f"{found.deviation('auroc'):.4f} ({found.stated('auroc'):.4f})",
        *cover,
        f"{100 * np.mean(p <= 0.05):.1f}, {100 * np.mean(p <= 0.5):.1f}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def rows(designs: list[str], sizes: list[int], sets: int, workers: int) -> Iterator[str]:
    for name in designs:
        for pairs in sizes:
            yield row(simulated(name, pairs, sets, workers=workers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--pairs", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--designs", nargs="+", choices=list(DESIGNS), default=list(ASKED))
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    print("\n".join(HEAD), flush=True)
    for line in rows(asked.designs, asked.pairs, asked.sets, asked.workers):
        print(line, flush=True)


if __name__ == "__main__":
    main()
