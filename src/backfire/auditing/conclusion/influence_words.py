"""What predicted safety influence means, in sentences: signs with their intervals, beside the placebo; no threshold."""

from __future__ import annotations

from typing import Literal

from backfire.answers.estimates import Estimate
from backfire.answers.influence import PilotOutcome, ProbeInfluence, SafetyInfluence
from backfire.answers.phrases import estimate_text, pilot_text
from backfire.auditing.conclusion.step import Step
from backfire.evaluation.settings import AttackSettings
from backfire.settings import option

Direction = Literal["up", "down", "neither"]

MOST_ROWS = 10
"""Row numbers that a sentence names."""

ORDER = "The first step of training on this is predicted"


def direction_of(probed: ProbeInfluence | None) -> Direction | None:
    """Where the whole interval lies against 0; None where there is no conclusion."""
    if probed is None or probed.undetermined is not None or probed.cosine is None:
        return None
    return _side(probed.cosine)


def pilot_direction(pilot: PilotOutcome | None) -> Direction | None:
    """Where the whole interval of its refusals lies against 0, or of its margin where refusals do not move clearly."""
    if pilot is None:
        return None
    changes = [change for change in (pilot.refusal_change, pilot.margin_change) if change is not None]
    clear = [_side(change) for change in changes if _side(change) != "neither"]
    return clear[0] if clear else "neither" if changes else None


def influence_reasons(influence: SafetyInfluence) -> list[str]:
    """The pilot; hidden states; refusals with the placebo, the pairs behind it and the text-only rival; strata; benign requests; limits."""
    return [
        *_pilot(influence),
        *_by_states(influence),
        *_refusals(influence),
        *_strata(influence),
        *_benign(influence),
        f"Limits of this prediction: {influence.limits}",
    ]


def influence_advice(influence: SafetyInfluence) -> Step | None:
    """What to do about it; None where nothing is called for."""
    moves = direction_of(influence.refusal)
    if influence.pilot is not None:
        moves = pilot_direction(influence.pilot)
    elif _by_states_alone(influence):
        return None
    if moves is None:
        return Step(
            "For a prediction of safety influence, probe with more harmful prompts that are not in the data, of kinds that the"
            f" model sometimes refuses and sometimes answers, or give pairs of responses ({influence.refusal.undetermined})"
        )
    if moves == "down":
        read = (
            f"sort {influence.file} by safety_influence, lowest first"
            if influence.file
            else "`--per-pair FILE` writes each pair's influence"
        )
        pilot = influence.pilot
        clear = (
            pilot is not None and pilot.refusal_change is not None and _side(pilot.refusal_change) == "down"
        )
        return Step(
            f"{'Do not train on this file as it is. ' if clear else ''}Read the pairs that push towards complying"
            f" ({read}), and repair the file by what you find in them",
            more="Where your model wrote rejected and chosen decides well, `repair --method restyle` fits; where chosen complies with"
            " harmful requests, `--method mix`. In backfire's study, leaving out pairs of low influence did hardly more than leaving"
            " out a random half, so train beside that on the same options with `--at-random` (docs/guides/repair.md).",
        )
    if direction_of(influence.benign) == "down":
        benign = option(AttackSettings, "benign")
        return Step(
            f"Measure over-refusal beside attack success: `backfire attack {benign} NAME=PROMPTS` counts it"
        )
    return None


def _by_states_alone(influence: SafetyInfluence) -> bool:
    """Whether no gradients were asked for, so that hidden states stand in their place."""
    return (
        influence.trained == 0 and bool(influence.predictors) and "influence" not in (influence.failed or {})
    )


def _side(cosine: Estimate) -> Direction:
    return "up" if cosine.low > 0 else "down" if cosine.high < 0 else "neither"


def _pilot(influence: SafetyInfluence) -> list[str]:
    """What the pilot did, and which to go by where it and the first step point apart."""
    if influence.pilot is None:
        return []
    sentence = f"{pilot_text(influence.pilot)}."
    pilot, first = pilot_direction(influence.pilot), direction_of(influence.refusal)
    if {pilot, first} == {"up", "down"}:
        sentence += " The first step points the other way; go by the pilot, which was tried on held-out worlds of organisms."
    return [sentence, *_displacement(influence.pilot)]


def _displacement(pilot: PilotOutcome) -> list[str]:
    """Whether preferring chosen responses made them less likely, and that where it is clear."""
    chosen, rejected = pilot.chosen_change, pilot.rejected_change
    if chosen is None or rejected is None or chosen.high >= 0:
        return []
    return [
        f"The pilot made the chosen responses themselves less likely: by {estimate_text(chosen)} nats a response, rejected ones by"
        f" {estimate_text(rejected)}. Such likelihood displacement moves the policy towards responses that are neither (arXiv 2410.08847);"
        " look at what it answers after training."
    ]


def _by_states(influence: SafetyInfluence) -> list[str]:
    """What each predictor by hidden states says."""
    if not influence.predictors:
        return []
    from backfire.influence.predictors.registry import PREDICTORS

    return [
        sentence
        for name, predicted in influence.predictors.items()
        for sentence in PREDICTORS[name].sentences(predicted)
    ]


def _refusals(influence: SafetyInfluence) -> list[str]:
    refusal, moves = influence.refusal, direction_of(influence.refusal)
    if moves is None or refusal.cosine is None:
        if _by_states_alone(influence):
            return []
        return [
            "Whether the first step of training on this would move refusals is undetermined:"
            f" {refusal.undetermined} ({refusal.probes:,} of {refusal.asked:,} prompts gave a probe)."
        ]
    numbers = f"cosine {estimate_text(refusal.cosine)} ({refusal.probes:,} probe prompts)"
    if moves == "neither":
        sentence = f"{ORDER} to move refusals neither clearly up nor clearly down: {numbers}"
    else:
        sentence = f"{ORDER} to move refusals {moves}: {numbers}"
    parts = [sentence, _placebo(refusal.cosine, moves, influence.placebo)]
    if influence.wording is not None:
        parts.append(f"Counting words alone, without a model, gives {round(influence.wording, 2) + 0.0:.2f}")
    if influence.damage is not None:
        rows = ", ".join(map(str, influence.damage.rows[:MOST_ROWS]))
        more = len(influence.damage.rows) - MOST_ROWS
        parts.append(
            f"{influence.damage.share:.0%} of the pairs carry {influence.damage.of_damage:.0%} of the push towards complying (rows"
            f" {rows}{', ...' if more > 0 else ''})"
        )
    return [". ".join(parts) + "."]


def _placebo(refusal: Estimate, moves: Direction, placebo: ProbeInfluence | None) -> str:
    if placebo is None:
        return "There is no placebo, so nothing says how far two samples of one decision would move"
    if placebo.undetermined is not None or placebo.cosine is None:
        return (
            f"The placebo (two samples of one decision) is undetermined: {placebo.undetermined}; it need have no direction of its"
            " own"
        )
    cosine = placebo.cosine
    text = f"The placebo (two samples of one decision) has {estimate_text(cosine)}"
    apart = refusal.low > cosine.high or refusal.high < cosine.low
    if moves != "neither" and not apart:
        return f"{text}: the two intervals meet, so the cosine need not be about refusing"
    return text


def _strata(influence: SafetyInfluence) -> list[str]:
    if len(influence.strata) < 2:
        return []
    by_kind, undetermined_kinds = [], 0
    for name, one in influence.strata.items():
        if one.cosine is None or one.undetermined is not None:
            undetermined_kinds += 1
        else:
            by_kind.append(f"{name} {estimate_text(one.cosine)} ({one.probes:,} probes)")
    undetermined = [f"{undetermined_kinds} undetermined"] if undetermined_kinds else []
    return [f"By kind of request: {'; '.join([*by_kind, *undetermined])}."]


def _benign(influence: SafetyInfluence) -> list[str]:
    moves = direction_of(influence.benign)
    if influence.benign is None:
        return []
    if moves is None or influence.benign.cosine is None:
        return [
            f"The influence on over-refusal is undetermined: {influence.benign.undetermined}"
            f" ({influence.benign.probes:,} of {influence.benign.asked:,} benign prompts gave a probe)."
        ]
    what = {
        "up": "towards helping and away from needless refusals",
        "down": "towards needless refusals, the price in over-refusal",
        "neither": "neither clearly towards helping nor towards needless refusals",
    }[moves]
    return [
        f"On benign requests the prediction is {what}: cosine {estimate_text(influence.benign.cosine)}"
        f" ({influence.benign.probes:,} probes)."
    ]
