"""What studies/real-small.yaml found: Markdown tables of a run, finished or not, for docs/real-models.md.

    python scripts/real_small_tables.py RUN

A unit is a policy with a draw of prompts, which is a target of the study file. Rates are of all harmful requests together, by judge
`refusals`; those by other judges stand beside them. Claims, predictors and tests are those that docs/log.md named before the first
policy was trained. A unit enters a test with the cells that it has, and units that lack some are named.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any

from prediction_tables import number, predictors, read

from backfire.answers import read_results
from backfire.answers.results import BASELINE, Cell
from backfire.statistics.clusters import mean_of_clusters
from backfire.statistics.exact_tests import holm, sign_flip
from backfire.statistics.intervals import wilson
from backfire.statistics.orderings import Trained, order_of

JUDGE = "refusals"
WAYS = ("direct", "alpaca")
CLAIMS = {
    "gpt4o+self is attacked more easily than self+rm": ("gpt4o+self", "self+rm"),
    "than with a coin for its labels": ("gpt4o+self", "gpt4o+self-random"),
    "than after restyling": ("gpt4o+self", "gpt4o+self~restyled"),
}
PREDICTORS = (
    *(
        "activation contrast",
        "activation cosine",
        "projection difference",
        "CHES likeness",
        "pilot margin change",
    ),
    *("decision contrast", "LossDiff", "length gap", "reward-model margin"),
)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    run = Path(sys.argv[1])
    results = read_results(run)
    units: defaultdict[str, dict[str, Cell]] = defaultdict(dict)
    for cell in results.cells:
        units[cell.family][cell.recipe] = cell
    recipes = [name for name in expected(results.study) if any(name in cells for cells in units.values())]
    whole = [unit for unit, cells in units.items() if set(expected(results.study)) <= set(cells)]
    print(f"{len(results.cells)} cells in {len(units)} units; whole units: {', '.join(whole) or 'none'}.\n")
    for unit, cells in units.items():
        print(f"**{unit}**\n")
        there = [name for name in recipes if name in cells]
        table(cells, there, run)
        print()
        if BASELINE in cells:
            foreseen(cells, [name for name in there if name != BASELINE], run)
            print()
            over_steps(cells, there)
            print()
    usable = [unit for unit, cells in units.items() if BASELINE in cells]
    claims(units, usable, run)
    orderings(units, usable, run)


def expected(study: dict[str, Any]) -> list[str]:
    """The recipes and repairs of the study file, the untrained policy first."""
    repairs = study.get("repairs") or {}
    repaired = [f"{recipe}~{name}" for name, how in repairs.items() for recipe in how.get("of", ())]
    return [BASELINE, *study["recipes"], *repaired, *(["rloo"] if study.get("rloo") else [])]


def attacked(cell: Cell, way: str, judge: str = JUDGE) -> tuple[int, int, int]:
    """Harmful, scored and unscored responses, over all sets of harmful requests."""
    rows = [row for row in cell.asr if row.judge == judge and row.attack.rpartition("/")[2] == way]
    return sum(r.harmful for r in rows), sum(r.scored for r in rows), sum(r.unscored for r in rows)


def refused(cell: Cell, judge: str = JUDGE) -> tuple[int, int]:
    rows = [row for row in cell.over_refusal if row.judge == judge]
    return sum(r.refusals for r in rows), sum(r.scored for r in rows)


def share(hits: int, n: int) -> str:
    if not n:
        return "–"
    low, high = wilson(hits, n)
    return f"{hits / n:.1%} [{low:.1%}, {high:.1%}]"


def rate(cell: Cell, way: str, judge: str = JUDGE) -> float:
    hits, n, _ = attacked(cell, way, judge)
    return hits / n if n else nan


def asr(cell: Cell, judge: str = JUDGE) -> float:
    return fmean(rate(cell, way, judge) for way in WAYS)


def table(cells: dict[str, Cell], recipes: list[str], run: Path) -> None:
    others = sorted({row.judge for cell in cells.values() for row in cell.asr} - {JUDGE})
    heads = ["data", "pairs", *(f"ASR, {way}" for way in WAYS), "unscored"]
    heads += [f"mean ASR by {judge.rpartition('/')[2]}" for judge in others]
    heads += ["needless refusals", "general tasks", "contrast before"]
    print("| " + " | ".join(heads) + " |\n" + "|-" * len(heads) + "|")
    for name in recipes:
        cell = cells[name]
        counts = [attacked(cell, way) for way in WAYS]
        built = "–" if cell.pairs is None else str(cell.pairs.built)
        scores = [score.value for score in cell.general if score.value is not None]
        values = [name, built, *(share(hits, n) for hits, n, _ in counts), str(sum(c[2] for c in counts))]
        values += [f"{asr(cell, judge):.1%}" for judge in others]
        values += [share(*refused(cell)), f"{fmean(scores):.3f}" if scores else "–"]
        contrast = read(run, cell.provenance.get("influence"))
        told = contrast.get("influence") or {}
        parts = [
            number(told, "predictors", "activation-contrast", "value", end)
            for end in ("value", "low", "high")
        ]
        values.append("{:+.3f} [{:+.3f}, {:+.3f}]".format(*parts) if all(map(isfinite, parts)) else "–")
        print("| " + " | ".join(values) + " |")


def foreseen(cells: dict[str, Cell], recipes: list[str], run: Path) -> None:
    """What each predictor said of each data set before training; – where it could not say."""
    print(
        "| data | change of ASR, points | "
        + " | ".join(PREDICTORS)
        + " |\n"
        + "|-" * (2 + len(PREDICTORS))
        + "|"
    )
    for name in recipes:
        before = predictors(run, cells[name].provenance)
        values = [before.get(predictor, nan) for predictor in PREDICTORS]
        shown = ["–" if not isfinite(value) else f"{value:+.3f}" for value in values]
        change = 100 * (asr(cells[name]) - asr(cells[BASELINE]))
        print(f"| {name} | {change:+.1f} | " + " | ".join(shown) + " |")


def over_steps(cells: dict[str, Cell], recipes: list[str]) -> None:
    """What was watched before the first step and after the last: refusals and margin on probe prompts, and the pairs themselves."""
    watched = {name: cell.training.watch for name in recipes if (cell := cells[name]).training is not None}
    print(
        "| data | steps | probes refused | refusal margin | log p, chosen | log p, rejected | reward accuracy |\n|-|-|-|-|-|-|-|"
    )
    for name, rows in watched.items():
        if not rows:
            continue
        first, last = rows[0], rows[-1]
        moves = [
            "–" if None in (before, after) else f"{before:.{places}f} → {after:.{places}f}"
            for before, after, places in (
                (first.refused, last.refused, 2),
                (first.refusal_margin, last.refusal_margin, 2),
                (first.logps_chosen, last.logps_chosen, 1),
                (first.logps_rejected, last.logps_rejected, 1),
            )
        ]
        accuracy = "–" if last.watched_accuracy is None else f"{last.watched_accuracy:.2f}"
        print(f"| {name} | {last.step} | " + " | ".join(moves) + f" | {accuracy} |")


def difference(unit: str, run: Path, first: Cell, second: Cell) -> str:
    """Difference in mean ASR of two cells of a unit, with its interval where the verdicts of single requests are at hand."""
    low, high = (100 * bound for bound in paired(run, first, second))
    interval = f" [{low:+.1f}, {high:+.1f}]" if isfinite(low) else ""
    return f"{unit} {100 * (asr(first) - asr(second)):+.1f}{interval}"


def paired(run: Path, first: Cell, second: Cell) -> tuple[float, float]:
    """Student's 95% interval of that difference over the requests, which both answered; NaN without them."""
    both = [read(run, cell.provenance.get("attack")).get("outcomes") for cell in (first, second)]
    if None in both:
        return nan, nan
    of_request: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for attack in both[0]:
        requests, _, way = attack.rpartition("/")
        if way not in WAYS:
            continue
        before, after = (outcomes[attack][JUDGE] for outcomes in both)
        for request in before.keys() & after.keys():
            if None not in (before[request], after[request]):
                of_request[requests, request].append(float(before[request]) - float(after[request]))
    _, low, high = mean_of_clusters([fmean(differences) for differences in of_request.values()])
    return low, high


def claims(units: dict[str, dict[str, Cell]], usable: list[str], run: Path) -> None:
    print(
        "Claims: difference in mean ASR, percentage points. Of a unit's difference the interval is over its requests\n"
    )
    rows: dict[str, tuple[list[str], list[float]]] = {}
    for claim, (first, second) in CLAIMS.items():
        there = [unit for unit in usable if first in units[unit] and second in units[unit]]
        rows[claim] = there, [asr(units[u][first]) - asr(units[u][second]) for u in there]
    tested = {claim: sign_flip(values) for claim, (_, values) in rows.items() if values}
    adjusted = holm(tested)
    print("| claim | units | mean [95%] | p, sign flips | p, Holm | units' differences |\n|-|-|-|-|-|-|")
    for claim, (there, values) in rows.items():
        if not values:
            print(f"| {claim} | 0 | – | – | – | – |")
            continue
        mean, low, high = (100 * value for value in mean_of_clusters(values))
        pair = CLAIMS[claim]
        each = ", ".join(difference(unit, run, *(units[unit][name] for name in pair)) for unit in there)
        print(
            f"| {claim} | {len(values)} | {mean:+.1f} [{low:+.1f}, {high:+.1f}] | {tested[claim]:.3f} | {adjusted[claim]:.3f} "
            f"| {each} |"
        )


def orderings(units: dict[str, dict[str, Cell]], usable: list[str], run: Path) -> None:
    trained = [
        Trained(
            unit,
            unit,
            predictors(run, cell.provenance),
            {"ASR change": asr(cell) - asr(units[unit][BASELINE])},
        )
        for unit in usable
        for name, cell in units[unit].items()
        if name != BASELINE
    ]
    print("\nSpearman's rho with the change in mean ASR, within units\n")
    print("| predictor | units | cells | mean rho [95%] | p, sign flips | p, Holm | units |\n|-|-|-|-|-|-|-|")
    found = {name: order_of(trained, name, "ASR change") for name in PREDICTORS}
    adjusted = holm({name: one.p for name, one in found.items() if isfinite(one.p)})
    for name, one in found.items():
        each = ", ".join(f"{unit} {rho:+.2f}" for unit, rho in one.by_world.items())
        print(
            f"| {name} | {len(one.by_world)} | {one.cells} | {one.mean:+.2f} [{one.low:+.2f}, {one.high:+.2f}] | {one.p:.3f} "
            f"| {adjusted.get(name, nan):.3f} | {each} |"
        )


if __name__ == "__main__":
    main()
