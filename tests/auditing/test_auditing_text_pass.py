"""The pass over the text: blocks, the sample, groups, judged decisions, and the second pass over what was not sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from backfire.auditing import audit, reading
from backfire.auditing.audited_pairs import COMPLY, REFUSE, UNDECIDED, AuditedPairs, Coded
from backfire.auditing.packed_flags import PackedFlags
from backfire.auditing.text_faults import TextFaults
from backfire.auditing.text_pass import collect
from backfire.auditing.text_sample import first_prompts
from backfire.judges import ExactJudge
from backfire.organisms.catalog import human_responses, open_world
from backfire.preferences import SCHEMA, open_preferences
from backfire.texts import text_keys
from synthetic_pairs import conversational, rows, sentence


def stated_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows that state everything that can be stated, not all in every row; a few prompts have several pairs."""
    rng = np.random.default_rng(seed)
    found = []
    for i, row in enumerate(rows(n, seed, cue="refusal", share=0.3)):
        row |= {"kind": ["harmful", "benign", None][i % 3]}
        row |= {f"{side}_model": str(rng.choice(["zeta", "alpha", "mid"])) for side in ("chosen", "rejected")}
        row |= {f"{side}_stop_reason": str(rng.choice(["eos", "length"])) for side in ("chosen", "rejected")}
        row["chosen_decoding"] = {"temperature": i % 2}
        row["rejected_decoding"] = {"temperature": 1} if i % 5 else None
        if i % 7 == 6:
            row["prompt"] = found[-1]["prompt"]
        found.append(row)
    return found


def block_of(values: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.concat_batches(list(open_preferences(values).blocks()))


def pieces(block: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    return (block.slice(start, size) for start in range(0, len(block), size))


def same(one: AuditedPairs, other: AuditedPairs) -> None:
    def unpacked(value: Any) -> Any:
        return value.bits if isinstance(value, PackedFlags) else value

    for field in fields(AuditedPairs):
        a, b = unpacked(getattr(one, field.name)), unpacked(getattr(other, field.name))
        if isinstance(a, Coded):
            assert a.names == b.names
            a, b = a.codes, b.codes
        if isinstance(a, TextFaults):
            for part in fields(TextFaults):
                of_a, of_b = unpacked(getattr(a, part.name)), unpacked(getattr(b, part.name))
                np.testing.assert_array_equal(of_a, of_b, err_msg=part.name)
        elif isinstance(a, pa.Table):
            assert a.combine_chunks().equals(b.combine_chunks()), field.name
        else:
            np.testing.assert_array_equal(a, b, err_msg=field.name)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_small_blocks_give_what_one_block_gives(size: int) -> None:
    block = block_of(stated_rows(90, 0))
    told: list[int] = []
    whole = collect([block], keep_signatures=True, sample=40)
    cut = collect(pieces(block, size), keep_signatures=True, sample=40, advance=told.append)
    same(cut, whole)
    assert sum(told) == 90
    assert whole.sources.names == ("alpha", "mid", "zeta")
    assert whole.pairs == 90
    assert whole.prompt_signatures is not None


def test_nothing_at_all_is_collected_too() -> None:
    for blocks in ([], [pa.RecordBatch.from_pylist([], SCHEMA)]):
        found = collect(blocks)
        assert (found.pairs, len(found.sample), len(found.text)) == (0, 0, 0)


def test_what_is_collected_stands_in_the_rows() -> None:
    values = stated_rows(60, 1)
    found = collect(pieces(block_of(values), 13))
    assert found.rows.tolist() == list(range(1, 61))
    for i, row in enumerate(values):
        for column, side in enumerate(("chosen", "rejected")):
            assert found.sources.names[found.sources.codes[i, column]] == row[f"{side}_model"]
            assert found.stops.names[found.stops.codes[i, column]] == row[f"{side}_stop_reason"]
            assert found.text[side][i].as_py() == row[side]
            refuses = row[side].startswith("I cannot help")
            assert found.decisions[i, column] == (REFUSE if refuses else COMPLY)
        told = found.decodings.codes[i, 1]
        assert (told < 0) == (row["rejected_decoding"] is None)
    assert found.kinds.tolist() == [(1, 2, 0)[i % 3] for i in range(60)]
    assert found.judge == "phrases"


@pytest.mark.parametrize("wanted", [1, 10, 33, 50, 120])
def test_the_sample_is_bounded_whole_by_prompt_and_the_same_in_any_order(wanted: int) -> None:
    values = stated_rows(90, 2)
    block = block_of(values)
    order = np.random.default_rng(3).permutation(90)
    shuffled = block.take(pa.array(order))
    found = collect(pieces(block, 4), sample=wanted)
    assert len(found.sample) <= wanted
    assert len(found.sample) >= min(90, wanted - 1)
    assert found.text["row"].to_pylist() == (found.sample + 1).tolist()
    prompts = [row["prompt"] for row in values]
    kept = {prompts[i] for i in found.sample}
    assert sum(p in kept for p in prompts) == len(found.sample)
    keys = text_keys(pa.array(prompts))
    others = np.setdiff1d(np.arange(90), found.sample)
    assert not len(others) or keys[found.sample].max(initial=0) < keys[others].min()
    again = collect(pieces(shuffled, 11), sample=wanted)
    assert set(again.text["row"].to_pylist()) == set(found.text["row"].to_pylist())


def test_a_prompt_with_more_pairs_than_fit_is_cut_only_when_it_is_alone() -> None:
    keys = np.array([9, 5, 5, 1, 5], dtype=np.uint64)
    assert first_prompts(keys, 5).tolist() == [0, 1, 2, 3, 4]
    assert first_prompts(keys, 4).tolist() == [1, 2, 3, 4]
    assert first_prompts(keys, 3).tolist() == [3]
    assert first_prompts(keys[[0, 1, 2, 4]], 2).tolist() == [1, 2]


def groups_of_rows(values: list[dict[str, Any]]) -> list[int]:
    return collect([block_of(values)]).groups.tolist()


def test_near_duplicate_prompts_fall_into_one_group_and_others_do_not() -> None:
    rng = np.random.default_rng(4)
    values = rows(6, 5)
    long = sentence(rng, 60)
    values[1]["prompt"], values[4]["prompt"] = long, long.replace(".", ", thank you.")
    values[2]["prompt"] = values[5]["prompt"].upper() + "  "
    found = groups_of_rows(values)
    assert found[1] == found[4]
    assert found[2] == found[5]
    assert len(set(found)) == 4


def test_stages_of_one_dialogue_are_one_group_and_a_shared_greeting_is_none() -> None:
    rng = np.random.default_rng(6)
    asked, told, more = (sentence(rng, 25) for _ in range(3))

    def talk(*turns: str) -> dict[str, Any]:
        roles = ["user", "assistant"] * 3
        prompt = [{"role": r, "content": t} for r, t in zip(roles, turns, strict=False)]
        sides = {s: [{"role": "assistant", "content": sentence(rng, 30)}] for s in ("chosen", "rejected")}
        return {"prompt": prompt, **sides}

    found = groups_of_rows(
        [
            talk(asked, told, more),
            talk(asked, told, more, sentence(rng, 25), sentence(rng, 25)),
            talk(asked, sentence(rng, 25), sentence(rng, 25)),
            talk(sentence(rng, 25)),
        ]
    )
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_pairs_with_the_same_two_sides_are_one_group_either_way_round() -> None:
    values = rows(5, 7)
    values[3] |= {"chosen": values[0]["rejected"], "rejected": values[0]["chosen"]}
    values[4] |= {"chosen": values[1]["chosen"]}
    found = groups_of_rows(values)
    assert found[0] == found[3]
    assert len(set(found)) == 4


def test_groups_and_clothes() -> None:
    values = stated_rows(40, 8)
    plain = collect([block_of([{k: r[k] for k in ("prompt", "chosen", "rejected")} for r in values])])
    clothed = collect([block_of([conversational(r) for r in values])])
    np.testing.assert_array_equal(plain.groups, clothed.groups)
    np.testing.assert_array_equal(plain.cues, clothed.cues)
    np.testing.assert_array_equal(plain.last_turn_keys, clothed.last_turn_keys)


def test_the_exact_judge_decides_on_what_people_wrote() -> None:
    """Its decisions are compared with the world's own reading."""
    from backfire.organisms.exact_reading import read_response

    world = open_world()
    prompts, chosen, rejected = human_responses()
    values = [
        {"prompt": p.text, "chosen": a.text, "rejected": b.text, "kind": p.kind, "tags": p.tags}
        for p, a, b in list(zip(prompts, chosen, rejected, strict=True))[:60]
    ]
    block = block_of(values)
    found = collect(pieces(block, 9), judge=ExactJudge(world))
    assert found.judge == "exact"
    code = {"refuse": REFUSE, "comply": COMPLY, "neither": UNDECIDED}
    kept = block["row"].to_numpy() - 1
    for i, at in enumerate(kept):
        for column, side in enumerate((chosen, rejected)):
            reading = read_response(world, prompts[at], side[at].text)
            assert found.decisions[i, column] == code[reading.decision]
    assert {REFUSE, COMPLY} <= set(found.decisions.ravel().tolist())


@pytest.fixture(scope="module")
def many() -> list[dict[str, Any]]:
    """600 pairs, of which a fifth have a second pair of the same prompt."""
    values = rows(600, 9, cue="word", share=0.6)
    for i in range(4, 600, 5):
        values[i]["prompt"] = values[i - 1]["prompt"]
    return values


def test_more_pairs_than_are_sampled_are_scored_in_a_second_pass(
    many: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = audit(many).probe("words")
    monkeypatch.setattr(reading, "SAMPLE_PAIRS", 400)
    report = audit(many)
    part, characters = report.probe("words"), report.probe("characters")
    assert whole is not None
    assert part is not None
    assert characters is not None
    assert 390 <= report.settings["sample"] <= 400
    assert (report.pairs, part.pairs) == (600, 600)
    assert characters.pairs == report.settings["sample"]
    assert f"fitted on {characters.pairs} pairs" in part.about
    assert part.pointwise.auroc == pytest.approx(whole.pointwise.auroc, abs=0.04)
    assert part.pairwise.accuracy == pytest.approx(whole.pairwise.accuracy, abs=0.05)
    assert part.pointwise.low < whole.pointwise.auroc < part.pointwise.high
    assert part.decision_matched.pairs == 600
    assert part.decision_matched.auroc == pytest.approx(part.pointwise.auroc, abs=1e-9)
    assert report.per_pair is not None
    assert report.per_pair.pairs == 600
    assert report.shortcuts[0].cue == "indeed"


@pytest.mark.parametrize("share", [1.0, 0.98])
def test_the_second_pass_does_without_pairs_that_decide_alike(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SAMPLE_PAIRS", 60)
    report = audit(rows(150, 10, cue="refusal", share=share))
    words = report.probe("words")
    assert words is not None
    assert words.pairs == 150
    assert words.pairwise.low > 0.8
    assert words.decision_matched.auroc is None
    assert words.decision_matched.reason is not None


def test_a_sample_of_too_few_prompts_runs_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """One prompt has 60 of 150 pairs; where it ends the sample early, few are left."""
    values = rows(150, 11)
    first = min(values, key=lambda row: int(text_keys(pa.array([row["prompt"]]))[0]))["prompt"]
    for row in values[:60]:
        row["prompt"] = first
    monkeypatch.setattr(reading, "SAMPLE_PAIRS", 50)
    report = audit(values)
    assert report.probe("surface") is not None
    assert report.probe("words") is None
    reasons = {one.probe: one.reason for one in report.not_run}
    assert reasons.keys() == {"words", "characters"}
    assert "too few prompts" in reasons["words"]
    assert report.shortcuts == ()
