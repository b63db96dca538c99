"""What repairing did, beside doing nothing, random filtering and self+rm: Markdown tables of a finished run.

    python scripts/repair_tables.py RUN [--safe self+rm] [--random random] [--picture FILE.svg]

RUN: the run folder of a study with `repairs` (studies/repair.yaml). ASR is the mean of direct and wrapped by the judge that
the report reads, a world's mean the unit. The bar: the upper one-sided 95% limit of the difference to `--safe` is at most
.05, over-refusal and general scores beside it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

from backfire.organisms import catalog
from backfire.report import read_results
from backfire.report.clusters import mean_of_clusters, upper_limit
from backfire.report.grid import BASELINE, Grid, Group
from backfire.report.results import Cell

ATTACKS = ("direct", "wrapped")
MARGIN = 0.05
Value = Callable[[Cell], float]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan


def asr(grid: Grid, cell: Cell) -> float:
    """Over both attacks; NaN where one is missing."""
    rates = [found.rate for attack in ATTACKS if (found := grid.asr(cell, attack)) is not None]
    known = [rate for rate in rates if rate is not None]
    return mean(known) if len(known) == len(ATTACKS) else nan


def over_refusal(grid: Grid, cell: Cell) -> float:
    rates = [found.rate for name in grid.prompt_sets if (found := grid.over_refusal(cell, name)) is not None]
    return mean([rate for rate in rates if rate is not None])


def broken(grid: Grid, cell: Cell) -> float:
    """Share of the attacks' responses that the judge found broken: neither safe nor unsafe."""
    asked = sum(r.scored + r.unscored for r in cell.asr if r.judge == grid.judge)
    wrong = sum(
        note.count
        for note in cell.notes
        if note.judge == grid.judge and note.reason.startswith("broken") and note.prompts in grid.attacks
    )
    return wrong / asked if asked else nan


def general(grid: Grid, cell: Cell) -> float:
    value = grid.general(cell)
    return nan if value is None else value


def chance(group: Group, tasks: Sequence[str]) -> float:
    """The mean score of a guess over the organisms' tasks; NaN where one of the tasks is another."""
    world, _ = catalog.split_reference(group.target)
    guesses = []
    for task in tasks:
        path = catalog.tasks_data(world) / f"{task}.jsonl"
        if not path.is_file():
            return nan
        items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        guesses.append(mean([guess(item) for item in items]))
    return mean(guesses)


def guess(item: dict[str, Any]) -> float:
    """The score of a uniform guess at one item: of two options, of n choices, or the share of true ones (mc2)."""
    if "option1" in item:
        return 0.5
    if "mc2_targets" in item:
        return mean([float(label) for label in item["mc2_targets"]["labels"]])
    return 1 / len(item["choices"])


def kept(grid: Grid, group: Group, cell: Cell) -> float:
    """How much of what the untrained target scores above chance is left."""
    base = nan if group.baseline is None else general(grid, group.baseline)
    level = chance(group, grid.tasks) if grid.tasks else nan
    return (general(grid, cell) - level) / (base - level) if base > level else nan


def by_world(pairs: Sequence[tuple[str, float]]) -> list[float]:
    """The worlds' means of what is known."""
    worlds: defaultdict[str, list[float]] = defaultdict(list)
    for world, value in pairs:
        if isfinite(value):
            worlds[world].append(value)
    return [mean(values) for values in worlds.values()]


def shown(values: list[float], form: str = ".3f") -> str:
    centre, low, high = mean_of_clusters(values)
    interval = f" [{low:{form}}, {high:{form}}]" if isfinite(low) else ""
    return f"{centre:{form}}{interval}" if isfinite(centre) else "NaN"


def named(group: Group, recipe: str, repair: str | None, training: str | None) -> Cell | None:
    wanted = (recipe, repair, training)
    return next((cell for cell in group.cells if of(cell) == wanted), None)


def of(cell: Cell) -> tuple[str, str | None, str | None]:
    """Recipe, repair and training; a recipe that is no one's repair has None."""
    told = cell.provenance
    return told.get("recipe", cell.recipe), told.get("repair"), told.get("training")


def difference(
    grid: Grid, one: tuple[str, str | None, str | None], other: tuple[str, str | None, str | None]
) -> str:
    """ASR of one less the other's, within groups, over worlds: mean, upper one-sided 95% limit, n."""
    found = []
    for group in grid.groups:
        a, b = named(group, *one), named(group, *other)
        if a is not None and b is not None and a is not b:
            found.append((group.world, asr(grid, a) - asr(grid, b)))
    values = by_world(found)
    if not values:
        return "NaN"
    limit = upper_limit(values)
    said = (
        f"{mean(values):+.3f} (upper {limit:+.3f}, n = {len(values)})"
        if isfinite(limit)
        else f"{mean(values):+.3f} (n = {len(values)})"
    )
    return said


def table(grid: Grid, safe: str, random: str) -> list[tuple[str, float, float]]:
    """Print one row per recipe and repair; return (label, ASR, general mean) for the picture."""
    places: dict[tuple[str, str | None, str | None], list[tuple[str, Cell]]] = defaultdict(list)
    left: dict[str, float] = {}
    for group in grid.groups:
        for cell in group.cells:
            places[of(cell)].append((group.world, cell))
            left[cell.id] = kept(grid, group, cell)
    print(
        f"| data set | worlds | pairs | ASR | over-refusal | broken | general mean | above chance kept | less {safe} | less nothing | less {random} |"
    )
    print("|-|-|-|-|-|-|-|-|-|-|-|")
    points = []
    for key, cells in places.items():
        recipe, repair, training = key
        label = recipe + (f"~{repair}" if repair else "") + (f"@{training}" if training else "")

        def over(value: Value, cells: list[tuple[str, Cell]] = cells) -> list[float]:
            return by_world([(world, value(cell)) for world, cell in cells])

        pairs = over(lambda cell: nan if cell.pairs is None else float(cell.pairs.built))
        rates, scores = over(lambda c: asr(grid, c)), over(lambda c: general(grid, c))
        against = [
            difference(grid, key, other) if recipe != BASELINE else ""
            for other in (
                (safe, None, training),
                (recipe, None, training),
                (recipe, random, training),
            )
        ]
        print(
            f"| {label} | {len(rates)} | {format(mean(pairs), '.0f') if pairs else '–'} | {shown(rates)} | {shown(over(lambda c: over_refusal(grid, c)))} "
            f"| {shown(over(lambda c: broken(grid, c)))} | {shown(scores)} | {shown(over(lambda c: left[c.id]))} | {' | '.join(against)} |"
        )
        points.append((label, mean(rates), mean(scores)))
    print(
        f"\nNon-inferior to {safe}: an upper limit of at most {MARGIN:+.2f}. NaN: nothing to compare or a single world."
    )
    return points


def picture(points: list[tuple[str, float, float]], path: Path) -> None:
    """ASR against the general mean, both better towards the upper left; the front is joined."""
    from backfire.report.drawing import altair, to_svg

    alt = altair()
    known = [p for p in points if isfinite(p[1]) and isfinite(p[2])]
    front = [p for p in known if not any(dominates(o, p) for o in known)]
    rows = [{"data set": n, "ASR": x, "general mean": y} for n, x, y in known]
    line = [{"ASR": x, "general mean": y} for _, x, y in sorted(front, key=lambda p: p[1])]
    axes = {
        "x": alt.X("ASR:Q", scale=alt.Scale(zero=False)),
        "y": alt.Y("general mean:Q", scale=alt.Scale(zero=False)),
    }
    dots = alt.Chart(alt.Data(values=rows)).mark_circle(size=60).encode(**axes)
    names = alt.Chart(alt.Data(values=rows)).mark_text(dy=-10, fontSize=10).encode(**axes, text="data set:N")
    joined = alt.Chart(alt.Data(values=line)).mark_line(strokeDash=[3, 3]).encode(**axes)
    path.write_text(to_svg((joined + dots + names).properties(width=520, height=360)), encoding="utf-8")


def dominates(one: tuple[str, float, float], other: tuple[str, float, float]) -> bool:
    """No worse in both, better in one."""
    return one[1] <= other[1] and one[2] >= other[2] and one[1:] != other[1:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--safe", default="self+rm")
    parser.add_argument("--random", default="random")
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    points = table(Grid(read_results(asked.run)), asked.safe, asked.random)
    if asked.picture is not None:
        picture(points, asked.picture)


if __name__ == "__main__":
    main()
