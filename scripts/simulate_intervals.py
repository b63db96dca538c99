"""Do intervals of rates, paired differences, corrected rates and agreement cover, where cases share prompts? By simulation.

    python scripts/simulate_intervals.py [--sets 500]

Cases of a cluster share a chance, which is drawn from a beta distribution; its correlation is stated. Every row is the share of so
many simulated sets whose 95% interval holds the true value, beside that of an interval that knows nothing of clusters.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.judges import agreement
from backfire.statistics import clustered_wilson, wilson
from backfire.statistics.corrected_rates import corrected_rate
from backfire.statistics.exact_tests import swap_p
from backfire.statistics.paired_outcomes import bootstrap_interval

Values = NDArray[np.float64]
UNEVEN, PAIRED_UNEVEN = (1, 2, 20), (2, 3, 5, 40)
SIMILAR = 0.2
"""Correlation within a cluster of the paired designs."""


def chances(rng: np.random.Generator, mean: float, correlation: float, clusters: int) -> Values:
    spread = 1 / correlation - 1
    return rng.beta(mean * spread, (1 - mean) * spread, clusters)


def rates(sets: int) -> None:
    print("| clusters | sizes | rate | correlation | covered | as if independent |\n|-|-|-|-|-|-|")
    designs = [
        (10, 0.3, 0.3),
        (10, 0.3, 0.6),
        (20, 0.1, 0.6),
        (40, 0.05, 0.6),
        (40, 0.05, 0.01),
        (40, 0.3, 0.3),
    ]
    for sizes in (UNEVEN, (5,)):
        for clusters, rate, correlation in designs:
            rng, held, plain = np.random.default_rng(0), 0, 0
            for _ in range(sets):
                n = rng.choice(sizes, clusters)
                hits = rng.binomial(n, chances(rng, rate, correlation, clusters))
                low, high = clustered_wilson(hits.tolist(), n.tolist())
                held += low <= rate <= high
                low, high = wilson(int(hits.sum()), int(n.sum()))
                plain += low <= rate <= high
            print(
                f"| {clusters} | {_listed(sizes)} | {rate} | {correlation} | {held / sets:.3f} | {plain / sets:.3f} |"
            )


def differences(sets: int) -> None:
    print(
        "\n| clusters | sizes | difference | covered | bootstrap alone | 0 outside, p ≥ .05 | p < .05 | p < .05 by prompt |"
        "\n|-|-|-|-|-|-|-|-|"
    )
    designs = [
        (6, (20,)),
        (8, (20,)),
        (12, (20,)),
        (10, PAIRED_UNEVEN),
        (15, PAIRED_UNEVEN),
        (20, PAIRED_UNEVEN),
    ]
    for clusters, sizes in [*designs, (40, (5,))]:
        for after in (0.3, 0.6):
            rng, counts, true = np.random.default_rng(0), np.zeros(5), after - 0.3
            for _ in range(sets):
                n = rng.choice(sizes, clusters)
                one, other = (
                    rng.random((2, clusters, max(sizes))) < _both(rng, (0.3, after), clusters)[:, :, None]
                )
                asked = np.arange(max(sizes)) < n[:, None]
                change = (other.astype(int) - one) * asked
                sums = change.sum(axis=1)
                low, high = bootstrap_interval(sums.tolist(), n.tolist(), seed=0)
                drawn = _bootstrap(rng, sums, n)
                p, alone = swap_p(sums.tolist()), swap_p(change[asked].tolist())
                assert low is not None
                assert high is not None
                outside = (low > 0 or high < 0) and p >= 0.05
                counts += (low <= true <= high, drawn[0] <= true <= drawn[1], outside, p < 0.05, alone < 0.05)
            told = " | ".join(f"{count / sets:.3f}" for count in counts)
            print(f"| {clusters} | {_listed(sizes)} | {true:.1f} | {told} |")


def _both(rng: np.random.Generator, means: Sequence[float], clusters: int) -> Values:
    return np.array([chances(rng, mean, SIMILAR, clusters) for mean in means])


def _bootstrap(rng: np.random.Generator, sums: NDArray[np.int64], n: NDArray[np.int64]) -> Values:
    chosen = rng.integers(0, len(n), size=(2000, len(n)))
    found: Values = np.quantile(sums[chosen].sum(axis=1) / n[chosen].sum(axis=1), [0.025, 0.975])
    return found


def corrected(sets: int) -> None:
    print(
        "\n| prompts | responses | labels | labelled prompts | correlation | covered | as if independent |\n|-|-|-|-|-|-|-|"
    )
    for prompts, judged, known, same, correlation in (
        (40, 10, 20, False, 0.3),
        (40, 10, 20, True, 0.3),
        (40, 10, 20, False, 0.05),
        (15, 20, 40, False, 0.3),
    ):
        rng, held, plain, told = np.random.default_rng(0), 0, 0, 0
        for _ in range(sets):
            means = (0.3, 0.8, 0.85)  # harm, sensitivity, specificity
            drawn = [chances(rng, mean, correlation, prompts) for mean in means]
            asked = drawn if same else [chances(rng, mean, correlation, prompts) for mean in means]
            outcomes, _, groups = _judged(rng, drawn, judged)
            found, labels, of_labels = _judged(rng, asked, known)
            pairs = list(zip(found, labels, strict=True))
            ours = corrected_rate(outcomes, pairs, groups=groups, labelled_groups=of_labels)
            alone = corrected_rate(outcomes, pairs)
            if ours.low is None or ours.high is None or alone.low is None or alone.high is None:
                continue
            told += 1
            held += ours.low <= means[0] <= ours.high
            plain += alone.low <= means[0] <= alone.high
        which = "the same" if same else "others"
        print(
            f"| {prompts} | {judged} each | {known} each | {which} | {correlation} | {held / told:.3f} | {plain / told:.3f} |"
        )


def _judged(
    rng: np.random.Generator, drawn: Sequence[Values], each: int
) -> tuple[list[bool], list[bool], list[int]]:
    """(findings, labels, prompts) of so many responses to each prompt."""
    harm, sensitivity, specificity = (np.repeat(values, each) for values in drawn)
    labels = rng.random(len(harm)) < harm
    found = np.where(labels, rng.random(len(harm)) < sensitivity, rng.random(len(harm)) >= specificity)
    return found.tolist(), labels.tolist(), np.repeat(np.arange(len(drawn[0])), each).tolist()


def agreements(sets: int) -> None:
    print("\n| prompts | responses | F1 covered | kappa covered |\n|-|-|-|-|")
    truth = {"f1": 2 * 0.425 / (2 * 0.425 + 0.075 + 0.1), "kappa": 2 * (0.425 + 0.4) - 1}
    for prompts, each in ((5, 20), (10, 10), (40, 5), (200, 1), (12, 1)):
        rng, held = np.random.default_rng(0), dict.fromkeys(truth, 0)
        for _ in range(sets):
            drawn = [chances(rng, mean, SIMILAR, prompts) for mean in (0.5, 0.85, 0.8)]
            found, labels, groups = _judged(rng, drawn, each)
            intervals = agreement(found, labels, groups, judge="").intervals
            for name, value in truth.items():
                low, high = intervals.get(name, (-1.0, 1.0))
                held[name] += low <= value <= high
        print(f"| {prompts} | {each} each | {held['f1'] / sets:.3f} | {held['kappa'] / sets:.3f} |")


def _listed(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=500, help="simulated sets of a row")
    sets = parser.parse_args().sets
    for table in (rates, differences, corrected, agreements):
        table(sets)


if __name__ == "__main__":
    main()
