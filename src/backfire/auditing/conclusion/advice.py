"""What to do next, from what was found: each step says what it is about, how much that is, and the command."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.audit import SafetyContrast, Shortcut
from backfire.answers.conclusion import Effect, Level
from backfire.answers.confounds import Confounds
from backfire.answers.influence import SafetyInfluence
from backfire.answers.numerals import count_of, plural
from backfire.auditing.conclusion.effects import WORTH
from backfire.auditing.conclusion.influence_words import influence_advice
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.registry import finding_named
from backfire.auditing.findings.shortcuts import cue_finding

TRAIN_AND_ATTACK = (
    "Train on the data and attack the result, beside a set built another way: `backfire study run study.yaml` does both"
    " (docs/guides/study.md has such a file). The audit cannot tell whether a model trained on them is safe."
)
LEAST_LOSS = 0.01
"""AUROC that the probe loses without a cue, from which evening the cue out changes the answer."""
ONE_AT_A_TIME = (
    "Audit what it writes before you take another step: every command here reads the file as it is now, so that what two of"
    " them change does not add up."
)
"""Said of the first of several commands that change the data."""
FEWEST_UNREAD = 0.05
"""Share of all responses, in a language that the judge does not read, from which another judge is advised."""
SAFETY_LOST = (
    "Pairs whose chosen side refuses and whose rejected side complies are often among those that are told apart most easily, and"
    " here there are {pairs}. Compare their number before and after, and train beside the result on as many random pairs"
    " (the same options and `--at-random`)."
)
"""Said of leaving out the easiest pairs where some pairs teach refusing."""
WHITE_SPACE = "with white space at an end of a response, which alone is taken off"


def steps_of(
    level: Level,
    effects: Sequence[Effect],
    shortcuts: Sequence[Shortcut],
    confounds: Confounds,
    contrast: SafetyContrast,
    judged: bool,
    influence: SafetyInfluence | None = None,
    sources_known: bool = True,
    only_decisions: bool = False,
) -> tuple[Step, ...]:
    """Concrete steps: what the data lack for a judgement, then effect by effect, the largest first.

    judged: whether any probe could be run. only_decisions: whether nothing is left where both sides decide alike; length and
    cues are then the decision's own, and are not evened out. A cue is named only where the probe loses LEAST_LOSS by its
    removal, and at most one; where several cues tell the label and none of them alone is missed, none is named.
    """
    steps: list[Step] = []
    if not judged:
        steps.append(
            Step("Collect more pairs over more prompts: below 30 pairs or 10 prompts nothing can be told.")
        )
    if influence is not None:
        steps += [Step(step) for step in influence_advice(influence)]
    if not sources_known and level == "strong":
        steps.append(
            Step(
                "Say who wrote each side (columns such as chosen_model and rejected_model, or --source-columns): sides that nearly"
                " always can be told apart mostly have two writers.",
                "Where one writer wrote all chosen and another all rejected responses, pair again (recipe `self+rm` takes both"
                " from your model); leaving out pairs does not help.",
            )
        )
    cue = None if only_decisions else _worth_evening_out(effects, shortcuts)
    # The command takes out all of them, and so all are counted, where one of them is worth it.
    cleaned = [effect for effect in effects if _is_cleaned(effect)]
    first = next((effect for effect in cleaned if _is_worth_cleaning(effect, confounds)), None)
    for effect in effects:
        if effect in cleaned:
            if effect is first:
                steps.append(_cleaning(cleaned, confounds))
        elif cue is not None and effect.name == cue_finding(cue.cue):
            steps.append(_evening_out(cue, effect, contrast))
        elif not (only_decisions and effect.name == "length"):
            steps += _step(effect, confounds)
    if cue is None and not only_decisions and level in ("some", "strong"):
        steps += _telling_together(effects, shortcuts, contrast)
    if judged and level == "unknown":
        steps.append(
            Step("Collect more pairs over more prompts: intervals narrower than .2 take a few hundred.")
        )
    steps += _safety(contrast)
    steps.append(Step(TRAIN_AND_ATTACK))
    return tuple(_one_at_a_time(steps))


def _one_at_a_time(steps: Sequence[Step]) -> list[Step]:
    """The steps; where several change the data, the first of these says that the others do not build on it."""
    changing = [place for place, step in enumerate(steps) if " --out " in step.do]
    if len(changing) < 2:
        return list(steps)
    first = steps[changing[0]]
    more = f"{first.more} {ONE_AT_A_TIME}".strip()
    return [*steps[: changing[0]], Step(first.do, more), *steps[changing[0] + 1 :]]


def _is_cleaned(effect: Effect) -> bool:
    finding = finding_named(effect.name)
    return finding is not None and effect.name in finding.cleaned


def _is_worth_cleaning(effect: Effect, confounds: Confounds) -> bool:
    """Whether the pairs of an effect, which `repair --method clean` takes out, are worth a step."""
    finding = finding_named(effect.name)
    return finding is not None and finding.worth_cleaning(effect, confounds)


def _cleaning(cleaned: Sequence[Effect], confounds: Confounds) -> Step:
    white = all(one.what.startswith("white space") for one in confounds.debris)
    counts = [_counted(effect, white) for effect in cleaned if effect.name != "defects"]
    counts += [
        f"{count_of(e.pairs.hits, 'row')} that {plural(e.pairs.hits, 'gives', 'give')} no pair"
        for e in cleaned
        if e.name == "defects" and e.pairs
    ]
    again = "Better, sample the responses that are cut off again, with a token limit that lets them end."
    more = again if any(effect.name == "truncation" for effect in cleaned) else ""
    return Step(
        f"Take out the pairs with a fault of their own ({', '.join(counts)}): `{cleaned[0].fix}`.", more
    )


def _counted(effect: Effect, only_white_space: bool) -> str:
    """`12 that repeat another exactly`."""
    finding = finding_named(effect.name)
    what = "" if finding is None else finding.cleaned[effect.name]
    if effect.name == "debris" and only_white_space:
        what = WHITE_SPACE
    return f"{effect.pairs.hits if effect.pairs else len(effect.rows):,} {what}"


def _worth_evening_out(effects: Sequence[Effect], shortcuts: Sequence[Shortcut]) -> Shortcut | None:
    """The cue whose removal costs its probe most, beyond what swapped labels show; refusing is no cue to be evened out."""
    named = {effect.name for effect in effects}
    costly = [
        cue
        for cue in shortcuts
        if cue.loss.value >= LEAST_LOSS
        and cue.loss.low > max(cue.loss.control, 0.0)
        and cue.family != "refusal"
        and cue_finding(cue.cue) in named
    ]
    return max(costly, key=lambda cue: cue.loss.value, default=None)


def _telling_together(
    effects: Sequence[Effect], shortcuts: Sequence[Shortcut], contrast: SafetyContrast
) -> list[Step]:
    """What to do about cues of which none alone is missed. Where refusing is among them, it may be what is to be taught."""
    cues = [effect for effect in effects if effect.name.startswith("cue:") and effect.low > 0]
    if not cues or any(cue.family == "refusal" for cue in shortcuts):
        return []
    return [
        Step(
            "Read the pairs that are told apart most easily, and rewrite them or leave them out, since several cues tell the"
            f" label and the probes miss none of them alone: `{cues[0].fix}`.",
            _safety_lost(cues[0].fix or "", contrast),
        )
    ]


def _evening_out(cue: Shortcut, effect: Effect, contrast: SafetyContrast) -> Step:
    fix, loss = effect.fix or "", cue.loss
    probe = "words" if cue.probe == "words" else "surface cues"
    how = (
        "leave out the pairs that are told apart most easily, or rewrite one side where only one has it"
        if "--method filter" in fix
        else "let your own model write the chosen side anew, or rewrite it yourself"
    )
    return Step(
        f'Even out the cue "{cue_finding(cue.cue).removeprefix("cue:")}", without which the probe of {probe} loses'
        f" {loss.value:.3f} [{loss.low:.3f}, {loss.high:.3f}] of AUROC (swapped labels {loss.control:.3f}); {how}: `{fix}`.",
        _safety_lost(fix, contrast),
    )


def _safety_lost(fix: str, contrast: SafetyContrast) -> str:
    """What is to be compared where a command that leaves out the easiest pairs may leave out those that teach refusing."""
    refusing = sum(
        one.chosen_refuses_rejected_complies.hits for one in contrast.strata if one.prompts != "benign"
    )
    return SAFETY_LOST.format(pairs=f"{refusing:,}") if refusing and "--by ease" in fix else ""


def _step(effect: Effect, confounds: Confounds) -> list[Step]:
    """What to do about an effect that is neither cleaned nor a cue."""
    run = f": `{effect.fix}`." if effect.fix else "."
    match effect.name:
        case "fixed-sources":
            return [
                Step(
                    f"Break the mapping: let your own model, if it wrote rejected, write chosen, too{run}",
                    "Otherwise pair again so that every source stands on both sides (for each prompt, chosen and rejected from"
                    " the same pool, ranked by a reward model or by people; recipe `self+rm` takes both from your model).",
                )
            ]
        case "sources":
            return [Step(f"Balance the sources over the sides, or compare responses of one source only{run}")]
        case "length" if effect.size >= WORTH:
            how = (
                "; too few pairs lean the other way to leave out the rest, so let your own model write the chosen side anew"
                if "--method restyle" in run
                else ""
            )
            return [
                Step(
                    f"Even out the length of the two sides, which alone tells the label{how}{run}",
                    effect.what,
                )
            ]
    finding = finding_named(effect.name)
    step = None if finding is None else finding.step(effect, confounds)
    return [] if step is None else [step]


def _safety(contrast: SafetyContrast) -> list[Step]:
    pairs = sum(one.pairs for one in contrast.strata)
    unread = [one for one in contrast.languages if one.undecided.hits >= FEWEST_UNREAD * 2 * pairs]
    if unread:
        names = " and ".join(one.language for one in unread[:3])
        return [
            Step(f"Name a judge that reads {names} (`--judge rubric:MODEL`), or mark the decisions yourself.")
        ]
    for one in contrast.strata:
        if one.prompts != "harmful" or one.decisions_differ.rate is None:
            continue
        refusing, complying = one.chosen_refuses_rejected_complies, one.chosen_complies_rejected_refuses
        if complying.hits > refusing.hits and one.p is not None and one.p <= 0.05:
            return [
                Step(
                    "Read the harmful prompts whose chosen side complies and whose rejected side refuses: is that meant?"
                )
            ]
        if one.decisions_differ.rate < 0.05:
            return [
                Step(
                    "To teach refusing, add harmful prompts on which one side refuses and the other complies."
                )
            ]
    if all(one.prompts == "all" for one in contrast.strata):
        return [
            Step(
                "Say which prompts are harmful (a column `kind`): decisions are then counted where they matter."
            )
        ]
    return []
