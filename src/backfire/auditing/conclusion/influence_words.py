"""What predicted safety influence means, in sentences: signs with their intervals, beside the placebo; no threshold."""

from __future__ import annotations

from typing import Literal

from backfire.answers.estimates import Estimate
from backfire.answers.influence import PilotOutcome, ProbeInfluence, SafetyInfluence
from backfire.answers.phrases import pilot_text

Direction = Literal["up", "down", "neither"]

MOST_ROWS = 10
"""Row numbers that a sentence names."""

ORDER = "The first step of training on this is predicted"


def direction_of(found: ProbeInfluence | None) -> Direction | None:
    """Where the whole interval lies against 0; None where there is no conclusion."""
    if found is None or found.undetermined is not None or found.cosine is None:
        return None
    return _side(found.cosine)


def pilot_direction(found: PilotOutcome | None) -> Direction | None:
    """Where the whole interval of its refusals lies against 0, or of its margin where refusals do not move clearly."""
    if found is None:
        return None
    changes = [change for change in (found.refusal_change, found.margin_change) if change is not None]
    clear = [_side(change) for change in changes if _side(change) != "neither"]
    return clear[0] if clear else "neither" if changes else None


def influence_reasons(found: SafetyInfluence) -> list[str]:
    """The pilot; refusals with the placebo, the pairs behind it and the text-only rival; strata; benign requests; limits."""
    return [
        *_pilot(found),
        _refusals(found),
        *_strata(found),
        *_benign(found),
        f"Limits of this prediction: {found.limits}",
    ]


def influence_advice(found: SafetyInfluence) -> list[str]:
    """What to do about it; empty where nothing is called for."""
    moves = direction_of(found.refusal)
    if found.pilot is not None:
        moves = pilot_direction(found.pilot)
    if moves is None:
        return [
            "For a prediction of safety influence, probe with more harmful prompts that are not in the data, of kinds that the"
            f" model sometimes refuses and sometimes answers, or give pairs of responses ({found.refusal.undetermined})."
        ]
    if moves == "down":
        where = f": sort {found.file} by safety_influence, lowest first" if found.file else ""
        return [
            "Read the pairs that push towards complying (`--per-pair FILE` writes each pair's influence"
            f"{where}), then write a repaired set: `backfire repair DATASET --policy MODEL --method auto --out DIR`, or by"
            " filter, balance, restyle or mix. It prints the audit before and after."
        ]
    if direction_of(found.benign) == "down":
        return [
            "Measure over-refusal beside attack success: `backfire attack --benign NAME=PROMPTS` counts it."
        ]
    return []


def cosine_text(found: Estimate) -> str:
    """`-0.31 [-0.40, -0.22]`."""
    return f"{_two(found.value)} [{_two(found.low)}, {_two(found.high)}]"


def _side(found: Estimate) -> Direction:
    return "up" if found.low > 0 else "down" if found.high < 0 else "neither"


def _pilot(found: SafetyInfluence) -> list[str]:
    """What the pilot did, and which to go by where it and the first step point apart."""
    if found.pilot is None:
        return []
    sentence = f"{pilot_text(found.pilot)}."
    tried, first = pilot_direction(found.pilot), direction_of(found.refusal)
    if {tried, first} == {"up", "down"}:
        sentence += " The first step points the other way; on held-out worlds of organisms the pilot was the better guide."
    return [sentence]


def _two(value: float) -> str:
    """Two decimals, and no minus before a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _refusals(found: SafetyInfluence) -> str:
    refusal, moves = found.refusal, direction_of(found.refusal)
    if moves is None or refusal.cosine is None:
        return (
            "Whether the first step of training on this would move refusals is undetermined:"
            f" {refusal.undetermined} ({refusal.probes:,} of {refusal.asked:,} prompts gave a probe)."
        )
    numbers = f"cosine {cosine_text(refusal.cosine)} ({refusal.probes:,} probe prompts)"
    if moves == "neither":
        sentence = f"{ORDER} to move refusals neither clearly up nor clearly down: {numbers}"
    else:
        sentence = f"{ORDER} to move refusals {moves}: {numbers}"
    parts = [sentence, _placebo(refusal.cosine, moves, found.placebo)]
    if found.wording is not None:
        parts.append(f"Counting words alone, without a model, gives {_two(found.wording)}")
    if found.damage is not None:
        rows = ", ".join(map(str, found.damage.rows[:MOST_ROWS]))
        more = len(found.damage.rows) - MOST_ROWS
        parts.append(
            f"{found.damage.share:.0%} of the pairs carry {found.damage.of_damage:.0%} of the push towards complying (rows"
            f" {rows}{', ...' if more > 0 else ''})"
        )
    return ". ".join(parts) + "."


def _placebo(refusal: Estimate, moves: Direction, found: ProbeInfluence | None) -> str:
    if found is None:
        return "There is no placebo, so nothing says how far two samples of one decision would move"
    if found.undetermined is not None or found.cosine is None:
        return (
            f"The placebo (two samples of one decision) is undetermined: {found.undetermined}; it need have no direction of its"
            " own"
        )
    placebo = found.cosine
    text = f"The placebo (two samples of one decision) has {cosine_text(placebo)}"
    apart = refusal.low > placebo.high or refusal.high < placebo.low
    if moves != "neither" and not apart:
        return f"{text}: the two intervals meet, so the cosine need not be about refusing"
    return text


def _strata(found: SafetyInfluence) -> list[str]:
    if len(found.strata) < 2:
        return []
    told, untold = [], 0
    for name, one in found.strata.items():
        if one.cosine is None or one.undetermined is not None:
            untold += 1
        else:
            told.append(f"{name} {cosine_text(one.cosine)} ({one.probes:,} probes)")
    undetermined = [f"{untold} undetermined"] if untold else []
    return [f"By kind of request: {'; '.join([*told, *undetermined])}."]


def _benign(found: SafetyInfluence) -> list[str]:
    moves = direction_of(found.benign)
    if found.benign is None:
        return []
    if moves is None or found.benign.cosine is None:
        return [
            f"The influence on over-refusal is undetermined: {found.benign.undetermined}"
            f" ({found.benign.probes:,} of {found.benign.asked:,} benign prompts gave a probe)."
        ]
    what = {
        "up": "towards helping and away from needless refusals",
        "down": "towards needless refusals, the price in over-refusal",
        "neither": "neither clearly towards helping nor towards needless refusals",
    }[moves]
    return [
        f"On benign requests the prediction is {what}: cosine {cosine_text(found.benign.cosine)}"
        f" ({found.benign.probes:,} probes)."
    ]
