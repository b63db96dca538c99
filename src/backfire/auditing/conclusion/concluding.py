"""The conclusion in plain words: what the label encodes, what carries it, and what that does and does not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backfire.answers.as_trained import AsTrained
from backfire.answers.audit import Contrast, SafetyContrast, Shortcut, SourceLeak
from backfire.answers.conclusion import Conclusion, Level, ReferencePoint
from backfire.answers.confounds import Confounds
from backfire.answers.estimates import Accuracy, Auroc, Matched, ProbeEstimate, ProbeResult
from backfire.answers.influence import SafetyInfluence
from backfire.auditing.conclusion.advice import steps_of
from backfire.auditing.conclusion.as_trained_words import trained_sentences
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import ALPHA
from backfire.auditing.conclusion.influence_words import influence_reasons
from backfire.auditing.conclusion.verdict import verdict
from backfire.auditing.faults.registry import sentences
from backfire.auditing.probes.family import family_p

STRONG = 0.9
"""Strong: the whole interval of a probe's AUROC, or of its pairwise accuracy, lies above this."""
WIDEST = 0.2
"""A wider interval says too little for a judgement."""
MOST_WHYS = 4
"""Reasons and languages that a sentence names."""
FEWEST_DECIDED = 0.05
"""Share of pairs whose decisions differ, below which the data are said to carry hardly any safety decision."""

CAVEAT = (
    "Separability shows a shortcut; it does not show danger, and neither does the number among pairs with the same"
    " decision. In a prototype the safest data set and an unsafe one had the same separability (.83), and a data set with"
    " nothing beyond its decisions (.48) left the model unsafe. Only training on the data and attacking the result shows"
    " whether the model is safe."
)
FIXED_IN_THE_PAPER = (
    "The paper (arXiv 2504.02193) describes this failure: its three recipes with a fixed mapping left six models at attack"
    " success rates of .30 to .69, hardly below the .34 to .70 before DPO; the models' own responses, ranked by a reward"
    " model, left them at .01 to .29. That the mapping is the cause is a hypothesis: in the paper it goes together with"
    " reward-model ranking, the contrast of decisions, decoding and truncation."
)
FIXED_IN_OUR_STUDIES = (
    "In backfire's own study on tiny models (docs/log.md: five worlds, one seed each) the same mapping went either way: with"
    " a strong model's responses chosen, the success rate of wrapped attacks rose from .435 to .855 in one world and fell"
    " from .420 to .065 in another. Separability did not order the recipes by what they did."
)


def conclude(
    pairs: int,
    probes: Sequence[ProbeResult],
    leak: SourceLeak | None,
    shortcuts: Sequence[Shortcut],
    confounds: Confounds,
    contrast: SafetyContrast,
    points: Sequence[ReferencePoint],
    reason: str | None = None,
    influence: SafetyInfluence | None = None,
    trained: AsTrained | None = None,
    left_out: str | None = None,
    effects: Sequence[Effected] = (),
) -> Conclusion:
    """Weigh the finished parts.

    pairs: usable ones. reason: why there are no probes (`folds.too_few`). influence: where it was predicted; the level
    does not depend on it. trained: what the policy's template and tokens make of the pairs, likewise. left_out: the
    sentence on rows left out, where these are many (`preferences.left_out_first`): it comes first. effects: everything that was
    found (`effects.effects_of`), the largest first; the advice follows their order.
    A level above `none found` needs an estimate
    that holds against swapped labels for the whole family of probes, pointwise and pairwise, at 5%; `none found` needs
    an interval narrower than .2.
    """
    level, first = _level(pairs, probes, reason)
    by_text = level != "none found"
    reasons = [first] if left_out is None else [left_out, first]
    if probes:
        reasons += _beyond_decisions(probes, level)
    if leak is not None:
        if leak.fixed and level == "none found":
            level = "some"
        reasons += _sources(leak)
    reasons += _cues(shortcuts)
    if probes:
        reasons += _yardstick(probes, points)
    reasons += _safety(contrast)
    if trained is not None:
        reasons += trained_sentences(trained)
    if influence is not None:
        reasons += influence_reasons(influence)
    reasons += sentences(confounds)
    if probes:
        reasons.append(CAVEAT)
    steps = steps_of(
        level,
        effects,
        shortcuts,
        confounds,
        contrast,
        bool(probes),
        influence,
        sources_known=leak is not None,
        only_decisions=_only_decisions(probes),
    )
    return Conclusion(
        level=level,
        verdict=verdict(level, first, probes, effects, steps[0], by_text or level == "none found"),
        effects=tuple(one.effect for one in effects),
        reasons=tuple(reasons),
        advice=tuple(str(step) for step in steps),
    )


def holds(estimate: ProbeEstimate | Matched, value: float, comparisons: int) -> bool:
    """Whether a number stands out from its swapped controls among so many comparisons, at ALPHA for all together.

    The correction is `family.family_p`, which the answer holds as `p_family`.
    """
    return family_p(estimate, value, comparisons) <= ALPHA


def best_probe(probes: Sequence[ProbeResult]) -> ProbeResult:
    """The probe with the highest pointwise AUROC."""
    return max(probes, key=lambda probe: (probe.pointwise.auroc, probe.probe))


def _level(pairs: int, probes: Sequence[ProbeResult], reason: str | None) -> tuple[Level, str]:
    if pairs == 0:
        return "unknown", "No judgement: no row gives a pair, that is, a chosen and a rejected response."
    if not probes:
        return "unknown", f"No judgement: {reason or 'no probe was run'}."
    point, order = best_probe(probes), max(probes, key=lambda probe: (probe.pairwise.accuracy, probe.probe))
    numbers = (
        f"reading one response, the best probe ({point.probe}) has AUROC {auroc_text(point.pointwise)}; reading both responses"
        f" of a pair, the best probe ({order.probe}) ranks {accuracy_text(order.pairwise)} of pairs right"
    )
    tries = 2 * len(probes)
    above = any(holds(r.pointwise, r.pointwise.auroc, tries) for r in probes)
    above |= any(holds(r.pairwise, r.pairwise.accuracy, tries) for r in probes)
    wide = (
        point.pointwise.high - point.pointwise.low > WIDEST
        or order.pairwise.high - order.pairwise.low > WIDEST
    )
    unstable = (
        " The estimate is unstable: an interval is wider than .2, so more pairs are needed." if wide else ""
    )
    if not above:
        if wide:
            return (
                "unknown",
                f"No judgement: no probe beats swapped labels, but intervals are wide: {numbers}.{unstable}",
            )
        return "none found", f"No probe predicts the label better than it predicts swapped labels: {numbers}."
    if point.pointwise.low > STRONG or order.pairwise.low > STRONG:
        return "strong", f"Probes predict the label almost always: {numbers}.{unstable}"
    return "some", f"Probes predict the label in part: {numbers}.{unstable}"


def auroc_text(area: Auroc) -> str:
    return f"{area.auroc:.3f} [{area.low:.3f}, {area.high:.3f}] (swapped labels {area.control:.3f})"


def accuracy_text(share: Accuracy) -> str:
    return f"{share.accuracy:.1%} [{share.low:.1%}, {share.high:.1%}] (swapped labels {share.control:.1%})"


def _beyond_decisions(probes: Sequence[ProbeResult], level: Level) -> list[str]:
    """The total against what is left among pairs whose sides decide alike."""
    measured = [probe for probe in probes if probe.decision_matched.auroc is not None]
    if not measured:
        if level in ("none found", "unknown"):
            return []
        why = next(
            (r.decision_matched.reason for r in probes if r.decision_matched.reason), "too few such pairs"
        )
        return [f"How much of that is the decision to refuse or to comply cannot be said: {why}."]
    best = max(measured, key=lambda probe: (probe.decision_matched.auroc or 0, probe.probe))
    matched = best.decision_matched
    value, low, high, control = (
        x or 0.0 for x in (matched.auroc, matched.low, matched.high, matched.control)
    )
    numbers = f"AUROC {value:.3f} [{low:.3f}, {high:.3f}] (swapped labels {control:.3f})"
    same = f"the {matched.pairs:,} pairs whose two sides make the same decision (both refuse, or both comply)"
    among = f"Among {same}, the probe {best.probe} has {numbers}"
    if holds(matched, value, len(measured)):
        return [
            f"{among}, against {best.pointwise.auroc:.3f} over all pairs. So the probe does not need the decision to refuse or"
            " to comply: something else tells the sides apart."
        ]
    if level in ("none found", "unknown"):
        return []
    if high - low > WIDEST:
        return [f"{among}. That is too unstable to say what is left beyond refusing or complying."]
    return [
        f"{among}. That is no more than swapped labels give, so nothing was found beyond the decision to refuse or to"
        " comply. Where the data are meant to teach that decision, this is what one wants to see."
    ]


def _only_decisions(probes: Sequence[ProbeResult]) -> bool:
    """Whether the best probe of the pairs that decide alike is stable, and tells no more than swapped labels do."""
    measured = [probe.decision_matched for probe in probes if probe.decision_matched.auroc is not None]
    if not measured:
        return False
    best = max(measured, key=lambda one: one.auroc or 0.0)
    wide = (best.high or 1.0) - (best.low or 0.0) > WIDEST
    return not wide and not holds(best, best.auroc or 0.0, len(measured))


def _sources(leak: SourceLeak) -> list[str]:
    mapping = leak.mapping[:1].upper() + leak.mapping[1:]
    if leak.fixed:
        sentences = [
            f"{mapping}. Who wrote it decides the label in all {leak.pairs:,} pairs whose sources are known."
        ]
        if leak.text_tells_source:
            plainest = max(leak.text_tells_source, key=lambda one: one.pointwise.auroc)
            sentences.append(
                f"A probe of the text tells {plainest.sources[0]} from {plainest.sources[1]} with AUROC {auroc_text(plainest.pointwise)},"
                " so the label can be learned as authorship."
            )
        return [*sentences, FIXED_IN_THE_PAPER, FIXED_IN_OUR_STUDIES]
    sentences = [f"{mapping}."]
    if leak.pairwise is not None and holds(leak.pairwise, leak.pairwise.accuracy, 1):
        sentences.append(
            f"The source alone, without the text, predicts the label in {accuracy_text(leak.pairwise)} of pairs."
        )
    within = leak.within_source.pointwise
    if within is not None:
        rest = (
            "part of the label can still be predicted"
            if holds(within, within.auroc, 1)
            else "the label cannot be predicted better than swapped labels"
        )
        sentences.append(f"Among responses of the same source, {rest}: AUROC {auroc_text(within)}.")
    return [" ".join(sentences)]


def _cues(shortcuts: Sequence[Shortcut]) -> list[str]:
    if not shortcuts:
        return []
    cues = [
        f"{_quoted(cue)} (in {cue.chosen.rate or 0:.0%} of chosen and {cue.rejected.rate or 0:.0%} of rejected; AUROC of the cue"
        f" alone {cue.alone.auroc:.3f}{_ranks(cue)})"
        for cue in shortcuts[:3]
    ]
    refusing = any(cue.family == "refusal" for cue in shortcuts[:3])
    also = " Cues of refusal are the decision itself and need be no shortcut." if refusing else ""
    return [f"The strongest cues: {'; '.join(cues)}.{also}"]


def _ranks(cue: Shortcut) -> str:
    return "" if cue.pairwise is None else f", {cue.pairwise.accuracy:.1%} of pairs ranked right"


def _quoted(cue: Shortcut) -> str:
    return f'"{cue.cue}"' if cue.probe == "words" else cue.cue


def _yardstick(probes: Sequence[ProbeResult], points: Sequence[ReferencePoint]) -> list[str]:
    """The best probe that has reference points, by pairs and by single responses, between the nearest two."""
    comparable = [probe for probe in probes if any(point.probe == probe.probe for point in points)]
    if not comparable:
        return []
    order = max(comparable, key=lambda probe: (probe.pairwise.accuracy, probe.probe))
    point = best_probe(comparable)
    by_pairs = [
        _Known(p.name, p.pairwise, p.pairwise_low or 0.0, p.pairwise_high or 1.0, p.pairs)
        for p in points
        if p.probe == order.probe and p.pairwise is not None
    ]
    by_response = [_Known(p.name, p.auroc, p.low, p.high, p.pairs) for p in points if p.probe == point.probe]
    texts = []
    if by_pairs:
        value = order.pairwise.accuracy
        texts.append(
            f"the share of pairs that {order.probe} ranks right, {value:.3f}, is {_placed(value, by_pairs)}"
        )
    if by_response:
        value = point.pointwise.auroc
        texts.append(f"the AUROC of {point.probe}, {value:.3f}, is {_placed(value, by_response)}")
    return [f"For comparison with known data sets: {'; '.join(texts)}."] if texts else []


class _Known(NamedTuple):
    """One number of a known set."""

    name: str
    value: float
    low: float
    high: float
    pairs: int


def _placed(value: float, known: Sequence[_Known]) -> str:
    """Which known sets a number is like, and which are the nearest below and above it."""
    ordered = sorted(known, key=lambda one: one.value)
    like = [one for one in ordered if one.low <= value <= one.high]
    below = [one for one in ordered if one.high < value]
    above = [one for one in ordered if one.low > value]
    places = [f"about that of {_named(one)}" for one in like]
    places += [f"above that of {_named(below[-1])}"] if below else []
    places += [f"below that of {_named(above[0])}"] if above else []
    return ", ".join(places)


def _named(one: _Known) -> str:
    return f"“{one.name}” ({one.value:.3f} [{one.low:.3f}, {one.high:.3f}], {one.pairs:,} pairs)"


def _safety(contrast: SafetyContrast) -> list[str]:
    sentences = []
    for one in contrast.strata:
        if one.prompts == "unknown":
            continue
        prompts = (
            "all prompts (none is marked harmful or benign)"
            if one.prompts == "all"
            else f"{one.prompts} prompts"
        )
        sentences.append(_decisions(one, prompts, contrast.judge))
    return sentences + _open(contrast)


def _open(contrast: SafetyContrast) -> list[str]:
    """What the judge could not decide and why, and what it read in other languages than English."""
    sides = 2 * sum(one.pairs for one in contrast.strata)
    sentences = []
    if contrast.why_undecided and sides:
        whys = contrast.why_undecided[:MOST_WHYS]
        count = sum(one.chosen + one.rejected for one in contrast.why_undecided)
        counts = "; ".join(f"{one.reason} ({one.chosen:,} chosen, {one.rejected:,} rejected)" for one in whys)
        sentences.append(
            f"Whether they refuse is undecided for {count:,} of {sides:,} responses ({count / sides:.1%}): {counts}."
        )
    read = [one for one in contrast.languages if one.undecided.rate is not None and one.undecided.rate < 1]
    if read and sides and contrast.judge == "phrases":
        counts = ", ".join(f"{one.language} {one.chosen + one.rejected:,}" for one in read[:MOST_WHYS])
        sentences.append(
            f"Refusals in other languages than English were read by phrases that nobody has measured against people: {counts}"
            f" of {sides:,} responses."
        )
    return sentences


def _decisions(one: Contrast, prompts: str, judge: str) -> str:
    differ, refusing, complying = (
        one.decisions_differ,
        one.chosen_refuses_rejected_complies,
        one.chosen_complies_rejected_refuses,
    )
    if not one.pairs:
        return f"No pair has {prompts}: what the label says of refusing cannot be told."
    if differ.rate is None or refusing.rate is None or complying.rate is None:
        return (
            f"On {prompts} the judge ({judge}) gave no decision on both sides of any of {one.pairs:,} pairs."
        )
    undecided = f" ({one.undecided:,} more are undecided)" if one.undecided else ""
    text = (
        f"On {prompts} the two sides decide differently in {differ.rate:.1%} of {differ.scored:,} pairs{undecided}, by the"
        f" judge {judge}: chosen refuses and rejected complies in {refusing.rate:.1%}, the other way round in"
        f" {complying.rate:.1%}."
        if differ.hits
        else f"On {prompts} both sides make the same decision in all {differ.scored:,} pairs{undecided}, by the judge {judge}."
    )
    if differ.rate < FEWEST_DECIDED and one.prompts != "benign":
        text += " Hardly any pair carries a decision on safety."
    elif one.prompts == "harmful" and complying.hits > refusing.hits and (one.p or 1) <= ALPHA:
        text += " The label favours complying with harmful requests."
    return text
