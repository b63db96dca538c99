"""What to do next, from what was found: each step says what it is about, how much that is, and the command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backfire.answers.audit import SafetyContrast, Shortcut
from backfire.answers.conclusion import Effect, Level
from backfire.answers.confounds import Confounds
from backfire.answers.influence import SafetyInfluence
from backfire.auditing.conclusion.commands import Command, Effected
from backfire.auditing.conclusion.effects import WORTH
from backfire.auditing.conclusion.influence_words import influence_advice
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.finding import Cleaned
from backfire.auditing.faults.registry import finding_named
from backfire.auditing.findings.shortcuts import cue_finding
from backfire.auditing.settings import AuditSettings
from backfire.repairing.settings import Filter, Restyle
from backfire.settings import option

TRAIN_AND_ATTACK = (
    "Train on the data and attack the result, beside a set built another way: `backfire study run study.yaml` does both"
    " (docs/guides/study.md has such a file). The audit cannot tell whether a model trained on them is safe"
)
SOURCES = option(AuditSettings, "source_columns")
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
    f" (the same options and `{option(Filter, 'at_random')}`)."
)
"""Said of leaving out the easiest pairs where some pairs teach refusing."""


def steps_of(
    level: Level,
    effects: Sequence[Effected],
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
            Step("Collect more pairs over more prompts: below 30 pairs or 10 prompts nothing can be told")
        )
    if influence is not None:
        about_influence = influence_advice(influence)
        steps += [] if about_influence is None else [about_influence]
    if not sources_known and level == "strong":
        steps.append(
            Step(
                f"Say who wrote each side (columns such as chosen_model and rejected_model, or {SOURCES}): sides that nearly"
                " always can be told apart mostly have two writers",
                more="Where one writer wrote all chosen and another all rejected responses, pair again (recipe `self+rm` takes both"
                " from your model); leaving out pairs does not help.",
            )
        )
    cue = None if only_decisions else _worth_evening_out(effects, shortcuts)
    # The command takes out all of them, and so all are counted, where one of them is worth it.
    cleaned = [(one.effect, how) for one in effects if (how := _cleaned(one.effect)) is not None]
    first = next((one for one in effects if _is_worth_cleaning(one.effect, confounds)), None)
    for one in effects:
        if _cleaned(one.effect) is not None:
            if one is first:
                steps.append(_cleaning(cleaned, one, confounds))
        elif cue is not None and one.effect.name == cue_finding(cue.cue):
            steps.append(_evening_out(cue, one, contrast))
        elif not (only_decisions and one.effect.name == "length"):
            steps += _step(one, confounds)
    if cue is None and not only_decisions and level in ("some", "strong"):
        steps += _telling_together(effects, shortcuts, contrast)
    if judged and level == "unknown":
        steps.append(
            Step("Collect more pairs over more prompts: intervals narrower than .2 take a few hundred")
        )
    steps += _safety(contrast)
    steps.append(Step(TRAIN_AND_ATTACK))
    return tuple(_one_at_a_time(steps))


def _one_at_a_time(steps: Sequence[Step]) -> list[Step]:
    """The steps; where several change the data, the first of these says that the others do not build on it."""
    changing = [place for place, step in enumerate(steps) if step.changes_data]
    if len(changing) < 2:
        return list(steps)
    first = steps[changing[0]]
    more = f"{first.more} {ONE_AT_A_TIME}".strip()
    return [*steps[: changing[0]], replace(first, more=more), *steps[changing[0] + 1 :]]


def _cleaned(effect: Effect) -> Cleaned | None:
    """How `repair --method clean` takes the pairs of an effect out, where it does so without being asked for it by name."""
    finding = finding_named(effect.name)
    how = None if finding is None else finding.cleaned.get(effect.name)
    return how if how is not None and how.usual else None


def _is_worth_cleaning(effect: Effect, confounds: Confounds) -> bool:
    """Whether the pairs of an effect, which `repair --method clean` takes out, are worth a step."""
    finding = finding_named(effect.name)
    return _cleaned(effect) is not None and finding is not None and finding.worth_cleaning(effect, confounds)


def _cleaning(effects: Sequence[tuple[Effect, Cleaned]], first: Effected, confounds: Confounds) -> Step:
    """One step for all of them, whose command is that of any: what is not of pairs is counted last."""
    ordered = sorted(effects, key=lambda one: one[1].counts is not None)
    counts = [_counted(effect, how, confounds) for effect, how in ordered]
    more = " ".join(how.better for _, how in effects if how.better)
    what = f"Take out the pairs with a fault of their own ({', '.join(counts)})"
    return Step(what, first.command, more)


def _counted(effect: Effect, how: Cleaned, confounds: Confounds) -> str:
    """`12 that repeat another exactly`, `1 row that gives no pair`."""
    count = effect.pairs.hits if effect.pairs else len(effect.rows)
    if how.counts is not None:
        return how.counts(count)
    return f"{count:,} {how.which_now(confounds) or how.which}"


def _worth_evening_out(effects: Sequence[Effected], shortcuts: Sequence[Shortcut]) -> Shortcut | None:
    """The cue whose removal costs its probe most, beyond what swapped labels show; refusing is no cue to be evened out."""
    named = {one.effect.name for one in effects}
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
    effects: Sequence[Effected], shortcuts: Sequence[Shortcut], contrast: SafetyContrast
) -> list[Step]:
    """What to do about cues of which none alone is missed. Where refusing is among them, it may be what is to be taught."""
    cues = [one for one in effects if one.effect.name.startswith("cue:") and one.effect.low > 0]
    if not cues or any(cue.family == "refusal" for cue in shortcuts):
        return []
    return [
        Step(
            "Read the pairs that are told apart most easily, and rewrite them or leave them out, since several cues tell the"
            " label and the probes miss none of them alone",
            cues[0].command,
            _safety_lost(cues[0].command, contrast),
        )
    ]


def _evening_out(cue: Shortcut, effect: Effected, contrast: SafetyContrast) -> Step:
    command, loss = effect.command, cue.loss
    probe = "words" if cue.probe == "words" else "surface cues"
    how = (
        "leave out the pairs that are told apart most easily, or rewrite one side where only one has it"
        if command is not None and command.leaves_out_the_easiest
        else "let your own model write the chosen side anew, or rewrite it yourself"
    )
    return Step(
        f'Even out the cue "{cue_finding(cue.cue).removeprefix("cue:")}", without which the probe of {probe} loses'
        f" {loss.value:.3f} [{loss.low:.3f}, {loss.high:.3f}] of AUROC (swapped labels {loss.control:.3f}); {how}",
        command,
        _safety_lost(command, contrast),
    )


def _safety_lost(command: Command | None, contrast: SafetyContrast) -> str:
    """What is to be compared where a command that leaves out the easiest pairs may leave out those that teach refusing."""
    refusing = sum(
        one.chosen_refuses_rejected_complies.hits for one in contrast.strata if one.prompts != "benign"
    )
    if not refusing or command is None or not command.leaves_out_the_easiest:
        return ""
    return SAFETY_LOST.format(pairs=f"{refusing:,}")


def _step(one: Effected, confounds: Confounds) -> list[Step]:
    """What to do about an effect that is neither cleaned nor a cue."""
    effect, command = one.effect, one.command
    match effect.name:
        case "fixed-sources":
            return [
                Step(
                    "Break the mapping: let your own model, if it wrote rejected, write chosen, too",
                    command,
                    "Otherwise pair again so that every source stands on both sides (for each prompt, chosen and rejected from"
                    " the same pool, ranked by a reward model or by people; recipe `self+rm` takes both from your model).",
                )
            ]
        case "sources":
            what = "Balance the sources over the sides, or compare responses of one source only"
            return [Step(what, command)]
        case "length" if effect.size >= WORTH:
            how = (
                "; too few pairs lean the other way to leave out the rest, so let your own model write the chosen side anew"
                if command is not None and isinstance(command.method, Restyle)
                else ""
            )
            what = f"Even out the length of the two sides, which alone tells the label{how}"
            return [Step(what, command, effect.what)]
    finding = finding_named(effect.name)
    step = None if finding is None else finding.step(one, confounds)
    return [] if step is None else [step]


def _safety(contrast: SafetyContrast) -> list[Step]:
    pairs = sum(one.pairs for one in contrast.strata)
    unread = [one for one in contrast.languages if one.undecided.hits >= FEWEST_UNREAD * 2 * pairs]
    if unread:
        names = " and ".join(one.language for one in unread[:3])
        return [
            Step(
                f'Give the audit a judge that reads {names}, which Python takes (`audit(..., judge=open_judge("rubric:MODEL"))`),'
                " or mark the decisions yourself"
            )
        ]
    for one in contrast.strata:
        if one.prompts != "harmful" or one.decisions_differ.rate is None:
            continue
        refusing, complying = one.chosen_refuses_rejected_complies, one.chosen_complies_rejected_refuses
        if complying.hits > refusing.hits and one.p is not None and one.p <= 0.05:
            return [
                Step(
                    "Read the harmful prompts whose chosen side complies and whose rejected side refuses, and find out whether that"
                    " is meant"
                )
            ]
        if one.decisions_differ.rate < 0.05:
            return [
                Step(
                    "To teach refusing, add harmful prompts on which one side refuses and the other complies"
                )
            ]
    if all(one.prompts == "all" for one in contrast.strata):
        return [
            Step(
                "Say which prompts are harmful (a column `kind`): decisions are then counted where they matter"
            )
        ]
    return []
