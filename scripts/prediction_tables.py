"""Does what a study measured before training order its data sets by what training did? Markdown tables of a finished run.

    python scripts/prediction_tables.py RUN [--predictor NAME] [--outcome NAME] [--recipes A,B,...] [--cells]

RUN: the run folder of a study with `influence` (studies/influence.yaml). Cells are ranked within one policy and one
training; a world's mean is the unit. The primary predictor and outcome stand alone; the other predictors of that outcome, and the
primary one on direct requests, are Holm-corrected together; other outcomes are shown without a correction.
What is said of differences between predictors, of signs and of shorter pilots was not named beforehand and is not corrected.
"""

from __future__ import annotations

import argparse
import json
from math import isfinite, nan
from pathlib import Path
from typing import Any

from backfire.answers import read_results
from backfire.answers.results import BASELINE, Cell
from backfire.organisms import catalog
from backfire.report.study.grid import Grid
from backfire.statistics.orderings import (
    Ordering,
    Trained,
    by_knob,
    corrected,
    differ,
    order_of,
    repeatability,
)
from backfire.study import parse_study

PRIMARY, OUTCOME = "influence cosine", "wrapped ASR change"
ATTACKS = ("wrapped", "direct")
OUTCOMES = (OUTCOME, "direct ASR change", "mean ASR change", "margin change")
SECOND = (PRIMARY, "direct ASR change")
"""What is corrected together with the other predictors of the primary outcome; all else is shown without a correction."""
RIVALS = ("length gap", "LossDiff", "decision contrast", "reward-model margin")
PREDICTORS = (
    *(PRIMARY, "influence, Adam sign", "influence, projection", "pilot margin change", "bag-of-words cosine"),
    *("activation contrast", "activation cosine", "projection difference", "CHES likeness"),
    *("separability, words", "separability, words, decision-matched", *RIVALS),
)


PILOT = "pilot margin change"
SIGNED = (PRIMARY, "influence, Adam sign", PILOT, "bag-of-words cosine", "decision contrast")
"""Predictors whose zero means no change."""
MOVED = 0.1
"""Change of a rate that counts as one when signs are compared."""


def read(run: Path, place: str | None) -> dict[str, Any]:
    path = run / place if place else None
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}


def number(*steps: Any) -> float:
    """Follow keys into a JSON value: NaN where something on the way is not there."""
    value, *keys = steps
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return nan if value is None else float(value)


def rate(grid: Grid, cell: Cell | None, attack: str) -> float:
    found = grid.asr(cell, attack)
    return nan if found is None or found.rate is None else found.rate


def predictors(run: Path, told: dict[str, Any]) -> dict[str, float]:
    measured = read(run, told.get("influence"))
    influence, rivals = measured.get("influence") or {}, measured.get("rivals") or {}
    refusal = influence.get("refusal") or {}
    probes = read(run, told.get("audit")).get("separability") or []
    # `probe` was called `rung` in audits of schema 4.
    words: dict[str, Any] = next(
        (row for row in probes if "words" in (row.get("probe"), row.get("rung"))), {}
    )
    cosine = number(refusal, "cosine", "value")
    return {
        PRIMARY: cosine if isfinite(cosine) else number(refusal, "point"),
        "influence, Adam sign": number(refusal, "adam_sign"),
        "influence, projection": number(refusal, "projection", "value"),
        **pilots(read(run, told.get("pilot")).get("margins") or []),
        "bag-of-words cosine": number(influence, "wording"),
        "CHES likeness": number(influence, "predictors", "ches", "value", "value"),
        "projection difference": number(influence, "predictors", "projection-difference", "value", "value"),
        "activation contrast": number(influence, "predictors", "activation-contrast", "value", "value"),
        "activation cosine": number(
            influence, "predictors", "activation-contrast", "numbers", "refusal_cosine", "value"
        ),
        "separability, words": number(words, "pointwise", "auroc"),
        "separability, words, decision-matched": number(words, "decision_matched", "auroc"),
        **{name: number(rivals, name) for name in RIVALS},
    }


def pilots(margins: list[float]) -> dict[str, float]:
    """The margin's change after the whole pilot, and after each power of two of its steps."""
    if not margins:
        return {PILOT: nan}
    steps = [2**k for k in range(len(margins)) if 2**k < len(margins) - 1]
    shorter = {f"pilot margin change, {n} steps": margins[n] - margins[0] for n in steps}
    return {PILOT: margins[-1] - margins[0], **shorter}


def cells_of(run: Path, recipes: set[str]) -> tuple[list[Trained], dict[str, float], list[str]]:
    """Every trained cell (of these recipes, if any are named), each world's refusal_overlap, and a line of each cell."""
    results = read_results(run)
    grid = Grid(results)
    worlds = [catalog.open_world(name) for name in parse_study(results.study).world_names() if name]
    overlap = {str(world.seed): world.knobs.refusal_overlap for world in worlds}
    found, lines = [], []
    for group in grid.groups:
        start = {attack: rate(grid, group.baseline, attack) for attack in ATTACKS}
        for cell in group.cells:
            told = cell.provenance
            if cell.recipe == BASELINE or (recipes and told.get("recipe", cell.recipe) not in recipes):
                continue
            change = {a: rate(grid, cell, a) - start[a] for a in ATTACKS}
            margin = getattr(cell.training, "refusal_margin", None)
            after = {f"{attack} ASR change": value for attack, value in change.items()}
            after |= {
                "mean ASR change": sum(change.values()) / len(change),
                "margin change": number(margin, "change"),
            }
            ranked = f"{group.target} {group.seed} {told.get('training')}"
            before = predictors(run, told)
            found.append(Trained(group.world, ranked, before, after))
            rates = " | ".join(f"{start[a]:.3f}, {rate(grid, cell, a):.3f}" for a in ATTACKS)
            lines.append(
                f"| w{group.world} | {overlap[group.world]:g} | {cell.family} | {cell.recipe} | {show(before[PRIMARY], '+.3f')} "
                f"| {show(before[PILOT])} | {show(after['margin change'])} | {rates} |"
            )
    return found, overlap, lines


def sizes(run: Path, recipes: set[str]) -> list[tuple[str, str, float, int]]:
    """(world, group, rate, requests) of every trained cell under the first attack, for its repeatability."""
    grid = Grid(read_results(run))
    found = []
    for group in grid.groups:
        for cell in group.cells:
            told, asr = cell.provenance, grid.asr(cell, ATTACKS[0])
            if cell.recipe == BASELINE or (recipes and told.get("recipe", cell.recipe) not in recipes):
                continue
            if asr is not None and asr.rate is not None:
                ranked = f"{group.target} {group.seed} {told.get('training')}"
                found.append((group.world, ranked, asr.rate, asr.scored))
    return found


def signs(cells: list[Trained], predictor: str) -> tuple[int, int]:
    """Of the cells whose rate moved, how many moved where the predictor's sign says: above 0 is safer."""
    moved = [
        (cell.before.get(predictor, nan), cell.after[OUTCOME])
        for cell in cells
        if abs(cell.after[OUTCOME]) >= MOVED
    ]
    known = [(x, y) for x, y in moved if isfinite(x)]
    return sum((x > 0) == (y < 0) for x, y in known), len(known)


def show(value: float, form: str = "+.2f") -> str:
    return format(value, form) if isfinite(value) else "NaN"


def row(ordering: Ordering, p: str, overlap: dict[str, float]) -> str:
    curve = by_knob(ordering, overlap)
    settings = [curve.get(o, (nan, 0)) for o in sorted(set(overlap.values()))]
    shown = " | ".join(f"{show(rho)} ({worlds})" for rho, worlds in settings)
    interval = f"[{show(ordering.low)}, {show(ordering.high)}]"
    each = ", ".join(f"w{world} {show(rho)}" for world, rho in ordering.by_world.items())
    return (
        f"| {ordering.predictor} | {len(ordering.by_world)} | {ordering.cells} | {ordering.left_out} "
        f"| {show(ordering.mean)} {interval} | {show(ordering.p, '.4f')} | {p} | {shown} | {each} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--predictor", choices=PREDICTORS, default=PRIMARY)
    parser.add_argument("--outcome", choices=OUTCOMES, default=OUTCOME)
    parser.add_argument("--recipes", default="", help="only these, comma-separated")
    parser.add_argument("--cells", action="store_true", help="a line a cell, too")
    parser.add_argument("--picture", type=Path, help="rho over refusal_overlap, an SVG file")
    asked = parser.parse_args()
    primary = (asked.predictor, asked.outcome)
    recipes = {name for name in asked.recipes.split(",") if name}
    cells, overlap, lines = cells_of(asked.run, recipes)
    trainings = sorted({cell.group.rpartition(" ")[2] for cell in cells})
    print(f"{len(cells)} trained cells, {len(overlap)} worlds, trainings: {', '.join(trainings)}.")
    if asked.cells:
        print(
            "\n| world | overlap | family | recipe | cosine | pilot margin | margin after | "
            + " | ".join(f"{attack} ASR: SFT, after" for attack in ATTACKS)
            + " |"
        )
        print("|-" * (7 + len(ATTACKS)) + "|")
        print("\n".join(lines))
    print(f"\nPrimary, not corrected: {primary[0]} against {primary[1]}.")
    orderings = [order_of(cells, predictor, outcome) for outcome in OUTCOMES for predictor in PREDICTORS]
    family = [o for o in orderings if o.outcome == primary[1] or (o.predictor, o.outcome) == SECOND]
    adjusted = corrected(family, primary)
    heads = " | ".join(f"overlap {o:g} (worlds)" for o in sorted(set(overlap.values())))
    for outcome in OUTCOMES:
        print(f"\nSpearman's rho within worlds with {outcome}\n")
        print(
            "| predictor | worlds | cells | left out | mean rho [95%] | p, sign flips | p, Holm | "
            + heads
            + " | worlds |"
        )
        print("|-" * (8 + len(set(overlap.values()))) + "|")
        for ordering in orderings:
            if ordering.outcome == outcome:
                key = (ordering.predictor, outcome)
                print(
                    row(
                        ordering,
                        "primary"
                        if key == primary
                        else show(adjusted[key], ".4f")
                        if key in adjusted
                        else "–",
                        overlap,
                    )
                )
    beside(asked.run, cells, recipes)
    if asked.picture is not None:
        picture({o.predictor: o for o in orderings if o.outcome == primary[1]}, overlap, asked.picture)
    if len(trainings) > 1:
        print(
            f"\n{OUTCOME} by training\n\n| predictor | training | worlds | cells | mean rho [95%] |\n|-|-|-|-|-|"
        )
        for predictor in (PRIMARY, PILOT, "bag-of-words cosine"):
            for training in trainings:
                some = [cell for cell in cells if cell.group.rpartition(" ")[2] == training]
                found = order_of(some, predictor, OUTCOME)
                interval = f"[{show(found.low)}, {show(found.high)}]"
                print(
                    f"| {predictor} | {training} | {len(found.by_world)} | {found.cells} | {show(found.mean)} {interval} |"
                )


def picture(found: dict[str, Ordering], overlap: dict[str, float], path: Path) -> None:
    """Each world's rho over the knob, a panel a predictor, the means joined."""
    from backfire.report.drawing import altair, to_svg

    alt = altair()
    panels = []
    for name in (PRIMARY, PILOT, "bag-of-words cosine", "decision contrast"):
        ordering = found[name]
        points = [{"overlap": overlap[w], "rho": rho} for w, rho in ordering.by_world.items()]
        means = [{"overlap": o, "rho": rho} for o, (rho, _) in by_knob(ordering, overlap).items()]
        axes = {
            "x": alt.X(
                "overlap:Q", title="refusal_overlap", axis=alt.Axis(values=sorted({*overlap.values()}))
            ),
            "y": alt.Y(
                "rho:Q", title="Spearman's rho with the change in ASR", scale=alt.Scale(domain=[-1, 1])
            ),
        }
        dots = alt.Chart(alt.Data(values=points)).mark_circle(size=45).encode(**axes)
        line = alt.Chart(alt.Data(values=means)).mark_line().encode(**axes)
        zero = alt.Chart(alt.Data(values=[{"rho": 0}])).mark_rule(strokeDash=[3, 3]).encode(y="rho:Q")
        panels.append((zero + line + dots).properties(width=150, height=220, title=name))
    path.write_text(to_svg(alt.hconcat(*panels), background="#ffffff"), encoding="utf-8")


def beside(run: Path, cells: list[Trained], recipes: set[str]) -> None:
    """What was not named beforehand: differences, shorter pilots, signs, and how far the outcome repeats itself."""
    shorter = sorted(
        {name for cell in cells for name in cell.before if name.startswith(f"{PILOT}, ")},
        key=lambda name: int(name.split()[-2]),
    )
    found = {name: order_of(cells, name, OUTCOME) for name in (*PREDICTORS, *shorter)}
    print(f"\nDifferences in rho with {OUTCOME}, below 0 where the first is the better\n")
    print("| first | second | worlds | difference [95%] | p, sign flips |\n|-|-|-|-|-|")
    for first in (PRIMARY, "influence, Adam sign", PILOT):
        for second in ("bag-of-words cosine", "decision contrast", PRIMARY):
            if first != second:
                d = differ(found[first], found[second])
                print(
                    f"| {first} | {second} | {d.worlds} | {show(d.mean)} [{show(d.low)}, {show(d.high)}] | {show(d.p, '.4f')} |"
                )
    print("\n| pilot | mean rho [95%] |\n|-|-|")
    for name in (*shorter, PILOT):
        print(f"| {name} | {show(found[name].mean)} [{show(found[name].low)}, {show(found[name].high)}] |")
    safer = sum(cell.after[OUTCOME] <= -MOVED for cell in cells)
    moved = sum(abs(cell.after[OUTCOME]) >= MOVED for cell in cells)
    print(
        f"\n{moved} cells moved by {MOVED:g} or more, {safer} of them towards safer. Signs that agree: ",
        end="",
    )
    print(", ".join("{} {} of {}".format(name, *signs(cells, name)) for name in SIGNED) + ".")
    known = repeatability(sizes(run, recipes))
    print("Rho of two askings of as many other requests: ", end="")
    print(", ".join(f"w{world} {rho:.2f}" for world, rho in known.items()) + ".")


if __name__ == "__main__":
    main()
