"""A training: what was trained, what it came to, what was measured on the way, and what did not fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from backfire.answers.numerals import UNDEFINED, shown_rows
from backfire.report.terminal.parts import EXAMPLES, Part, Titled, Warned, counted, interval, percent, table
from backfire.settings import option
from backfire.training.settings import DPOSettings, TrainingSettings

if TYPE_CHECKING:
    from backfire.training import HeldOut, Rewarded, TrainingLog, Watched
    from backfire.training.watch_points import WatchPoint

MOST_LOST = 0.1
"""The share of what training changed that the saved type may take away without a warning."""


def training_parts(log: TrainingLog, out: Path) -> Iterator[Part]:
    """`out` is the folder that was written."""
    counts = log.examples
    used, what = counts.trained, "examples"
    if log.rewarded is not None:
        used, what = log.rewarded.prompts, "prompts"
    yield (
        f"{log.method}: {log.steps} steps over {used} of {counts.examples} {what} in {log.seconds:.0f} s, "
        f"{log.trained_parameters:,} of {log.parameters:,} parameters, {log.dtype} on {log.device}"
    )
    how = "as raw text, without a chat template" if counts.plain else "through the policy's chat template"
    yield f"data read as {counts.form}, {how}"
    if log.rewarded is None:
        yield f"final loss {log.final_loss:.4f}"
    else:
        yield from _rewarded(log.rewarded)
    if log.steps == 1 and log.reward_accuracy is not None:
        yield "reward accuracy: not known, since it was measured once, before the only step"
    elif log.reward_accuracy is not None and log.reward_margin is not None:
        yield f"reward accuracy {log.reward_accuracy:.3f}, reward margin {log.reward_margin:.3f}, on training pairs"
    if log.held_out is not None:
        yield Titled("Agreement with pairs whose prompts were not trained on:", _held_out(log.held_out))
    if log.watch is not None:
        yield from _watched(log.watch, out)
    yield from _not_fitting(log)
    yield f"in {out}: weights and training.json"


def _not_fitting(log: TrainingLog) -> Iterator[Part]:
    counts = log.examples
    for what, lost in (
        (f"rows that give no example (of {counts.given})", counts.left_out),
        ("left out", counts.dropped),
        ("lost their end to max_length", counts.truncated),
        ("trained on, but", counts.happened),
    ):
        if any(lost.values()):
            yield Warned(f"{what}: {counted({name: n for name, n in lost.items() if n})}")
    for name, rows in counts.dropped_rows.items():
        yield Warned(f"left out as {name}: row {shown_rows(rows, EXAMPLES, counts.dropped[name])}")
    if counts.boundary_merged:
        yield Warned(
            f"in {counts.boundary_merged} examples the prompt is not a token prefix of prompt and response"
        )
    if log.update_lost is not None and log.update_lost > MOST_LOST:
        yield Warned(
            f"saving as {log.saved_dtype} took away {log.update_lost:.0%} of what training changed: "
            f"use {option(TrainingSettings, 'save_dtype')} float32"
        )


def _held_out(held_out: HeldOut) -> Table:
    """How often a reward model agrees with the pairs that were held out, of all and by what is known of them."""
    shown = table("held-out pairs", "pairs", "prompts", "agreement", "95% interval", "ties", "unscored")
    parts = {"all": held_out.all}
    for named in (held_out.by_kind, held_out.by_writers):
        if set(named) != {"unknown"}:
            parts |= {f"  {name}": part for name, part in named.items()}
    for name, part in parts.items():
        unscored = counted(part.unscored) if part.unscored else "0"
        agreement = (percent(part.rate), interval(part.low, part.high))
        shown.add_row(name, str(part.pairs), str(part.prompts), *agreement, str(part.ties), unscored)
    return shown


def _rewarded(rewarded: Rewarded) -> Iterator[Part]:
    """Reward, KL and length of the first and of the last responses."""
    first, last = rewarded.first, rewarded.last
    yield (
        f"{rewarded.responses} responses of {rewarded.tokens} tokens to {rewarded.prompts} prompts were sampled, and scored by "
        f"{rewarded.reward_model}, in {rewarded.seconds:.0f} s with their log-probabilities"
    )
    shown = table("mean over responses", f"to step {first.step}", f"to step {last.step}")
    for name, field in (
        ("reward", "reward"),
        ("standard deviation of the reward", "reward_std"),
        ("the same among responses to one prompt", "reward_std_within"),
        ("KL to the starting policy, nats", "kl"),
        ("tokens", "tokens"),
    ):
        shown.add_row(name, f"{getattr(first, field):.3f}", f"{getattr(last, field):.3f}")
    shown.add_row("ended by themselves", percent(first.ended), percent(last.ended))
    yield Titled(
        "The first and the last tenth of the steps; rewards.jsonl has every step, samples.jsonl every response:",
        shown,
    )
    if rewarded.scored_cut:
        yield Warned(
            f"{rewarded.scored_cut} responses were longer than the reward model reads, and scored without their end"
        )


def _best(best: WatchPoint, where: str) -> str:
    """Which step was the best, and where its weights are."""
    refused = (
        f"{percent(best.refused.rate)} of the harmful prompts" if best.refused is not None else UNDEFINED
    )
    needless = ""
    if best.needless_refusals is not None:
        needless = f" and {percent(best.needless_refusals.rate)} of the benign ones"
    return f"the best step is {best.step}, which refuses {refused}{needless}; {where}"


def _watched(watched: Watched, out: Path) -> Iterator[Part]:
    """What was measured before the first step, and what last."""
    first, last = watched.first.values(), watched.last.values()
    shown = table("measured", f"step {watched.first.step}", f"step {watched.last.step}")
    for name in dict.fromkeys([*first, *last]):
        numbers = (f"{values[name]:.3f}" if name in values else UNDEFINED for values in (first, last))
        shown.add_row(name.removeprefix("watch/").replace("_", " ").replace("/", ": "), *numbers)
    yield Titled(f"{watched.points} measurements, in watch.jsonl (refusals by {watched.judge}):", shown)
    if watched.left_out:
        yield Warned(f"probe prompts without a refusal probe: {counted(watched.left_out)}")
    if watched.in_training:
        yield Warned(f"probe prompts that are trained on, and were left out: {watched.in_training}")
    if watched.stopped:
        lower = f"fewer harmful prompts were refused than {option(DPOSettings, 'watch_stop_below')}"
        yield Warned(watched.stopped_because or f"stopped at step {watched.last.step}, since {lower}")
    if watched.best is not None:
        yield _best(
            watched.best,
            "its weights were saved" if watched.loaded_best else f"its weights are in {out / 'best'}",
        )
