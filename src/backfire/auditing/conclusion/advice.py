"""What to do next, from what was found."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.audit import SafetyContrast, Shortcut, SourceLeak
from backfire.answers.conclusion import Level
from backfire.answers.confounds import Confounds
from backfire.answers.influence import SafetyInfluence
from backfire.auditing.conclusion.confound_words import MANY, uneven, worth_telling
from backfire.auditing.conclusion.influence_words import influence_advice

TRAIN_AND_ATTACK = (
    "Train on the data and attack the result, beside a set built another way: `backfire study run` does both. The audit"
    " cannot tell whether a model trained on them is safe."
)


FEWEST_UNREAD = 0.05
"""Share of all responses, in a language that the judge does not read, from which another judge is advised."""


def advice(
    level: Level,
    leak: SourceLeak | None,
    shortcuts: Sequence[Shortcut],
    confounds: Confounds,
    contrast: SafetyContrast,
    judged: bool,
    influence: SafetyInfluence | None = None,
) -> tuple[str, ...]:
    """Concrete steps, the repairs of the data first. judged: whether any probe could be run."""
    steps: list[str] = []
    if not judged:
        steps.append(
            "Collect more pairs over more prompts: below 30 pairs or 10 prompts nothing can be told."
        )
    elif level == "unknown":
        steps.append("Collect more pairs over more prompts: intervals narrower than .2 take a few hundred.")
    if influence is not None:
        steps += influence_advice(influence)
    steps += _sources(level, leak)
    steps += _repairs(confounds)
    steps += _safety(contrast)
    looks = [cue for cue in shortcuts if cue.family not in ("refusal", "words")]
    if looks:
        steps.append(
            f"Make the two sides alike in this cue: {looks[0].cue.split(' above ')[0]}. Sort the pairs by v_information"
            " (`--per-pair FILE`), read those that are told apart most easily, rewrite or leave them out, and audit again."
        )
    elif shortcuts and level != "none found":
        steps.append(
            "Sort the pairs by v_information (`--per-pair FILE`) and read the highest ones: they show what the label encodes."
        )
    steps.append(TRAIN_AND_ATTACK)
    return tuple(steps)


def _sources(level: Level, leak: SourceLeak | None) -> list[str]:
    if leak is not None and leak.fixed:
        return [
            "Break the mapping: pair again so that every source stands on both sides (for each prompt, chosen and rejected"
            " from the same pool, ranked by a reward model or by people).",
            "Or take both sides from the model that is to be trained, several samples a prompt, ranked by a reward model"
            " (recipe `self+rm`).",
        ]
    if leak is None and level == "strong":
        return [
            "Say who wrote each side (columns such as chosen_model and rejected_model, or --source-columns): the audit can"
            " then tell a source from a style."
        ]
    if leak is not None and leak.pairwise is not None and leak.pairwise.low > 0.5 and leak.pairwise.p <= 0.05:
        return ["Balance the sources over the sides, or compare responses of one source only."]
    return []


def _repairs(confounds: Confounds) -> list[str]:
    steps: list[str] = []
    truncated = confounds.truncated is not None and uneven(confounds.truncated)
    if truncated or (confounds.decoding_differs is not None and confounds.decoding_differs.hits):
        steps.append(
            "Sample both sides with the same decoding and token limit, one that lets responses end, and drop truncated ones"
            " (`truncated: drop`)."
        )
    if confounds.thoughts is not None and uneven(confounds.thoughts):
        steps.append(
            "Give both sides thoughts, or neither: write the missing ones, or take them off both sides alike."
        )
    if any(worth_telling(one, tests=len(confounds.debris)) for one in confounds.debris):
        steps.append("Strip the remains of templates from the responses, on both sides alike.")
    if any((one.pairs.rate or 0) >= MANY for one in confounds.prompt_debris):
        steps.append("Take the marks of templates off the prompts that have them: the rows are listed.")
    counts = {repeat.what: repeat.pairs.hits for repeat in confounds.repeats}
    if counts.get("contradictions"):
        steps.append("Drop or relabel contradictory pairs: the rows are listed.")
    if counts.get("exact duplicates") or counts.get("near duplicates"):
        steps.append("Remove duplicates: the rows are listed.")
    if confounds.evaluation_sets:
        names = ", ".join(one.name for one in confounds.evaluation_sets)
        steps.append(f"Remove the pairs with prompts of {names}, or do not report scores on them.")
    if confounds.overlap is not None and (confounds.overlap.exact.hits or confounds.overlap.near.hits):
        steps.append(f"Remove the prompts that {confounds.overlap.other} has too from one of the two.")
    return steps


def _safety(contrast: SafetyContrast) -> list[str]:
    pairs = sum(one.pairs for one in contrast.strata)
    unread = [one for one in contrast.languages if one.undecided.hits >= FEWEST_UNREAD * 2 * pairs]
    if unread:
        names = " and ".join(one.language for one in unread[:3])
        return [f"Name a judge that reads {names} (`--judge rubric:MODEL`), or mark the decisions yourself."]
    for one in contrast.strata:
        if one.prompts != "harmful" or one.decisions_differ.rate is None:
            continue
        refusing, complying = one.chosen_refuses_rejected_complies, one.chosen_complies_rejected_refuses
        if complying.hits > refusing.hits and one.p is not None and one.p <= 0.05:
            return [
                "Read the harmful prompts whose chosen side complies and whose rejected side refuses: is that meant?"
            ]
        if one.decisions_differ.rate < 0.05:
            return [
                "To teach refusing, add harmful prompts on which one side refuses and the other complies."
            ]
    if all(one.prompts == "all" for one in contrast.strata):
        return [
            "Say which prompts are harmful (a column `kind`): decisions are then counted where they matter."
        ]
    return []
