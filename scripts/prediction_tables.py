"""Does what a study measured before training order its data sets by what training did? Markdown tables of a finished run.

    python scripts/prediction_tables.py RUN [--predictor NAME] [--outcome NAME]

RUN: the run folder of a study with `influence` (studies/influence.yaml). Cells are ranked within one policy and one
training; a world's mean is the unit. The primary predictor and outcome stand alone, everything else is Holm-corrected.
"""

from __future__ import annotations

import argparse
import json
from math import isfinite, nan
from pathlib import Path
from typing import Any

from backfire.organisms import catalog
from backfire.report import read_results
from backfire.report.grid import BASELINE, Grid
from backfire.report.prediction import Ordering, Trained, by_knob, corrected, order_of
from backfire.report.results import Cell

PRIMARY, OUTCOME = "influence cosine", "wrapped ASR change"
ATTACKS = ("wrapped", "direct")
OUTCOMES = (OUTCOME, "direct ASR change", "mean ASR change", "margin change")
RIVALS = ("length gap", "LossDiff", "decision contrast", "reward-model margin")
PREDICTORS = (
    *(PRIMARY, "influence, Adam sign", "influence, projection", "pilot margin change", "bag-of-words cosine"),
    *("separability, words", "separability, words, decision-matched", *RIVALS),
)


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
    rungs = read(run, told.get("audit")).get("separability") or []
    words: dict[str, Any] = next((rung for rung in rungs if rung["rung"] == "words"), {})
    cosine = number(refusal, "cosine", "value")
    return {
        PRIMARY: cosine if isfinite(cosine) else number(refusal, "point"),
        "influence, Adam sign": number(refusal, "adam_sign"),
        "influence, projection": number(refusal, "projection", "value"),
        "pilot margin change": number(read(run, told.get("pilot")), "change"),
        "bag-of-words cosine": number(influence, "wording"),
        "separability, words": number(words, "pointwise", "auroc"),
        "separability, words, decision-matched": number(words, "decision_matched", "pointwise", "auroc"),
        **{name: number(rivals, name) for name in RIVALS},
    }


def cells_of(run: Path) -> tuple[list[Trained], dict[str, float]]:
    """Every trained cell, and each world's refusal_overlap."""
    grid = Grid(read_results(run))
    found, overlap = [], {}
    for group in grid.groups:
        world, _ = catalog.split_reference(group.target)
        overlap[group.world] = catalog.open_world(world).knobs.refusal_overlap
        start = {attack: rate(grid, group.baseline, attack) for attack in ATTACKS}
        for cell in group.cells:
            if cell.recipe == BASELINE:
                continue
            told = cell.provenance
            change = {a: rate(grid, cell, a) - start[a] for a in ATTACKS}
            margin = getattr(cell.training, "refusal_margin", None)
            after = {f"{attack} ASR change": value for attack, value in change.items()}
            after |= {
                "mean ASR change": sum(change.values()) / len(change),
                "margin change": number(margin, "change"),
            }
            ranked = f"{group.target} {group.seed} {told.get('training')}"
            found.append(Trained(group.world, ranked, predictors(run, told), after))
    return found, overlap


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
    asked = parser.parse_args()
    primary = (asked.predictor, asked.outcome)
    cells, overlap = cells_of(asked.run)
    trainings = sorted({cell.group.rpartition(" ")[2] for cell in cells})
    orderings = [order_of(cells, predictor, outcome) for outcome in OUTCOMES for predictor in PREDICTORS]
    adjusted = corrected(orderings, primary)
    print(f"{len(cells)} trained cells, {len(overlap)} worlds, trainings: {', '.join(trainings)}.")
    print(f"Primary, not corrected: {primary[0]} against {primary[1]}.")
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
                        "primary" if key == primary else show(adjusted.get(key, nan), ".4f"),
                        overlap,
                    )
                )
    if len(trainings) > 1:
        print(
            f"\n{primary[0]} against {primary[1]} by training\n\n| training | worlds | cells | mean rho [95%] |\n|-|-|-|-|"
        )
        for training in trainings:
            some = [cell for cell in cells if cell.group.rpartition(" ")[2] == training]
            found = order_of(some, *primary)
            interval = f"[{show(found.low)}, {show(found.high)}]"
            print(f"| {training} | {len(found.by_world)} | {found.cells} | {show(found.mean)} {interval} |")


if __name__ == "__main__":
    main()
