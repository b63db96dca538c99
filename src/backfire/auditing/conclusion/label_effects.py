"""Effects by which a label can be told: sources, length, cues."""

from __future__ import annotations

from backfire.answers.estimates import Accuracy
from backfire.auditing.conclusion.commands import LEDGER, MODEL, Effected
from backfire.auditing.conclusion.count_words import pairs_text
from backfire.auditing.conclusion.evidence import (
    Evidence,
    repairing,
    restyling,
    size_of_tell,
    size_of_touched,
)
from backfire.auditing.findings.shortcuts import cue_finding
from backfire.auditing.probes.uncertainty import share
from backfire.auditing.settings import FEWEST_PAIRS
from backfire.repairing.settings import Balance, Filter

MORE = 1.25
"""Pairs left out for a cue, for each pair by which the sides differ in it: others of them are told apart as easily."""
FEWEST_KEPT = 0.3
"""A cue is evened out by leaving pairs out where at least this share of them stays; else one side has to be written anew."""


def of_sources(evidence: Evidence) -> list[Effected]:
    leak = evidence.leak
    balancing = repairing(evidence, Balance(pool=LEDGER, reward_model=MODEL), "balanced-sources")
    effects = []
    if leak is not None and leak.fixed:
        touched = share(leak.pairs, evidence.pairs)
        who = leak.mapping.partition(": ")[2]
        effects.append(
            Effected.of(
                restyling(evidence),
                name="fixed-sources",
                what=f"Who wrote a response decides its label: {who} ({pairs_text(leak.pairs)}).",
                pairs=touched,
                rows=evidence.first_rows("fixed-sources"),
                condition="fixed-sources",
                **size_of_touched(touched),
            )
        )
    elif (
        leak is not None and leak.pairwise is not None and leak.pairwise.low > 0.5 and leak.pairwise.p <= 0.05
    ):
        effects.append(
            Effected.of(
                balancing,
                name="sources",
                what=f"Who wrote a response, without its text, ranks {_accuracy(leak.pairwise)} of pairs right.",
                **size_of_tell(leak.pairwise),
            )
        )
    return effects


def of_lengths(evidence: Evidence) -> list[Effected]:
    if not evidence.lengths or evidence.lengths[0].pairwise is None:
        return []
    words = evidence.lengths[0]
    accuracy, longer = evidence.lengths[0].pairwise, words.longer
    if accuracy.p > 0.05 or longer.rate is None:
        return []
    which, often = ("longer", longer.rate) if longer.rate >= 0.5 else ("shorter", 1 - longer.rate)
    rarer = min(longer.hits, longer.scored - longer.hits)
    # Balancing keeps as many pairs of either direction, and those of equal length.
    stay = 2 * rarer + longer.unscored if rarer else 0
    balancing = repairing(evidence, Balance(by="length"), "balanced")
    return [
        Effected.of(
            balancing if stay >= FEWEST_PAIRS else restyling(evidence),
            name="length",
            what=f"Chosen is the {which} response in {often:.1%} of pairs (median {words.chosen:,.0f} against"
            f" {words.rejected:,.0f} words); length alone ranks {_accuracy(accuracy)} of pairs right.",
            rows=evidence.first_rows("length"),
            condition="length>X",
            **size_of_tell(accuracy),
        )
    ]


def of_cues(evidence: Evidence) -> list[Effected]:
    effects = []
    for cue in evidence.shortcuts:
        if cue.pairwise is None or (
            cue.family == "length" and cue_finding(cue.cue) in ("cue:length", "cue:words")
        ):
            continue
        name = cue_finding(cue.cue)
        shown = (
            f'The words "{cue.cue}" are' if cue.probe == "words" else f"{cue.cue[:1].upper()}{cue.cue[1:]}:"
        )
        decides = " This is the decision itself, and need be no shortcut." if cue.family == "refusal" else ""
        rows = evidence.rows_of(name)
        apart = abs((cue.chosen.rate or 0) - (cue.rejected.rate or 0))
        keep = min(0.95, max(0.0, 1 - MORE * apart))
        easiest = Filter(by="ease", keep=round(keep, 2)) if keep >= FEWEST_KEPT else None
        effects.append(
            Effected.of(
                restyling(evidence) if easiest is None else repairing(evidence, easiest, "filtered"),
                name=name,
                what=f"{shown} in {cue.chosen.rate or 0:.0%} of chosen and {cue.rejected.rate or 0:.0%} of rejected responses;"
                f" this alone ranks {_accuracy(cue.pairwise)} of pairs right.{decides}",
                pairs=share(len(rows), evidence.pairs),
                rows=evidence.first_rows(name),
                **size_of_tell(cue.pairwise, 1.0 if cue.beyond_length is None else cue.beyond_length),
            )
        )
    return effects


def _accuracy(accuracy: Accuracy) -> str:
    return f"{accuracy.accuracy:.1%} [{accuracy.low:.1%}, {accuracy.high:.1%}]"
