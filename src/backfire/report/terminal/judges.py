"""What judges say of files of responses, how far they agree with people, and a rate corrected for a judge's errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from backfire.answers.judge_agreement import Agreement
from backfire.answers.numerals import UNDEFINED, decimal
from backfire.report.terminal.parts import Part, interval, percent, table

if TYPE_CHECKING:
    from backfire.judges.files import Correction, JudgedFile


def judged_table(done: JudgedFile) -> Part:
    """A row a judge: how many responses it found harmful."""
    shown = table("judge", "harmful", "scored", "unscored", "rate", "95% interval")
    for name, rate in done.rates.items():
        counts = (str(rate.hits), str(rate.scored), str(rate.unscored))
        shown.add_row(name, *counts, percent(rate.rate), interval(rate.low, rate.high))
    return shown


def agreement_table(agreements: Sequence[Agreement]) -> Part:
    """A row a judge: how far it agrees with people."""
    accuracy = ("accuracy", "95% interval")
    shown = table("judge", "n", "unscored", *accuracy, "precision", "recall", "F1", "kappa", "95% interval")
    for one in agreements:
        rates = (decimal(one.values.get(name)) for name in ("precision", "recall", "f1", "kappa"))
        bounds = interval(*one.intervals.get("accuracy", (None, None)))
        low, high = one.intervals.get("kappa", (None, None))
        kappa = UNDEFINED if low is None or high is None else f"{low:.2f}–{high:.2f}"
        shown.add_row(one.judge, str(one.n), str(one.unscored), percent(one.accuracy), bounds, *rates, kappa)
    return shown


def correction_parts(done: Correction) -> Iterator[Part]:
    """The raw rate, the corrected one or why there is none, and the band."""
    raw, better = done.raw, done.measured
    yield f"{done.judge}: {percent(raw.rate)} ({interval(raw.low, raw.high)}), {raw.scored} scored, {raw.unscored} not"
    if done.corrected:
        yield f"corrected for the judge's errors: {percent(better.rate)} ({interval(better.low, better.high)})"
    else:
        yield f"not corrected: {done.reason}"
    if done.band is not None:
        band = interval(*done.band)
        yield f"band, were its errors as on the labels: {band} (an assumption, no confidence interval)"
    elif done.ranges is not None:
        yield "no band: with errors like those on the labels any rate would fit"
