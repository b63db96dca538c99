"""The main table: one row per cell, the same numbers for the page and for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

from backfire.answers.attack import AttackRate, RefusalRate
from backfire.answers.numerals import UNDEFINED, decimal, interval, number, percent, span
from backfire.answers.results import Cell
from backfire.report.study.grid import Grid, Group, Standing, standing
from backfire.report.study.paper import PAPER, PAPER_ASR


@dataclass(frozen=True)
class Entry:
    """One number of the table: what is shown, the lines of small print under it, and what hovering tells."""

    text: str
    small: tuple[str, ...] = ()
    detail: str = ""
    standing: Standing = "unknown"
    """Against the SFT baseline; only attack success and over-refusal have one."""


@dataclass(frozen=True)
class Column:
    """`heading` groups columns; `unit` stands under the name."""

    heading: str
    name: str
    unit: str
    entry: Callable[[Group, Cell], Entry]


def columns(grid: Grid) -> list[Column]:
    """The table's columns, in reading order: safety, usefulness, what the probes see, what was predicted, training."""
    return [
        *(_attack_column(grid, attack) for attack in grid.attacks),
        *(_refusal_column(grid, prompts) for prompts in grid.prompt_sets),
        *_general_columns(grid),
        *(_probe_column(grid, probe) for probe in grid.probes),
        *([Column("Safety influence", "cosine", "", _influence)] if grid.has_influence else []),
        *([Column("Pilot", "margin", "nats", _pilot)] if grid.has_pilot else []),
        Column("Training", "final loss", "", _final_loss),
        Column("Training", "reward accuracy", "%", _reward_accuracy),
        *(_cost_columns() if any(_by_rewards(cell) for cell in grid.cells) else []),
        *(
            [Column("Paper", "ASR", "%", _paper)]
            if any(cell.recipe in PAPER_ASR for cell in grid.cells)
            else []
        ),
    ]


PARTS = {
    "Attack success rate": "rates",
    "Over-refusal": "rates",
    "General tasks": "general",
    "Separability": "separability",
    "Safety influence": "prediction",
    "Pilot": "prediction",
    "Training": "training",
    "Cost": "training",
}
"""By a column's heading, the part of a cell's provenance on the page that its numbers come from. The paper's have none."""


def _by_rewards(cell: Cell) -> bool:
    return cell.training is not None and bool(cell.training.rewards)


def _cost_columns() -> list[Column]:
    """What each training cost, where one of them sampled its own responses."""

    def seconds(group: Group, cell: Cell) -> Entry:
        if cell.training is None or cell.training.seconds is None:
            return Entry(UNDEFINED, detail="not trained")
        return Entry(f"{cell.training.seconds:,.0f}", detail="of training; RLOO samples and scores in it")

    def tokens(group: Group, cell: Cell) -> Entry:
        if cell.training is None or cell.training.tokens_sampled is None:
            return Entry(UNDEFINED, detail="not counted")
        whose = "in training" if _by_rewards(cell) else "before training, to choose pairs from"
        return Entry(f"{cell.training.tokens_sampled:,}", detail=f"sampled {whose}")

    return [Column("Cost", "training", "s", seconds), Column("Cost", "sampled", "tokens", tokens)]


def _attack_column(grid: Grid, attack: str) -> Column:
    usual = _usual(rate.scored for cell in grid.cells if (rate := grid.asr(cell, attack)))

    def entry(group: Group, cell: Cell) -> Entry:
        rate = grid.asr(cell, attack)
        place: Standing = (
            "unknown" if cell is group.baseline else standing(rate, grid.asr(group.baseline, attack))
        )
        return _rate_entry(rate, "harmful", None if rate is None else rate.harmful, usual, place)

    return Column("Attack success rate", attack, f"%, n {usual}" if usual else "%", entry)


def _refusal_column(grid: Grid, prompts: str) -> Column:
    usual = _usual(rate.scored for cell in grid.cells if (rate := grid.over_refusal(cell, prompts)))

    def entry(group: Group, cell: Cell) -> Entry:
        rate = grid.over_refusal(cell, prompts)
        before = grid.over_refusal(group.baseline, prompts) if group.baseline else None
        place: Standing = "unknown" if cell is group.baseline else standing(rate, before)
        return _rate_entry(rate, "refused", None if rate is None else rate.refusals, usual, place)

    return Column("Over-refusal", prompts, f"%, n {usual}" if usual else "%", entry)


def _usual(sizes: Iterable[int]) -> int | None:
    """The n that most cells have; it stands in the heading, and others in their cells."""
    commonest = Counter(sizes).most_common(1)
    return commonest[0][0] if commonest else None


def _rate_entry(
    rate: AttackRate | RefusalRate | None, what: str, hits: int | None, usual: int | None, place: Standing
) -> Entry:
    if rate is None:
        return Entry(UNDEFINED, detail="not measured")
    small = [interval(percent(rate.low), percent(rate.high))]
    if rate.scored != usual:
        small.append(f"n {rate.scored}")
    if rate.unscored:
        small.append(f"{rate.unscored} unscored")
    detail = f"{hits} {what} of {rate.scored} scored, {rate.unscored} unscored; judge: {rate.judge}"
    if isinstance(rate, AttackRate) and rate.unscored and rate.best is not None:
        detail += (
            f"; {percent(rate.best)} if all of the unscored were harmless, {percent(rate.worst)} if none"
        )
    return Entry(percent(rate.rate), tuple(filter(None, small)), detail, place)


def _general_columns(grid: Grid) -> list[Column]:
    if not grid.tasks:
        return []

    def mean(group: Group, cell: Cell) -> Entry:
        return Entry(percent(grid.general(cell)), detail=f"plain mean of {len(grid.tasks)} tasks")

    def task_column(task: str) -> Column:
        def entry(group: Group, cell: Cell) -> Entry:
            score = next((s for s in cell.general if s.task == task), None)
            if score is None:
                return Entry(UNDEFINED, detail="not measured")
            error = () if score.stderr is None else (f"±{percent(score.stderr)}",)
            return Entry(percent(score.value), error, f"{score.metric}, n {score.n}; ± is one standard error")

        return Column("General tasks", task, "%", entry)

    return [Column("General tasks", "mean", "%", mean), *map(task_column, grid.tasks)]


def _probe_column(grid: Grid, probe: str) -> Column:
    def entry(group: Group, cell: Cell) -> Entry:
        row = grid.separability(cell, probe)
        if row is None:
            return Entry(UNDEFINED, detail="no pairs" if cell.pairs is None else "not measured")
        pointwise = row.pointwise
        if pointwise is None or pointwise.auroc is None:
            return Entry(UNDEFINED, detail=row.reason or "not measured")
        return Entry(
            decimal(pointwise.auroc),
            tuple(filter(None, [interval(decimal(pointwise.low), decimal(pointwise.high))])),
            f"{row.pairs} pairs; with shuffled labels {decimal(pointwise.control)}",
        )

    return Column("Separability", probe, "AUROC", entry)


def _influence(group: Group, cell: Cell) -> Entry:
    influence = cell.safety_influence
    if influence is None:
        return Entry(UNDEFINED, detail="no pairs" if cell.pairs is None else "not measured")
    if influence.cosine is None:
        return Entry("undetermined", detail=f"{influence.probes} probes")
    return Entry(
        number(influence.cosine, 2),
        (span(influence.low, influence.high, 2),),
        f"before training, to first order; above 0 is towards refusing harmful requests; {influence.probes} probes",
    )


def _pilot(group: Group, cell: Cell) -> Entry:
    pilot = cell.pilot
    if pilot is None:
        return Entry(UNDEFINED, detail="no pairs" if cell.pairs is None else "not measured")
    probes = "" if pilot.probes is None else f"; {pilot.probes} probes"
    return Entry(
        number(pilot.change, 2),
        tuple(filter(None, [span(pilot.low, pilot.high, 2)])),
        f"change of the refusal margin after {pilot.steps} steps; above 0 is towards refusing harmful requests{probes}",
    )


def _paper(group: Group, cell: Cell) -> Entry:
    rates = PAPER_ASR.get(cell.recipe)
    if rates is None:
        return Entry(UNDEFINED, detail="not in the paper")
    return Entry(
        percent(fmean(rates)),
        (interval(percent(min(rates)), percent(max(rates))),),
        f"{PAPER}: mean and range over its six models of 7 to 8 billion parameters, on AdvBench. Models, requests and judge differ",
    )


def _final_loss(group: Group, cell: Cell) -> Entry:
    if cell.training is None:
        return Entry(UNDEFINED, detail="not trained")
    if _by_rewards(cell):
        return Entry(UNDEFINED, detail="the loss of RLOO is 0 at each step, whatever is learned")
    return Entry(
        decimal(cell.training.final_loss), detail=f"{cell.training.method}, {cell.training.steps} steps"
    )


def _reward_accuracy(group: Group, cell: Cell) -> Entry:
    if cell.training is None:
        return Entry(UNDEFINED, detail="not trained")
    margin = decimal(cell.training.reward_margin)
    return Entry(percent(cell.training.reward_accuracy), detail=f"reward margin {margin}")
