"""The page's pictures: small panels that stand side by side on a wide screen and below each other on a phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backfire.answers.numerals import decimal, percent, printable
from backfire.answers.results import BASELINE, Cell, Training
from backfire.report.drawing import INK, KIND_COLOURS, KIND_SHAPES, MUTED, Panel, altair, draw, small_axes
from backfire.report.study.grid import Grid, Mean
from backfire.report.study.labels import place_labels
from backfire.report.study.paper import RANKED_BY
from backfire.report.study.watched import likelihood_panels, refusal_panels, reward_panels
from backfire.statistics.rank_correlation import SIGNIFICANT_AT_SEVEN, spearman

WIDTH, HEIGHT = 250, 230
SMALL_WIDTH, SMALL_HEIGHT = 118, 84
MOST_STEPS = 80


@dataclass(frozen=True)
class Picture:
    """A figure of the page: what it shows, how to read it, and its panels."""

    title: str
    caption: str
    panels: tuple[Panel, ...]
    small: bool = False


def pictures(grid: Grid) -> list[Picture]:
    """The figures that the results have numbers for, in the page's order."""
    several = len(grid.groups) > 1
    if not several:
        marks = "Bars are 95% Wilson intervals; the shaded band is the SFT baseline’s."
    elif any(grid.worlds):
        marks = "Dots are means over worlds, with 95% intervals over at least three worlds; faint dots are single cells."
    else:
        marks = (
            "Dots are plain means over targets and seeds, without an interval; faint dots are single cells."
        )
    panels = [
        Picture(
            "How often each attack succeeds",
            f"Lower is safer. {marks}",
            tuple(asr_panel(grid, attack) for attack in grid.attacks),
        )
    ]
    probe = grid.pictured_probe
    if probe is not None:
        panels.append(
            Picture(
                "Does separability tell danger?",
                f"How well a probe ({probe}) tells chosen from rejected before training, against the attack success "
                "rate after it. If separability alone made models unsafe, points would climb from left to right. Rho is "
                f"Spearman’s over the recipes; with seven of them, between −{SIGNIFICANT_AT_SEVEN} and {SIGNIFICANT_AT_SEVEN} "
                "it is not significant at the 5% level.",
                tuple(
                    _scatter(
                        grid,
                        attack,
                        f"separability, AUROC ({probe})",
                        lambda r: grid.mean_auroc(r, probe),
                        lambda cell: grid.auroc(cell, probe),
                        False,
                    )
                    for attack in grid.attacks
                ),
            )
        )
    if grid.tasks:
        panels.append(
            Picture(
                "Safety and capability",
                "The mean general score against the attack success rate: down is safer, right is more capable.",
                tuple(
                    _scatter(
                        grid,
                        attack,
                        f"mean of {len(grid.tasks)} general tasks, %",
                        grid.mean_general,
                        grid.general,
                        True,
                    )
                    for attack in grid.attacks
                ),
            )
        )
    curves = tuple(panel for recipe in grid.recipes if (panel := _curve_panel(grid, recipe)) is not None)
    if curves:
        panels.append(
            Picture(
                "Training loss",
                "Loss by step, every panel on the same axes; ln 2 = 0.693 (dashed) is where DPO starts. "
                "A low loss says that the label was easy to learn, not that the lesson was safety.",
                curves,
                small=True,
            )
        )
    if refusals := refusal_panels(grid):
        panels.append(
            Picture(
                "Refusals during training",
                "Harmful prompts (line) and benign prompts (dashed) that are refused, in percent, by step; every panel on the "
                "same axes. A line that falls says that training takes refusals away.",
                refusals,
                small=True,
            )
        )
    if rewards := reward_panels(grid):
        panels.append(
            Picture(
                "Rewards during RLOO",
                "Mean reward of the policy’s own responses, their KL to the starting policy, and their length, by step. A reward "
                "that rises while refusals or usefulness fall, or with the length alone, is the reward model’s error that is "
                "learned; samples.jsonl beside the policy has every response.",
                rewards,
                small=True,
            )
        )
    if likelihoods := likelihood_panels(grid):
        panels.append(
            Picture(
                "Chosen and rejected during training",
                "Change of the mean log-probability of chosen (line) and of rejected responses (dashed) of training pairs, in "
                "nats, by step. Where both fall, the model learns to say neither (likelihood displacement).",
                likelihoods,
                small=True,
            )
        )
    return panels


def kind_of(recipe: str) -> str:
    """What decides which response the recipe chooses, for the paper's recipes."""
    return RANKED_BY.get(recipe, "other")


def asr_panel(grid: Grid, attack: str) -> Panel:
    """Attack success rate per recipe with intervals, as one of the page's panels."""
    values = [f"{recipe} {percent(_asr(grid, recipe, attack)[0])}" for recipe in grid.recipes]
    description = f"Attack success rate in percent, {attack}: {', '.join(values)}"
    return draw(asr_chart(grid, attack), attack, description)


def asr_chart(grid: Grid, attack: str, *, legend: Any = None, named: bool = True) -> Any:
    """Attack success rate per recipe with intervals, the baseline's as a band; `named` says who is in which row."""
    alt = altair()
    rows, singles = [], []
    for recipe in grid.recipes:
        value, low, high = _asr(grid, recipe, attack)
        if value is not None:
            rows.append(_row(recipe, asr=100 * value, low=_hundred(low, value), high=_hundred(high, value)))
        if len(grid.groups) > 1:
            singles += [
                _row(recipe, asr=100 * rate.rate)
                for cell in grid.cells
                if cell.recipe == recipe and (rate := grid.asr(cell, attack)) and rate.rate is not None
            ]
    names = [_name(recipe) for recipe in grid.recipes]
    y = alt.Y(
        "recipe:N",
        sort=names,
        scale=alt.Scale(domain=names),
        title=None,
        axis=alt.Axis(grid=False, domain=False, labelColor=INK, labelFontSize=12, labels=named),
    )
    x = alt.X(
        "asr:Q",
        scale=alt.Scale(domain=[0, 100]),
        title="attack success rate, %",
        axis=alt.Axis(values=[0, 25, 50, 75, 100], domain=False),
    )
    layers = []
    band = [row for row in rows if row["recipe"] == BASELINE]
    if band:
        layers.append(
            alt.Chart(alt.Data(values=band))
            .mark_rect(color=KIND_COLOURS["baseline"], opacity=0.14)
            .encode(x=alt.X("low:Q"), x2="high:Q")
        )
    if singles:
        layers.append(
            alt.Chart(alt.Data(values=singles))
            .mark_circle(size=18, opacity=0.3)
            .encode(x=x, y=y, color=_colour(alt, legend))
        )
    base = alt.Chart(alt.Data(values=rows))
    layers.append(
        base.mark_rule(strokeWidth=2, opacity=0.75).encode(
            x=alt.X("low:Q"), x2="high:Q", y=y, color=_colour(alt, legend)
        )
    )
    layers.append(
        base.mark_point(size=62, filled=True, opacity=1).encode(
            x=x, y=y, color=_colour(alt, legend), shape=_shape(alt, legend)
        )
    )
    return alt.layer(*layers).properties(width=WIDTH - 20, height=24 * len(names))


def _scatter(
    grid: Grid,
    attack: str,
    title: str,
    mean: Callable[[str], Mean],
    single: Callable[[Cell], float | None],
    in_percent: bool,
) -> Panel:
    alt = altair()
    scale = 100.0 if in_percent else 1.0
    rows, singles = [], []
    for recipe in grid.recipes:
        across, up = mean(recipe).value, _asr(grid, recipe, attack)[0]
        if across is not None and up is not None:
            rows.append(_row(recipe, x=scale * across, asr=100 * up))
    if len(grid.groups) > 1:
        for cell in grid.cells:
            value, rate = single(cell), grid.asr(cell, attack)
            if value is not None and rate is not None and rate.rate is not None:
                singles.append(_row(cell.recipe, x=scale * value, asr=100 * rate.rate))
    domain = _domain([row["x"] for row in [*rows, *singles]], in_percent)
    _add_labels(rows, domain)
    rho = spearman([row["x"] for row in rows], [row["asr"] for row in rows])
    x = alt.X(
        "x:Q",
        scale=alt.Scale(domain=domain, nice=False),
        title=title,
        axis=alt.Axis(tickCount=5, format="d" if in_percent else ".1f"),
    )
    y = alt.Y(
        "asr:Q",
        scale=alt.Scale(domain=[0, 100]),
        title="attack success rate, %",
        axis=alt.Axis(values=[0, 25, 50, 75, 100], domain=False),
    )
    layers = []
    if singles:
        layers.append(
            alt.Chart(alt.Data(values=singles))
            .mark_circle(size=18, opacity=0.28)
            .encode(x=x, y=y, color=_colour(alt))
        )
    base = alt.Chart(alt.Data(values=rows))
    layers.append(
        base.mark_point(size=62, filled=True, opacity=1).encode(
            x=x, y=y, color=_colour(alt), shape=_shape(alt)
        )
    )
    for align in ("left", "center", "right"):
        named = alt.Chart(alt.Data(values=[row for row in rows if row["align"] == align]))
        layers.append(
            named.mark_text(align=align, baseline="middle", fontSize=11, color=INK, limit=130).encode(
                x=alt.X("label_x:Q"), y=alt.Y("label_y:Q"), text="recipe:N"
            )
        )
    chart = alt.layer(*layers).properties(width=WIDTH + 20, height=HEIGHT)
    heading = attack if in_percent else f"{attack} · rho {decimal(rho, 2).replace('-', '−')}, n {len(rows)}"
    values = ", ".join(f"{row['recipe']} ({row['x']:.3g}, {row['asr']:.1f})" for row in rows)
    return draw(chart, heading, f"{title} against attack success rate in percent, {attack}: {values}")


def _add_labels(rows: list[dict[str, Any]], domain: list[float]) -> None:
    width, height = float(WIDTH + 20), float(HEIGHT)
    low, span = domain[0], domain[1] - domain[0]
    pixels = [((row["x"] - low) / span * width, (100 - row["asr"]) / 100 * height) for row in rows]
    places = place_labels(pixels, [row["recipe"] for row in rows], width, height)
    for row, place in zip(rows, places, strict=True):
        row["label_x"] = low + place.x / width * span
        row["label_y"] = 100 - place.y / height * 100
        row["align"] = place.align


def _curve_panel(grid: Grid, recipe: str) -> Panel | None:
    trained = [(c.id, c.training) for c in grid.cells if c.recipe == recipe and c.training and c.training.log]
    rows = [row for name, training in trained for row in _curve(name, training)]
    if not rows:
        return None
    alt = altair()
    everything = [
        row for c in grid.cells if c.recipe != BASELINE and c.training for row in _curve(c.id, c.training)
    ]
    steps = [0, max(row["step"] for row in everything)]
    losses = [min(0.0, *(row["loss"] for row in everything)), max(0.75, *(row["loss"] for row in everything))]
    x, y = small_axes(steps, "loss:Q", losses)
    line = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(
            color=KIND_COLOURS[kind_of(recipe)], strokeWidth=1.6, opacity=1 if len(trained) == 1 else 0.45
        )
        .encode(x=x, y=y, detail="cell:N")
    )
    start = (
        alt.Chart(alt.Data(values=[{"loss": 0.6931}]))
        .mark_rule(color=MUTED, strokeDash=[3, 3], strokeWidth=0.8)
        .encode(y=y)
    )
    chart = alt.layer(start, line).properties(width=SMALL_WIDTH, height=SMALL_HEIGHT)
    return draw(
        chart,
        recipe,
        f"Training loss of {recipe} by step, from {rows[0]['loss']:.3f} to {rows[-1]['loss']:.3f}",
    )


def _curve(name: str, training: Training) -> list[dict[str, Any]]:
    known = [(row.step, row.loss) for row in training.log if row.loss is not None]
    stride = max(1, -(-len(known) // MOST_STEPS))
    return [{"cell": name, "step": step, "loss": loss} for step, loss in [*known[:-1:stride], *known[-1:]]]


def _asr(grid: Grid, recipe: str, attack: str) -> tuple[float | None, float | None, float | None]:
    if len(grid.groups) == 1:
        cell = next((c for c in grid.cells if c.recipe == recipe), None)
        rate = grid.asr(cell, attack)
        return (rate.rate, rate.low, rate.high) if rate else (None, None, None)
    mean = grid.mean_asr(recipe, attack)
    return mean.value, mean.low, mean.high


def _row(recipe: str, **numbers: float) -> dict[str, Any]:
    return {"recipe": _name(recipe), "kind": kind_of(recipe), **numbers}


def _name(recipe: str) -> str:
    return printable(recipe)


def _hundred(bound: float | None, value: float) -> float:
    return 100 * min(1.0, max(0.0, value if bound is None else bound))


def _domain(values: list[float], in_percent: bool) -> list[float]:
    if not in_percent:
        return [min(0.4, *values, 0.4), 1.02]
    low, high = min(values, default=0.0), max(values, default=100.0)
    pad = max(2.0, 0.25 * (high - low))
    return [max(0.0, low - pad), min(100.0, high + pad)]


def _colour(alt: Any, legend: Any = None) -> Any:
    scale = alt.Scale(domain=list(KIND_COLOURS), range=list(KIND_COLOURS.values()))
    return alt.Color("kind:N", scale=scale, legend=legend)


def _shape(alt: Any, legend: Any = None) -> Any:
    scale = alt.Scale(domain=list(KIND_SHAPES), range=list(KIND_SHAPES.values()))
    return alt.Shape("kind:N", scale=scale, legend=legend)
