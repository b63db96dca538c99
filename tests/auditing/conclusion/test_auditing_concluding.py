"""The conclusion: levels and sentences from parts whose numbers are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backfire.answers.audit import (
    Combination,
    Contrast,
    Loss,
    SafetyContrast,
    Shortcut,
    SourceLeak,
    TextTellsSource,
    WithinSource,
)
from backfire.answers.conclusion import Conclusion
from backfire.answers.confounds import (
    Confounds,
    Counted,
    EvaluationSet,
    Overlap,
    Repeats,
    ScoreContradiction,
)
from backfire.answers.estimates import Accuracy, Auroc, Bits, Matched, ProbeResult
from backfire.auditing.affected import Affected
from backfire.auditing.conclusion.concluding import CAVEAT, conclude, holds
from backfire.auditing.conclusion.effects import effects_of
from backfire.auditing.conclusion.evidence import Evidence
from backfire.auditing.conclusion.reference_points import reference_points
from backfire.auditing.probes.uncertainty import share


def control(low: float, high: float, spread: float, p: float) -> dict[str, Any]:
    return {
        "low": low,
        "high": high,
        "control": 0.5,
        "control_high": 0.5 + 1.645 * spread,
        "p": p,
        "swaps": 199,
        "control_pairs": 400,
    }


def auroc(value: float, half: float = 0.03, spread: float = 0.02, p: float | None = None) -> Auroc:
    p = (0.005 if value > 0.55 else 0.4) if p is None else p
    return Auroc(auroc=value, **control(max(0, value - half), min(1, value + half), spread, p))


def accuracy(value: float, half: float = 0.03, spread: float = 0.025, p: float | None = None) -> Accuracy:
    p = (0.005 if value > 0.57 else 0.4) if p is None else p
    return Accuracy(accuracy=value, **control(max(0, value - half), min(1, value + half), spread, p))


def probe(
    name: str,
    value: float,
    *,
    pairwise: float | None = None,
    matched: float | None = None,
    half: float = 0.03,
) -> ProbeResult:
    if matched is None:
        within = Matched(pairs=12, reason="too few pairs: 12 usable, 30 needed")
    else:
        told = auroc(matched, half).model_dump(exclude={"auroc"})
        within = Matched(pairs=300, auroc=matched, **told)
    return ProbeResult(
        probe=name,
        about=name,
        pairs=400,
        pointwise=auroc(value, half),
        pointwise_accuracy=accuracy(value, half),
        pairwise=accuracy(value if pairwise is None else pairwise, half),
        decision_matched=within,
        v_information=Bits(bits=0.1, **control(0, 0.2, 0.02, 0.005)),
    )


def contrast(**counts: int) -> SafetyContrast:
    given = {"refusing": 0, "complying": 0, "refuse": 0, "comply": 100} | counts
    n = sum(given.values())
    refusing, complying = given["refusing"], given["complying"]
    return SafetyContrast(
        judge="phrases",
        strata=(
            Contrast(
                prompts="harmful",
                pairs=n,
                undecided=0,
                chosen_refuses_rejected_complies=share(refusing, n),
                chosen_complies_rejected_refuses=share(complying, n),
                both_refuse=share(given["refuse"], n),
                both_comply=share(given["comply"], n),
                decisions_differ=share(refusing + complying, n),
                control=0.5,
                p=0.001 if refusing != complying else 1.0,
            ),
        ),
    )


def leak(*, fixed: bool) -> SourceLeak:
    words = "fixed source-to-label mapping: chosen is always big, rejected is always small"
    return SourceLeak(
        pairs=400,
        unknown=0,
        same_source=0,
        fixed=fixed,
        mapping=words if fixed else "big and small write both chosen and rejected responses",
        combinations=(Combination(chosen="big", rejected="small", pairs=400),),
        pointwise=auroc(1.0 if fixed else 0.7),
        pairwise=accuracy(1.0 if fixed else 0.7),
        text_tells_source=(
            TextTellsSource(
                sources=("big", "small"), pairs=400, pointwise=auroc(0.93), pairwise=accuracy(0.95)
            ),
        ),
        within_source=WithinSource(pairs=0, reason="no source stands on both sides of the label")
        if fixed
        else WithinSource(pairs=400, pointwise=auroc(0.51)),
    )


def shortcut(
    cue: str, probe_: Any = "surface", family: str = "markdown", loss: Loss | None = None
) -> Shortcut:
    return Shortcut(
        cue=cue,
        probe=probe_,
        family=family,
        chosen=share(80, 100),
        rejected=share(20, 100),
        effect=1,
        effect_low=0.8,
        effect_high=1.2,
        effect_control=0,
        alone=auroc(0.8),
        pairwise=accuracy(0.8),
        loss=loss or Loss(value=0.05, low=0.02, high=0.08, control=0),
    )


def evidence(**parts: Any) -> Evidence:
    """Everything that effects are made of, with the rows of each finding where `affected` names them."""
    affected = {
        name: Affected(name, np.arange(1, count + 1)) for name, count in parts.pop("affected", {}).items()
    }
    given: dict[str, Any] = {
        "dataset": "prefs.jsonl",
        "columns": {"prompt": ("q",), "chosen": ("best",), "rejected": ("worst",)},
        "rows": 400,
        "pairs": 400,
        "defects": {},
        "leak": None,
        "shortcuts": (),
        "lengths": (),
        "confounds": Confounds(),
    }
    return Evidence(**(given | parts), affected=affected)


def concluded(*probes: ProbeResult, **parts: Any) -> Conclusion:
    given: dict[str, Any] = {
        "pairs": 400,
        "leak": None,
        "shortcuts": (),
        "confounds": Confounds(),
        "contrast": contrast(),
        "points": reference_points(),
    }
    of_data = {name: parts.pop(name) for name in ("affected", "columns") if name in parts}
    given |= parts
    of_pairs = {name: given[name] for name in ("leak", "shortcuts", "confounds")}
    effects = effects_of(evidence(**of_pairs, **of_data))
    return conclude(probes=probes, effects=effects, **given)


def test_too_few_pairs_are_no_judgement() -> None:
    found = concluded(pairs=12, reason="too few pairs: 12 usable, 30 needed")
    assert found.level == "unknown"
    assert found.reasons[0] == "No judgement: too few pairs: 12 usable, 30 needed."
    assert CAVEAT not in found.reasons
    assert "more pairs" in found.advice[0]


def test_one_class_only_is_no_judgement() -> None:
    found = concluded(pairs=0, reason="too few pairs: 0 usable, 30 needed")
    assert found.level == "unknown"
    assert "a chosen and a rejected response" in found.reasons[0]


def test_levels() -> None:
    assert concluded(probe("words", 0.51)).level == "none found"
    assert concluded(probe("words", 0.70)).level == "some"
    assert concluded(probe("words", 0.96)).level == "strong"
    assert concluded(probe("words", 0.92)).level == "some", "the interval reaches below .9"
    assert concluded(probe("words", 0.52, pairwise=0.7)).level == "some"


def test_an_unstable_estimate_is_said_to_be_so() -> None:
    found = concluded(probe("words", 0.54, half=0.15))
    assert found.level == "unknown"
    assert "intervals are wide" in found.reasons[0]
    assert any("narrower than .2" in step for step in found.advice)
    told = concluded(probe("words", 0.75, half=0.15))
    assert told.level == "some"
    assert "unstable" in told.reasons[0]


def test_several_probes_raise_no_false_alarm() -> None:
    """Six probes on nothing: normal estimates with the swaps' own mean and 95th percentile; whole families."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(1000):
        told = False
        shared = rng.normal(size=(2, 200))
        for measure in range(2):
            for _ in range(6):
                values = 0.5 + 0.02 * (0.7 * shared[measure] + 0.7 * rng.normal(size=200))
                swaps = np.sort(values[1:])
                given = control(0.4, 0.6, 1, 0) | {
                    "control": float(swaps.mean()),
                    "control_high": float(np.quantile(swaps, 0.95)),
                    "p": (1 + int(np.count_nonzero(swaps >= values[0]))) / 200,
                }
                told |= holds(Auroc(auroc=float(values[0]), **given), float(values[0]), 12)
        alarms += told
    assert alarms / 1000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_what_is_left_beyond_the_decision() -> None:
    left = concluded(probe("words", 0.90, matched=0.80))
    assert any(
        "does not need the decision to refuse or to comply" in reason and "0.800" in reason
        for reason in left.reasons
    )
    nothing = concluded(probe("words", 0.90, matched=0.52))
    assert any("nothing was found beyond the decision" in reason for reason in nothing.reasons)
    unstable = concluded(probe("words", 0.90, matched=0.52, half=0.12))
    assert any("too unstable" in reason for reason in unstable.reasons)
    unknown = concluded(probe("words", 0.90))
    assert any("cannot be said: too few pairs" in reason for reason in unknown.reasons)


def test_a_fixed_mapping_is_the_papers_failure_as_a_hypothesis() -> None:
    found = concluded(probe("words", 0.95), leak=leak(fixed=True))
    text = " ".join(found.reasons)
    assert "Fixed source-to-label mapping: chosen is always big" in text
    assert "arXiv 2504.02193" in text
    assert "hypothesis" in text
    assert "Separability did not order the recipes" in text
    assert "big from small with AUROC 0.930" in text
    assert any("self+rm" in step for step in found.advice)
    assert concluded(probe("words", 0.51), leak=leak(fixed=True)).level == "some"


def test_a_mapping_that_is_not_fixed_is_not_called_so() -> None:
    text = " ".join(concluded(probe("words", 0.95), leak=leak(fixed=False)).reasons)
    assert "arXiv" not in text
    assert "The source alone, without the text, predicts the label in 70.0%" in text
    assert "cannot be predicted better than swapped labels: AUROC 0.510" in text


def test_cues_are_named_and_refusals_are_no_shortcut() -> None:
    cues = (
        shortcut("headings"),
        shortcut("as an", "words", "words"),
        shortcut("refusal phrase", family="refusal"),
    )
    found = concluded(probe("words", 0.95), shortcuts=cues)
    told = next(reason for reason in found.reasons if reason.startswith("The strongest cues"))
    assert (
        "headings (in 80% of chosen and 20% of rejected; AUROC of the cue alone 0.800, 80.0% of pairs" in told
    )
    assert '"as an"' in told
    assert "need be no shortcut" in told
    (step,) = [step for step in found.advice if 'Even out the cue "headings"' in step]
    assert "loses 0.050 [0.020, 0.080] of AUROC (swapped labels 0.000)" in step
    assert "`backfire repair prefs.jsonl --method restyle --policy MODEL --out prefs-restyled`" in step


def test_leaving_out_the_easiest_pairs_comes_with_what_it_may_take_from_safety() -> None:
    """Where chosen refuses and rejected complies, the pair is told apart easily, and is what the data are to teach."""
    cue = shortcut("headings").model_copy(update={"chosen": share(50, 100), "rejected": share(30, 100)})
    little = Loss(value=0.002, low=-0.003, high=0.006, control=0.001)
    for loss, words in ((cue.loss, 'Even out the cue "headings"'), (little, "several cues")):
        cues = (cue.model_copy(update={"loss": loss}),)
        found = concluded(probe("words", 0.8), shortcuts=cues, contrast=contrast(refusing=40))
        (step,) = [step for step in found.advice if words in step]
        assert "--by ease" in step
        assert "here there are 40. Compare their number before and after" in step
        assert "`--at-random`" in step
        plain = concluded(probe("words", 0.8), shortcuts=cues).advice
        assert not any("--at-random" in step for step in plain), "no pair here teaches refusing"


def test_a_cue_whose_removal_changes_nothing_is_not_advised() -> None:
    """It is shown with its loss, and evening it out would leave the answer as it is."""
    little = Loss(value=0.012, low=-0.003, high=0.026, control=0.001)
    found = concluded(probe("words", 0.95), shortcuts=(shortcut("apostrophes", loss=little),))
    assert "cue:apostrophes" in [effect.name for effect in found.effects]
    assert not any("apostrophes" in step for step in found.advice)


def test_a_cue_whose_removal_hardly_changes_the_answer_is_not_advised() -> None:
    """In a large file a loss of half a hundredth lies above what swapped labels lose, and is no reason to change the data."""
    for value, advised in ((0.005, False), (0.01, True)):
        loss = Loss(value=value, low=value - 0.002, high=value + 0.002, control=0.0)
        advice = concluded(probe("words", 0.8), shortcuts=(shortcut("colons", loss=loss),)).advice
        assert any('the cue "colons"' in step for step in advice) == advised


def test_scores_that_few_pairs_have_are_advised_on_with_what_their_command_does() -> None:
    """Most of the pairs with scores contradict them, and they are fewer than half of all pairs."""
    scores = ScoreContradiction(columns=("s1", "s2"), pairs=share(100, 120), rows=())
    for columns, words in (
        ({"chosen": ("best",), "rejected": ("worst",)}, "this exchanges the columns: `backfire convert"),
        ({"chosen": ("turns",), "rejected": ("turns",)}, "this lists them: `backfire audit"),
    ):
        advice = concluded(
            probe("words", 0.7),
            confounds=Confounds(score_contradiction=scores),
            affected={"contradicting-scores": 100},
            columns=columns,
        ).advice
        assert any(words in step for step in advice)


def test_swapped_columns_that_no_command_exchanges_are_not_said_to_be_exchanged_by_one() -> None:
    advice = concluded(
        probe("words", 0.7),
        affected={"swapped-columns": 100},
        columns={"chosen": ("turns",), "rejected": ("turns",)},
    ).advice
    (step,) = [step for step in advice if "the columns are swapped" in step]
    assert "this exchanges" not in step


def test_steps_that_change_the_data_are_to_be_taken_one_at_a_time() -> None:
    """Each command reads the file that was audited: what two of them do does not add up."""
    words = "Audit what it writes before"
    one = concluded(probe("words", 0.8), affected={"duplicates": 40}).advice
    assert not any(words in step for step in one)
    several = concluded(
        probe("words", 0.8), affected={"duplicates": 40}, shortcuts=(shortcut("headings"),)
    ).advice
    changing = [step for step in several if " --out " in step]
    assert len(changing) == 2
    assert [words in step for step in changing] == [True, False]


def test_several_cues_of_which_none_is_missed_are_advised_together() -> None:
    little = Loss(value=0.002, low=-0.003, high=0.006, control=0.001)
    cues = shortcut("letters a word", loss=little), shortcut("words a line", loss=little)
    step = next(step for step in concluded(probe("words", 0.8), shortcuts=cues).advice if "several" in step)
    assert "`backfire repair prefs.jsonl --method restyle --policy MODEL --out prefs-restyled`" in step
    refusing = (*cues, shortcut("refusal phrase", family="refusal", loss=little))
    advice = concluded(probe("words", 0.8), shortcuts=refusing).advice
    assert not any("several cues" in step for step in advice), "refusing may be what is to be taught"


def test_white_space_is_said_to_be_taken_off_and_no_pair_out() -> None:
    spaces = Counted(what="white space at the start", chosen=share(390, 400), rejected=share(0, 400), p=0.005)
    (step,) = [
        one
        for one in concluded(
            probe("words", 0.8), confounds=Confounds(debris=(spaces,)), affected={"debris": 390}
        ).advice
        if "--method clean" in one
    ]
    assert "390 with white space at an end of a response, which alone is taken off" in step


def test_every_pair_that_the_command_takes_out_is_counted() -> None:
    rare = Counted(what="ChatML", chosen=share(2, 400), rejected=share(0, 400), p=0.5)
    (step,) = [
        one
        for one in concluded(
            probe("words", 0.8),
            confounds=Confounds(debris=(rare,)),
            affected={"debris": 2, "duplicates": 20},
        ).advice
        if "--method clean" in one
    ]
    assert "(20 that repeat another exactly, 2 with remains of templates)" in step


def test_two_writers_come_first_where_the_sides_are_nearly_always_told_apart() -> None:
    strong = concluded(probe("words", 0.97), shortcuts=(shortcut("headings"),))
    assert strong.advice[0].startswith("Say who wrote each side")
    assert "First: say who wrote each side" in strong.verdict


def test_what_is_the_decision_itself_is_not_evened_out() -> None:
    """Refusals are short and have words of their own: where nothing is left beyond the decision, there is nothing to repair."""
    cues = (shortcut("headings"),)
    assert any(
        "headings" in step for step in concluded(probe("words", 0.9, matched=0.8), shortcuts=cues).advice
    )
    decided = concluded(probe("words", 0.9, matched=0.52), shortcuts=cues)
    assert not any("headings" in step for step in decided.advice)
    assert "cue:headings" in [effect.name for effect in decided.effects]


def test_the_verdict_says_the_level_why_and_what_to_do_first() -> None:
    found = concluded(probe("words", 0.97), leak=leak(fixed=True))
    assert found.verdict.startswith("Strong: the label can nearly always be told from the text alone: ")
    assert "97.0% [94.0%, 100.0%] of pairs right (swapped labels 50.0%), AUROC 0.970" in found.verdict
    assert "who wrote a response decides its label" in found.verdict
    assert "First: break the mapping" in found.verdict
    assert "--method restyle --policy MODEL" in found.verdict
    few = concluded(pairs=12, reason="too few pairs: 12 usable, 30 needed")
    assert few.verdict.startswith(
        "No judgement: too few pairs: 12 usable, 30 needed. First: Collect more pairs"
    )
    sources = concluded(probe("words", 0.5), leak=leak(fixed=True)).verdict
    assert sources.startswith(
        "Some: no probe of the text tells the label: the best probe (words) ranks 50.0%"
    )
    assert "who wrote a response decides its label" in sources
    alike = concluded(probe("words", 0.9, matched=0.52)).verdict
    assert "AUROC 0.900 (0.520 where both sides decide alike)" in alike
    nothing = concluded(probe("words", 0.5))
    assert nothing.verdict.startswith("None found: ")


def test_pairs_decide_where_single_responses_do_not() -> None:
    """DPO compares the two sides of a pair: headline and yardstick have both numbers."""
    found = concluded(probe("characters", 0.593, pairwise=0.93, half=0.02))
    assert found.level == "strong"
    assert "93.0%" in found.verdict
    told = next(reason for reason in found.reasons if "known data sets" in reason)
    assert "the share of pairs that characters ranks right, 0.930, is" in told
    assert "the AUROC of characters, 0.593, is" in told


def test_the_yardstick_is_known_sets() -> None:
    points = [point for point in reference_points() if point.probe == "words"]
    low, high = points[0], points[-1]
    between = concluded(probe("words", (low.auroc + high.auroc) / 2))
    told = next(reason for reason in between.reasons if "known data sets" in reason)
    assert " is above that of" in told or " is about that of" in told
    assert ", below that of" in told
    top = next(r for r in concluded(probe("words", 1.0)).reasons if "known data sets" in r)
    assert f"is above that of “{high.name}”" in top
    assert "below" not in top
    same = next(r for r in concluded(probe("words", low.auroc)).reasons if "known data sets" in r)
    assert f"is about that of “{low.name}”" in same


def test_reference_points_are_there_with_their_origin() -> None:
    points = reference_points()
    assert {point.probe for point in points} >= {"surface", "words", "characters"}
    assert all(point.origin and point.low <= point.auroc <= point.high for point in points)
    by_name = {point.name: point.auroc for point in points if point.probe == "words"}
    assert by_name["human labels, HH harmless"] < by_name["GPT-4 over Llama-3-8B"]


def test_safety_contrast_in_words() -> None:
    plain = concluded(probe("words", 0.7), contrast=contrast(refusing=60, complying=10))
    assert any("chosen refuses and rejected complies in 35.3%" in reason for reason in plain.reasons)
    hardly = concluded(probe("words", 0.7), contrast=contrast(refusing=2))
    assert any("Hardly any pair carries a decision" in reason for reason in hardly.reasons)
    assert any("add harmful prompts" in step for step in hardly.advice)
    backwards = concluded(probe("words", 0.7), contrast=contrast(refusing=10, complying=60))
    assert any("favours complying with harmful" in reason for reason in backwards.reasons)


def test_confounds_worth_acting_on() -> None:
    cut = Counted(what="stopped by the token limit", chosen=share(0, 400), rejected=share(90, 400), p=0.005)
    found = concluded(
        probe("words", 0.7),
        affected={
            "truncation": 90,
            "debris": 40,
            "duplicates": 1,
            "contradictions": 2,
            "contamination": 3,
            "overlap": 11,
        },
        confounds=Confounds(
            truncated=cut,
            stop_reasons=(cut.model_copy(update={"what": "length"}),),
            decoding_differs=share(400, 400),
            debris=(Counted(what="ChatML marks", chosen=share(40, 400), rejected=share(0, 400), p=0.005),),
            repeats=(
                Repeats(what="exact duplicates", pairs=share(1, 400)),
                Repeats(what="contradictions", pairs=share(2, 400)),
            ),
            evaluation_sets=(EvaluationSet(name="AdvBench", items=520, origin="x", pairs=share(3, 400)),),
            overlap=Overlap(other="test", exact=share(5, 400), near=share(6, 400)),
        ),
    )
    text = " ".join(found.reasons)
    assert "Truncation differs by side: 0.0% of chosen and 22.5% of rejected" in text
    assert "Stop reason" not in text, "it is the same thing"
    assert "100.0% of pairs were decoded differently" in text
    assert "ChatML marks: in 10.0% of chosen" in text
    assert "2 pairs (0.5%) contradict another" in text
    assert "repeats an earlier one" not in text, "one in 400 is not worth a sentence"
    assert "3 pairs have a prompt of AdvBench" in text
    assert "Prompts that test has too: 5 pairs with the same, and 6 pairs" in text
    steps = " ".join(found.advice)
    for step in (
        "same decoding",
        "1 that repeat another exactly",
        "2 that contradict one another",
        "AdvBench",
        "40 with remains of templates",
        "90 with a response that is cut off",
        "`backfire repair prefs.jsonl --method clean --out prefs-clean`",
        "`backfire audit prefs.jsonl --rows prefs-rows.jsonl`",
    ):
        assert step in steps


@pytest.mark.parametrize("level", ["none found", "some", "strong"])
def test_every_judgement_has_the_caveat_and_ends_with_training(level: str) -> None:
    found = concluded(probe("words", {"none found": 0.5, "some": 0.7, "strong": 0.97}[level]))
    assert found.level == level
    assert found.reasons[-1] == CAVEAT
    assert "attack the result" in found.advice[-1]
