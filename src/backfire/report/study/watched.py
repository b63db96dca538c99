"""Pictures of what was measured while policies were trained: one small panel a recipe, all on the same axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backfire.answers.results import BASELINE, RewardRow, WatchRow
from backfire.report.drawing import INK, KIND_COLOURS, MUTED, Panel, altair, draw, small_axes
from backfire.report.study.grid import Grid
from backfire.report.study.paper import RANKED_BY

SMALL_WIDTH, SMALL_HEIGHT = 118, 84


@dataclass(frozen=True)
class Curve:
    """One line of a panel: its name, how it is drawn, and its value at a measurement, the first one being given, too."""

    name: str
    dashed: bool
    value: Callable[[WatchRow, WatchRow], float | None]


REFUSALS = (
    Curve("harmful", False, lambda row, _: None if row.refused is None else 100 * row.refused),
    Curve(
        "benign", True, lambda row, _: None if row.needless_refusals is None else 100 * row.needless_refusals
    ),
)
LIKELIHOOD = (
    Curve("chosen", False, lambda row, first: _change(row.logps_chosen, first.logps_chosen)),
    Curve("rejected", True, lambda row, first: _change(row.logps_rejected, first.logps_rejected)),
)


REWARDED: tuple[tuple[str, Callable[[RewardRow], float]], ...] = (
    ("reward", lambda row: row.reward),
    ("KL in nats", lambda row: row.kl),
    ("tokens", lambda row: row.tokens),
)


def refusal_panels(grid: Grid) -> tuple[Panel, ...]:
    """Harmful prompts (line) and benign ones (dashed) that are refused, in percent, by step."""
    return _panels(grid, REFUSALS, "refused, in percent", [0.0, 100.0])


def likelihood_panels(grid: Grid) -> tuple[Panel, ...]:
    """Change of the log-probability of chosen (line) and rejected (dashed) responses of training pairs, in nats, by step."""
    return _panels(grid, LIKELIHOOD, "change of log-probability in nats", None)


def reward_panels(grid: Grid) -> tuple[Panel, ...]:
    """Of policies that were trained by RLOO: mean reward, KL to the starting policy and tokens of a response, by step."""
    panels = []
    for recipe in grid.recipes:
        cells = [cell for cell in grid.cells if cell.recipe == recipe and cell.training]
        for name, value in REWARDED:
            points: list[dict[str, Any]] = [
                {"cell": cell.id, "curve": name, "step": row.step, "value": value(row)}
                for cell in cells
                for row in (cell.training.rewards if cell.training else ())
            ]
            if points:
                steps = [0, max(point["step"] for point in points)]
                curve = Curve(name, False, lambda row, _: None)
                panels.append(_panel(f"{recipe}: {name}", points, [curve], name, steps, _around(points)))
    return tuple(panels)


def _around(points: Sequence[dict[str, Any]]) -> list[float]:
    values = [0.0, *(point["value"] for point in points)]
    return [min(values), max(values) or 1.0]


def _change(value: float | None, first: float | None) -> float | None:
    return None if value is None or first is None else value - first


def _panels(grid: Grid, curves: Sequence[Curve], what: str, domain: list[float] | None) -> tuple[Panel, ...]:
    by_recipe = {
        recipe: [point for c in grid.cells if c.recipe == recipe for point in _points(c, curves)]
        for recipe in grid.recipes
        if recipe != BASELINE
    }
    every = [point for points in by_recipe.values() for point in points]
    if not every:
        return ()
    y_domain = domain or _around(every)
    steps = [0, max(point["step"] for point in every) or 1]
    return tuple(
        _panel(recipe, points, curves, what, steps, y_domain)
        for recipe, points in by_recipe.items()
        if points
    )


def _points(cell: Any, curves: Sequence[Curve]) -> list[dict[str, Any]]:
    rows: list[WatchRow] = cell.training.watch if cell.training else []
    return [
        {"cell": f"{cell.id} {curve.name}", "curve": curve.name, "step": row.step, "value": value}
        for curve in curves
        for row in rows
        if (value := curve.value(row, rows[0])) is not None
    ]


def _panel(
    recipe: str,
    points: list[dict[str, Any]],
    curves: Sequence[Curve],
    what: str,
    steps: list[int],
    domain: list[float],
) -> Panel:
    alt = altair()
    x, y = small_axes(steps, "value:Q", domain)
    layers = [
        alt.Chart(alt.Data(values=[{"value": 0.0}])).mark_rule(color=MUTED, strokeWidth=0.8).encode(y=y)
    ]
    in_words = []
    for curve in curves:
        of_curve = [point for point in points if point["curve"] == curve.name]
        if of_curve:
            colour = INK if curve.dashed else KIND_COLOURS[RANKED_BY.get(recipe, "other")]
            dash = {"strokeDash": [3, 3]} if curve.dashed else {}
            line = alt.Chart(alt.Data(values=of_curve)).mark_line(color=colour, strokeWidth=1.6, **dash)
            layers.append(line.encode(x=x, y=y, detail="cell:N"))
            in_words.append(f"{curve.name} from {of_curve[0]['value']:.1f} to {of_curve[-1]['value']:.1f}")
    chart = alt.layer(*layers).properties(width=SMALL_WIDTH, height=SMALL_HEIGHT)
    return draw(chart, recipe, f"{recipe}, {what} by step: {', '.join(in_words)}")
