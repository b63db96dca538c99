"""What repairing did, beside doing nothing, random filtering and self+rm: Markdown tables of a finished run.

    python scripts/repair_tables.py RUN [--safe self+rm] [--random random] [--picture FILE.svg]

RUN: the run folder of a study with `repairs` (studies/repair.yaml). ASR is the mean of direct and wrapped by the judge that
the report reads, a world's mean the unit. The bar: the upper one-sided 95% limit of the difference to `--safe` is at most
.05, over-refusal and general scores beside it; p is by exact two-sided sign flips over worlds. Where a repair could not be
applied the unrepaired data set stands in its place, and the world is named.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any

from backfire.answers import read_results
from backfire.answers.results import BASELINE, Cell
from backfire.organisms import catalog
from backfire.report.drawing import KIND_COLOURS, MUTED
from backfire.report.study.grid import Grid, Group
from backfire.statistics.clusters import mean_of_clusters, upper_limit
from backfire.statistics.exact_tests import sign_flip

ATTACKS = ("direct", "wrapped")
MARGIN = 0.05
Value = Callable[[Cell], float]


@dataclass(frozen=True)
class Point:
    """A data set in the picture; `repair` is the recipe's name where nothing was repaired."""

    recipe: str
    repair: str
    asr: float
    kept: float


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


def separability(cell: Cell) -> float:
    """AUROC of the words of chosen against rejected."""
    return next((float(r.pointwise.auroc) for r in cell.separability if r.probe == "words"), nan)


def influence(cell: Cell) -> float:
    found = cell.safety_influence
    return nan if found is None or found.cosine is None else float(found.cosine)


def cost(run: Path, cell: Cell) -> tuple[float, float]:
    """(responses drawn for the repair, pairs passed through the policy for it), from what repair.json says was done.

    Reading each pair's influence is one backward pass, counted as two forward ones, and two forward passes; a pilot's step is
    a forward and a backward pass over its batch. Probes, and the responses and scores of `self_pairs`, are not counted:
    every data set of a policy shares them.
    """
    told = cell.provenance
    notes = run / str(told.get("pairs") or "") / "repair.json"
    if not told.get("repair") or not notes.is_file():
        return 0.0, 0.0
    said = json.loads(notes.read_text(encoding="utf-8"))
    settings, given = said["settings"], said["given"]
    drawn = given * settings["tries"] if said["repair"] == "restyle" else 0
    read = (
        5 * given
        if said["mean_influence"] is not None and not settings.get("at_random", settings.get("control"))
        else 0
    )
    if said["repair"] in ("balance", "restyle"):
        read = 0
    pilot = settings.get("pilot")
    if pilot:
        read += 3 * len(said["auto"]["ladder"]) * pilot["steps"] * pilot["batch_size"]
    return float(drawn), float(read)


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


Key = tuple[str, str | None, str | None]


def standing(grid: Grid, group: Group, key: Key) -> Cell | None:
    """The cell, or that of the unrepaired recipe where the repair was not trained on."""
    recipe, repair, training = key
    cell = named(group, recipe, repair, training)
    if repair is not None and (cell is None or not isfinite(asr(grid, cell))):
        return named(group, recipe, None, training)
    return cell


def difference(grid: Grid, one: Key, other: Key) -> str:
    """ASR of one less the other's, within groups, over worlds: mean, upper one-sided 95% limit, p, n."""
    found = []
    for group in grid.groups:
        a, b = standing(grid, group, one), standing(grid, group, other)
        if a is not None and b is not None and one != other:
            found.append((group.world, asr(grid, a) - asr(grid, b)))
    values = by_world(found)
    if not values:
        return "NaN"
    limit = upper_limit(values)
    if not isfinite(limit):
        return f"{mean(values):+.3f} (n = {len(values)})"
    return f"{mean(values):+.3f} (upper {limit:+.3f}, p {sign_flip(values):.3f}, n = {len(values)})"


def table(run: Path, grid: Grid, safe: str, random: str) -> list[Point]:
    """Print one row per recipe and repair; return the picture's points."""
    places: dict[Key, list[tuple[str, Cell]]] = defaultdict(list)
    left: dict[str, float] = {}
    absent: dict[Key, list[str]] = defaultdict(list)
    keys = list(dict.fromkeys(of(cell) for group in grid.groups for cell in group.cells))
    for group in grid.groups:
        for key in keys:
            cell = standing(grid, group, key)
            if cell is not None:
                places[key].append((group.world, cell))
                left[cell.id] = kept(grid, group, cell)
                if of(cell) != key:
                    absent[key].append(group.world)
    print(
        f"| data set | worlds | pairs | ASR | over-refusal | broken | general mean | above chance kept | less "
        f"{safe} | less nothing | less {random} "
        "| words' AUROC | cosine | responses drawn | pairs passed |"
    )
    print("|-" * 15 + "|")
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
            f"| {label} | {len(rates)} | {format(mean(pairs), '.0f') if pairs else '–'} | {shown(rates)} | "
            f"{shown(over(lambda c: over_refusal(grid, c)))} "
            f"| {shown(over(lambda c: broken(grid, c)))} | {shown(scores)} | {shown(over(lambda c: left[c.id]))} | {' | '.join(against)} "
            f"| {shown(over(separability), '.2f')} | {shown(over(influence), '.2f')} "
            f"| {mean(over(lambda c: cost(run, c)[0])):.0f} | {mean(over(lambda c: cost(run, c)[1])):.0f} |"
        )
        points.append(
            Point(recipe, label.removeprefix(recipe + "~"), mean(rates), mean(over(lambda c: left[c.id])))
        )
    for (recipe, repair, _), worlds in absent.items():
        print(
            f"\n{recipe}~{repair} could not be applied in w{', w'.join(worlds)}: the unrepaired set stands there."
        )
    print(
        f"\nNon-inferior to {safe}: an upper limit of at most {MARGIN:+.2f}. NaN: nothing to compare or a single world."
    )
    return points


def picture(points: list[Point], path: Path) -> None:
    """ASR against what is kept of the general scores, better towards the upper left; the front is joined."""
    from backfire.report.drawing import altair, to_svg

    alt = altair()
    known = [p for p in points if isfinite(p.asr) and isfinite(p.kept)]
    front = [p for p in known if not any(dominates(o, p) for o in known)]
    known.sort(key=lambda p: p.asr)
    x, y = "attack success", "general ability above chance kept"
    rows = [
        {"repair of": p.recipe, "name": p.repair, x: p.asr, y: p.kept, "above": i % 2 == 0}
        for i, p in enumerate(known)
    ]
    line = [{x: p.asr, y: p.kept} for p in sorted(front, key=lambda p: p.asr)]
    axes = {
        "x": alt.X(f"{x}:Q", scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(format=".0%")),
        "y": alt.Y(f"{y}:Q", scale=alt.Scale(domain=[0.95, 1.05]), axis=alt.Axis(format=".0%")),
    }
    colour = alt.Color("repair of:N", scale=alt.Scale(range=[*KIND_COLOURS.values()]))
    layers = [alt.Chart(alt.Data(values=line)).mark_line(strokeDash=[3, 3], color=MUTED).encode(**axes)]
    layers.append(alt.Chart(alt.Data(values=rows)).mark_circle(size=70).encode(**axes, color=colour))
    for above, offset in ((True, -11), (False, 13)):
        some = [row for row in rows if row["above"] is above]
        names = alt.Chart(alt.Data(values=some)).mark_text(dy=offset, fontSize=10)
        layers.append(names.encode(**axes, text="name:N", color=colour))
    path.write_text(
        to_svg(alt.layer(*layers).properties(width=640, height=380), background="#ffffff"), encoding="utf-8"
    )


def dominates(one: Point, other: Point) -> bool:
    """No worse in both, better in one."""
    return one.asr <= other.asr and one.kept >= other.kept and (one.asr, one.kept) != (other.asr, other.kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--safe", default="self+rm")
    parser.add_argument("--random", default="random")
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    run = asked.run if asked.run.is_dir() else asked.run.parent
    points = table(run, Grid(read_results(asked.run)), asked.safe, asked.random)
    if asked.picture is not None:
        picture(points, asked.picture)


if __name__ == "__main__":
    main()
