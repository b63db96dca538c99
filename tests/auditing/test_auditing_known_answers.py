"""Whole audits of data whose answer is known, because the cue was planted or because there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from backfire.answers.audit import AuditReport, Shortcut
from backfire.answers.estimates import ProbeResult
from backfire.auditing import audit
from synthetic_pairs import rows, sentence


def probe(report: AuditReport, name: str) -> ProbeResult:
    found = report.probe(name)
    assert found is not None
    return found


def areas(report: AuditReport) -> dict[str, float]:
    return {r.probe: r.pointwise.auroc for r in report.separability}


def cue(report: AuditReport, name: str) -> Shortcut:
    return next(one for one in report.shortcuts if one.cue.startswith(name))


def swapped(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def length_area(values: list[dict[str, Any]]) -> float:
    """How often a chosen response is longer than a rejected one of any pair, ties counted half."""
    chosen, rejected = (np.array([len(row[side]) for row in values]) for side in ("chosen", "rejected"))
    apart = np.sign(chosen[:, None] - rejected[None, :])
    return float((apart + 1).mean() / 2)


@pytest.fixture(scope="module")
def nothing() -> AuditReport:
    return audit(rows(200, 12))


def test_without_a_cue_every_interval_holds_a_half(nothing: AuditReport) -> None:
    assert [r.probe for r in nothing.separability] == ["length", "surface", "words", "characters"]
    for one in nothing.separability:
        for low, high, control, p in (
            (one.pointwise.low, one.pointwise.high, one.pointwise.control, one.pointwise.p),
            (one.pairwise.low, one.pairwise.high, one.pairwise.control, one.pairwise.p),
        ):
            assert low <= 0.5 <= high
            assert 0.48 < control < 0.52
            assert p > 0.05
        assert one.pointwise.swaps == 199
        assert one.pointwise.control_pairs == 200
        assert one.v_information.low <= 0.01
    assert nothing.conclusion.level == "none found"
    assert nothing.shortcuts == ()
    assert (nothing.pairs, nothing.prompts, nothing.left_out, nothing.defects) == (200, 200, 0, ())


def test_without_a_cue_the_answer_says_so_and_what_it_does_not_say(nothing: AuditReport) -> None:
    told = " ".join(nothing.conclusion.reasons)
    assert "No probe predicts the label better than it predicts swapped labels" in told
    assert "Separability shows a shortcut; it does not show danger" in told
    assert "attack the result" in " ".join(nothing.conclusion.advice)


@pytest.mark.slow
def test_without_a_cue_hardly_any_audit_raises_an_alarm() -> None:
    reports = [audit(rows(120, 1000 + seed)) for seed in range(40)]
    alarms = [r for r in reports if r.conclusion.level in ("some", "strong")]
    named = [r for r in reports if r.shortcuts]
    held = [r.pointwise.low <= 0.5 <= r.pointwise.high for report in reports for r in report.separability]
    assert len(alarms) <= 5
    assert len(named) <= 6
    assert np.mean(held) > 0.89


@pytest.fixture(scope="module")
def longer() -> list[dict[str, Any]]:
    return rows(240, 1, cue="length", share=0.8)


@pytest.fixture(scope="module")
def of_length(longer: list[dict[str, Any]]) -> AuditReport:
    return audit(longer)


def test_a_planted_length_is_measured_by_length_alone(
    longer: list[dict[str, Any]], of_length: AuditReport
) -> None:
    found = probe(of_length, "length")
    assert found.pointwise.auroc == pytest.approx(length_area(longer), abs=0.015)
    assert found.pointwise.low < length_area(longer) < found.pointwise.high
    right = np.mean([len(row["chosen"]) > len(row["rejected"]) for row in longer])
    assert found.pairwise.accuracy == pytest.approx(right, abs=0.01)
    assert found.pointwise.p == found.pairwise.p == 1 / 200
    assert found.pointwise.control_high < 0.6
    assert of_length.conclusion.level == "some"
    first = of_length.shortcuts[0]
    assert (first.family, first.probe) == ("length", "surface")
    assert "length" in " ".join(of_length.conclusion.reasons)
    effect = of_length.conclusion.effects[0]
    assert effect.name == "length"
    assert effect.fix is not None
    (step,) = [step for step in of_length.conclusion.advice if "Even out the length" in step]
    assert effect.fix in step
    (words,) = of_length.lengths
    assert words.longer.rate == pytest.approx(right, abs=0.02)
    assert words.effect.low > 0
    assert words.chosen > words.rejected


def test_label_noise_brings_separability_down_in_proportion(longer: list[dict[str, Any]]) -> None:
    """With a quarter of the labels flipped, AUROC - .5 is halved."""
    flip = np.random.default_rng(7).permutation(len(longer)) < len(longer) // 4
    noisy = [swapped(row) if turned else row for row, turned in zip(longer, flip, strict=True)]
    found = probe(audit(noisy), "length").pointwise
    assert found.auroc == pytest.approx(length_area(noisy), abs=0.015)
    assert found.low < 0.5 + (length_area(longer) - 0.5) / 2 < found.high


PLANTED = 240


@pytest.fixture(scope="module")
def planted() -> list[dict[str, Any]]:
    """A word in most chosen responses, a fixed source, truncation, decoding and debris on one side, and repeats."""
    rng = np.random.default_rng(3)
    values = rows(PLANTED, 2, cue="word", share=0.6)
    for i, row in enumerate(values):
        row |= {"chosen_source": "gpt-4o", "rejected_source": "self"}
        row |= {"chosen_stop_reason": "eos", "rejected_stop_reason": "length" if i % 2 else "eos"}
        row |= {
            "chosen_decoding": {"temperature": 0},
            "rejected_decoding": {"temperature": 0 if i % 3 else 1},
        }
        if i % 10 == 0:
            row["chosen"] += "<|im_end|>"
    values[1]["prompt"] = sentence(rng, 60)
    values[2]["prompt"] = values[1]["prompt"].replace(".", ", please.")
    values[3] = {**swapped(values[4]), "prompt": values[4]["prompt"].upper()}
    values[5] = values[6] | {"rejected_stop_reason": "eos"}
    values[7]["prompt"] = values[8]["prompt"]
    return values


@pytest.fixture(scope="module")
def column(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("audit") / "new" / "bits.jsonl"


@pytest.fixture(scope="module")
def of_planted(planted: list[dict[str, Any]], column: Any) -> AuditReport:
    others = [{**row, "prompt": row["prompt"] + " And why?"} for row in rows(40, 99)]
    others[0]["prompt"] = planted[20]["prompt"].lower()
    others[1]["prompt"] = planted[1]["prompt"].replace(".", ", thank you.")
    return audit(planted, per_pair=column, overlap_with=others)


def test_a_planted_word_is_found_by_words_and_named(
    planted: list[dict[str, Any]], of_planted: AuditReport
) -> None:
    assert probe(of_planted, "words").pairwise.low > 0.65
    assert probe(of_planted, "length").pointwise.high < 0.65
    assert of_planted.conclusion.level == "some"
    shares = [np.mean([" indeed " in row[side] for row in planted]) for side in ("chosen", "rejected")]
    found = cue(of_planted, "indeed")
    assert found == of_planted.shortcuts[0]
    assert found.probe == found.family == "words"
    assert [found.chosen.rate, found.rejected.rate] == pytest.approx(shares)
    assert found.alone.auroc == pytest.approx(0.5 + (shares[0] - shares[1]) / 2, abs=1e-6)
    assert found.alone.low < found.alone.auroc < found.alone.high
    assert found.alone.p == 1 / 200
    assert 0.1 < found.loss.low <= found.loss.value <= found.loss.high
    assert found.effect_low < found.effect < found.effect_high
    assert len(found.examples) == 3
    for example in found.examples:
        row = planted[example.row - 1]
        assert "indeed" in example.chosen
        assert "indeed" not in row["rejected"]
        assert example.chosen.strip("…") in row["chosen"]
        assert example.rejected.strip("…") in row["rejected"]


def test_a_fixed_mapping_is_named_as_the_papers_failure(of_planted: AuditReport) -> None:
    leak = of_planted.source_leak
    assert leak is not None
    assert leak.fixed
    assert leak.mapping.startswith("fixed source-to-label mapping")
    assert leak.pairwise is not None
    assert leak.pairwise.accuracy > 0.95
    assert leak.pairwise.low > 0.9
    assert 0.4 < leak.pairwise.control < 0.6
    assert (leak.pairs, leak.unknown, leak.same_source) == (PLANTED, 0, 0)
    assert [one.sources for one in leak.text_tells_source] == [("gpt-4o", "self")]
    told = leak.text_tells_source[0]
    assert told.pointwise.auroc == pytest.approx(probe(of_planted, "words").pointwise.auroc, abs=0.02)
    assert leak.within_source.pointwise is None
    assert leak.within_source.reason == "no source stands on both sides of the label"
    reasons = " ".join(of_planted.conclusion.reasons)
    assert "gpt-4o" in reasons
    assert "2504.02193" in reasons
    assert "Break the mapping" in of_planted.conclusion.advice[0]


def test_cut_ends_decoding_and_debris_are_counted_by_side(of_planted: AuditReport) -> None:
    found = of_planted.confounds
    assert found.truncated is not None
    assert (found.truncated.chosen.rate, found.truncated.rejected.hits) == (0, PLANTED // 2 - 2)
    assert found.truncated.p == 1 / 200
    assert found.decoding_differs is not None
    assert found.decoding_differs.hits == PLANTED // 3
    assert found.decoding_example == ('{"temperature":0}', '{"temperature":1}')
    marks = next(one for one in found.debris if one.what == "ChatML marks")
    assert (marks.chosen.hits, marks.rejected.hits) == (PLANTED // 10, 0)
    assert marks.rows[:3] == (1, 11, 21)
    reasons = " ".join(of_planted.conclusion.reasons)
    assert "Truncation differs by side" in reasons
    assert "decoded differently" in reasons
    assert "ChatML marks" in reasons


def test_repeats_are_counted_and_fall_into_one_group(of_planted: AuditReport) -> None:
    found = {one.what: (one.pairs.hits, one.rows) for one in of_planted.confounds.repeats}
    assert found["exact duplicates"] == (1, (7,))
    assert found["contradictions"] == (2, (4, 5))
    assert found["repeated prompts"] == (3, (5, 7, 9))
    assert found["near-duplicate prompts"] == (2, (2, 3))
    assert of_planted.prompts == PLANTED - 4


def test_prompts_of_another_set_are_found(of_planted: AuditReport) -> None:
    found = of_planted.confounds.overlap
    assert found is not None
    assert found.exact.hits == 1
    assert found.near.hits == 2
    assert found.rows == (2, 3, 21)
    assert "overlap_with" in of_planted.settings


def test_the_column_ranks_pairs_by_how_easily_they_are_told_apart(
    planted: list[dict[str, Any]], of_planted: AuditReport, column: Any
) -> None:
    lines = [json.loads(line) for line in column.read_text(encoding="utf-8").splitlines()]
    assert [line["row"] for line in lines] == list(range(1, PLANTED + 1))
    bits = np.array([line["v_information"] for line in lines])
    has = np.array([" indeed " in row["chosen"] for row in planted])
    assert np.mean(bits[has][:, None] > bits[~has][None, :]) > 0.9
    assert bits.max() <= 1
    groups = [line["prompt_group"] for line in lines]
    assert groups[1] == groups[2]
    assert groups[3] == groups[4]
    assert len(set(groups)) == PLANTED - 4
    assert {line["chosen_refuses"] for line in lines} == {False}
    told = of_planted.per_pair
    assert told is not None
    assert told.file == str(column)
    assert told.probe in ("words", "characters")
    assert told.quantiles["50%"] == pytest.approx(np.median(bits))
    for name, (low, high) in told.intervals.items():
        assert low <= told.quantiles[name] <= high
    assert probe(of_planted, told.probe).v_information.bits == pytest.approx(bits.mean())


def test_copies_of_one_prompt_cannot_inflate() -> None:
    """Random labels that every copy repeats: a probe whose folds were cut through copies would remember them."""
    report = audit([row for row in rows(60, 4) for _ in range(6)])
    assert (report.pairs, report.prompts) == (360, 60)
    assert {one.what: one.pairs.hits for one in report.confounds.repeats}["exact duplicates"] == 300
    for one in report.separability:
        assert one.pairwise.low <= 0.5 <= one.pairwise.high
        assert one.pairwise.high - one.pairwise.low > 0.15
    assert report.conclusion.level not in ("some", "strong")


def test_a_source_that_mostly_wins_leaks_and_nothing_is_left_within_it() -> None:
    """`big` always says "indeed" and wins 4 times in 5: words tell the label through their writer alone."""
    rng = np.random.default_rng(8)
    values = []
    for row in rows(400, 8):
        sides = ["big", "small"] if rng.random() < 0.8 else ["small", "big"]
        for side, who in zip(("chosen", "rejected"), sides, strict=True):
            row[f"{side}_model"] = who
            if who == "big":
                row[side] = row[side].replace(" ", " indeed ", 1)
        values.append(row)
    share = np.mean([row["chosen_model"] == "big" for row in values])
    report = audit(values)
    leak = report.source_leak
    assert leak is not None
    assert leak.pairwise is not None
    assert leak.pointwise is not None
    assert not leak.fixed
    assert leak.mapping == "big and small write both chosen and rejected responses"
    assert leak.pairwise.accuracy == pytest.approx(share, abs=0.005)
    assert leak.pointwise.auroc == pytest.approx(share, abs=0.01)
    assert {(c.chosen, c.rejected): c.pairs for c in leak.combinations} == {
        ("big", "small"): round(share * 400),
        ("small", "big"): round((1 - share) * 400),
    }
    told = leak.text_tells_source[0]
    assert told.pointwise.auroc > 0.95
    within = leak.within_source.pointwise
    assert within is not None
    assert within.low < 0.5 < within.high
    assert probe(report, "words").pointwise.low > 0.6
    assert "cannot be predicted better than swapped labels" in " ".join(report.conclusion.reasons)
    assert any("Balance the sources" in step for step in report.conclusion.advice)


def test_flipping_every_label_changes_signs_only(
    of_length: AuditReport, longer: list[dict[str, Any]]
) -> None:
    flipped = audit([swapped(row) for row in longer])
    assert areas(flipped) == pytest.approx(areas(of_length), abs=0.01)
    first = flipped.shortcuts[0]
    assert first.family == "length"
    assert first.effect == pytest.approx(-of_length.shortcuts[0].effect)
    assert (first.chosen.rate, first.rejected.rate) == (
        of_length.shortcuts[0].rejected.rate,
        of_length.shortcuts[0].chosen.rate,
    )
