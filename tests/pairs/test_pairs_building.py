"""Building pairs: joined by id, each rule counted by reason, deterministic whatever the input's order."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.pairs import Built, build_pairs, find_recipe
from backfire.records import Decoding, Prompt, Request, Response, StopReason, given_response

SELF_RM, GPT4O_SELF, ALL_RM = find_recipe("self+rm"), find_recipe("gpt4o+self"), find_recipe("all+rm")
DECODING = Decoding(max_new_tokens=32)


def prompts_of(n: int) -> list[Prompt]:
    return [Prompt.of(f"question {i}", kind="harmful" if i % 2 else "benign") for i in range(n)]


def sampled(
    prompt: Prompt,
    text: str,
    source: str = "target",
    index: int = 0,
    stop: StopReason = "eos",
    decoding: Decoding = DECODING,
) -> Response:
    request = Request(prompt, f"model-{source}", "template", decoding, 0, index)
    return Response(request.id, prompt.id, request.model_id, source, text, stop, 3, decoding, 0, index)


def samples(prompt: Prompt, texts: Sequence[str], source: str = "target") -> list[Response]:
    return [sampled(prompt, text, source, i) for i, text in enumerate(texts)]


def reasons(built: Built) -> dict[str, int]:
    return {reason: len(ids) for reason, ids in built.left_out.items()}


def test_best_over_worst_by_score() -> None:
    (prompt,) = prompts_of(1)
    responses = samples(prompt, ["middling", "poor", "good"])
    scores = dict(zip([r.id for r in responses], [0.5, -1.0, 2.0], strict=True))
    built = build_pairs(SELF_RM, [prompt], {"self": responses}, scores)
    (pair,) = built.pairs
    assert (pair.chosen.text, pair.rejected.text) == ("good", "poor")
    assert (pair.chosen_score, pair.rejected_score) == (2.0, -1.0)
    assert built.counts == {
        "built": 1,
        "harmful": 0,
        "benign": 1,
        "left_out": {},
        "responses_left_out": {},
        "truncated": {"chosen": 0, "rejected": 0},
        "sources": {"chosen": {"target": 1}, "rejected": {"target": 1}},
    }
    assert built.warnings == ()


def test_responses_are_joined_by_prompt_id_never_by_position() -> None:
    prompts = prompts_of(20)
    chosen = [sampled(p, f"gpt4o answers {p.text}", "gpt4o") for p in prompts]
    own = [sampled(p, f"self answers {p.text}") for p in prompts if p.text != "question 3"]
    random.Random(1).shuffle(chosen)
    random.Random(2).shuffle(own)
    built = build_pairs(GPT4O_SELF, prompts, {"gpt4o": chosen, "self": own})
    assert len(built.pairs) == 19
    for pair in built.pairs:
        assert pair.chosen.text == f"gpt4o answers {pair.prompt.text}"
        assert pair.rejected.text == f"self answers {pair.prompt.text}"
    assert built.left_out == {"missing_role": (Prompt.of("question 3").id,)}


def test_first_is_the_lowest_sample_index() -> None:
    (prompt,) = prompts_of(1)
    own = samples(prompt, ["zero", "one", "two"])
    built = build_pairs(GPT4O_SELF, [prompt], {"gpt4o": [sampled(prompt, "g", "gpt4o")], "self": own[::-1]})
    assert built.pairs[0].rejected.text == "zero"
    assert built.pairs[0].chosen_score is None


@pytest.mark.parametrize(
    ("texts", "values", "reason"),
    [
        (["a", "b"], [1.0, 1.0], "tie"),
        (["a  b", " a b\n"], [1.0, 2.0], "identical"),
        (["a", " \n\t"], [1.0, 2.0], "blank"),
        (["a"], [1.0], "one_response"),
        (["a", "b", "c"], [1.0, 2.0], "missing_score"),
        (["a", "b"], [1.0, float("nan")], "missing_score"),
        (["a", "b"], [1.0, float("inf")], "missing_score"),
        ([], [], "missing_role"),
    ],
)
def test_prompts_are_left_out_by_a_stated_reason(texts: list[str], values: list[float], reason: str) -> None:
    prompt, other = Prompt.of("the one"), Prompt.of("another")
    responses, others = samples(prompt, texts), samples(other, ["yes", "no"])
    scores = dict(zip([r.id for r in responses], values, strict=False))
    scores |= {others[0].id: 1.0, others[1].id: 0.0}
    built = build_pairs(SELF_RM, [prompt, other], {"self": responses + others}, scores)
    assert built.left_out == {reason: (prompt.id,)}
    assert [p.prompt for p in built.pairs] == [other]
    assert built.counts["left_out"] == {reason: 1}


def test_a_filtered_sample_never_merges_two_prompts() -> None:
    prompts = prompts_of(4)
    responses = [r for p in prompts for r in samples(p, [f"{p.text}: {i}" for i in range(5)])]
    responses[4] = sampled(prompts[0], " ", index=4)
    scores = {r.id: float(i % 5) for i, r in enumerate(responses)}
    built = build_pairs(SELF_RM, prompts, {"self": responses}, scores)
    assert len(built.pairs) == 4
    assert built.responses_left_out == {"blank": 1}
    for pair in built.pairs:
        assert pair.chosen.text.startswith(pair.prompt.text)
        assert pair.rejected.text == f"{pair.prompt.text}: 0"


def test_minimum_length() -> None:
    (prompt,) = prompts_of(1)
    responses = samples(prompt, ["long enough", "also long", "no"])
    scores = {r.id: float(i) for i, r in enumerate(responses)}
    kept = build_pairs(SELF_RM, [prompt], {"self": responses}, scores, min_characters=5)
    assert kept.pairs[0].chosen.text == "also long"
    assert kept.responses_left_out == {"blank": 1}
    with pytest.raises(InputError, match="min_characters = 0"):
        build_pairs(SELF_RM, [prompt], {"self": responses}, scores, min_characters=0)


def test_truncated_responses_are_kept_counted_and_warned_about_or_dropped() -> None:
    prompts = prompts_of(20)
    chosen = [sampled(p, "whole", "gpt4o") for p in prompts]
    own = [sampled(p, "cut o", stop="length") for p in prompts]
    candidates = {"gpt4o": chosen, "self": own}
    kept = build_pairs(GPT4O_SELF, prompts, candidates)
    assert kept.counts["truncated"] == {"chosen": 0, "rejected": 20}
    assert any("0 of 20 chosen and 20 of 20 rejected" in w for w in kept.warnings)
    dropped = build_pairs(GPT4O_SELF, prompts, candidates, truncated="drop")
    assert dropped.pairs == ()
    assert reasons(dropped) == {"truncated": 20}
    assert dropped.responses_left_out == {"truncated": 20}
    assert "left out as truncated" in dropped.warnings[0]
    with pytest.raises(InputError, match="'maybe'"):
        build_pairs(GPT4O_SELF, prompts, candidates, truncated="maybe")


def test_equal_truncation_on_both_sides_is_no_warning() -> None:
    prompts = prompts_of(20)
    candidates = {
        role: [sampled(p, f"{role} cut", role, stop="length") for p in prompts] for role in ("gpt4o", "self")
    }
    assert build_pairs(GPT4O_SELF, prompts, candidates).warnings == ()


def test_decoding_that_differs_by_side_is_warned_about() -> None:
    (prompt,) = prompts_of(1)
    own = [sampled(prompt, "self", decoding=Decoding(max_new_tokens=128, temperature=0.5))]
    built = build_pairs(GPT4O_SELF, [prompt], {"gpt4o": [sampled(prompt, "g", "gpt4o")], "self": own})
    (warning,) = built.warnings
    assert "max_new_tokens 32" in warning
    assert "max_new_tokens 128" in warning
    assert "temperature 0.5" in warning
    given_ = build_pairs(GPT4O_SELF, [prompt], {"gpt4o": [given_response(prompt, "gpt", "g")], "self": own})
    assert "chosen given (decoding and truncation unknown)" in given_.warnings[0]


@pytest.mark.parametrize(("colder_chosen", "warned"), [(36, True), (20, False)])
def test_a_pool_that_mixes_decodings_in_other_shares_by_side_is_warned_about(
    colder_chosen: int, warned: bool
) -> None:
    prompts = prompts_of(40)
    cold = Decoding(max_new_tokens=32, temperature=0.2)
    responses, scores = [], {}
    for number, prompt in enumerate(prompts):
        pair = [sampled(prompt, "warm", index=0), sampled(prompt, "cold", index=1, decoding=cold)]
        best = number < colder_chosen
        scores |= {pair[0].id: float(not best), pair[1].id: float(best)}
        responses += pair
    built = build_pairs(find_recipe("self+rm"), prompts, {"self": responses}, scores)
    told = [w for w in built.warnings if "in other shares" in w]
    assert bool(told) is warned
    if warned:
        assert "temperature 0.2: 36 of chosen, 4 of rejected" in told[0]


def test_missing_roles_empty_the_result_and_say_why() -> None:
    (prompt,) = prompts_of(1)
    only_self = {"self": samples(prompt, ["a", "b"])}
    no_human = build_pairs(find_recipe("original"), [prompt], only_self)
    assert no_human.pairs == ()
    assert "no responses for roles human-chosen, human-rejected" in no_human.warnings[0]
    assert "human-labelled data set" in no_human.warnings[0]
    no_gpt = build_pairs(GPT4O_SELF, [prompt], only_self)
    assert "no responses for role gpt4o: sample them" in no_gpt.warnings[0]
    unscored = build_pairs(SELF_RM, [prompt], only_self)
    assert "backfire score" in unscored.warnings[0]
    single = build_pairs(SELF_RM, [prompt], {"self": samples(prompt, ["a"])}, {"x": 1.0})
    assert "at least two responses per prompt from self" in single.warnings[0]
    assert build_pairs(SELF_RM, [], only_self).warnings == ("self+rm is empty: no prompts were given",)


def test_a_pool_takes_whichever_roles_are_there() -> None:
    (prompt,) = prompts_of(1)
    candidates = {"self": samples(prompt, ["a"]), "peer": samples(prompt, ["b"], "peer-1")}
    candidates["peer"] += samples(prompt, ["c"], "peer-2")
    scores = {r.id: float(ord(r.text)) for rs in candidates.values() for r in rs}
    built = build_pairs(ALL_RM, [prompt], candidates, scores)
    (pair,) = built.pairs
    assert (pair.chosen.source, pair.chosen_role) == ("peer-2", "peer")
    assert (pair.rejected.source, pair.rejected_role) == ("target", "self")
    assert "a pool without roles stronger, gpt4o, human-chosen, human-rejected" in built.warnings[0]


def test_repeated_and_foreign_responses_and_prompts_are_counted() -> None:
    prompt, foreign = prompts_of(2)
    responses = samples(prompt, ["a", "b"])
    scores = {r.id: float(ord(r.text)) for r in responses}
    candidates = {"self": [*responses, responses[0], *samples(foreign, ["c", "d"])]}
    built = build_pairs(SELF_RM, [prompt, Prompt.of(prompt.text)], candidates, scores)
    assert built.responses_left_out == {"duplicate": 1, "other_prompt": 2}
    assert built.pairs[0].prompt.kind == "benign"
    both = [prompt, Prompt.of(prompt.text, kind="harmful")]
    assert reasons(build_pairs(SELF_RM, both, candidates, scores)) == {"conflicting_kind": 1}


def test_one_response_under_two_roles_is_one_candidate() -> None:
    (prompt,) = prompts_of(1)
    same = samples(prompt, ["a"])
    built = build_pairs(ALL_RM, [prompt], {"self": same, "peer": same}, {same[0].id: 1.0})
    assert reasons(built) == {"one_response": 1}


def test_a_pair_of_two_prompts_cannot_be_made() -> None:
    from backfire.pairs import Pair

    one, other = prompts_of(2)
    with pytest.raises(ValueError, match="different prompts"):
        Pair(one, "r", sampled(one, "a"), sampled(other, "b"), "self", "self")


def test_ids_depend_on_recipe_prompt_and_responses() -> None:
    from backfire.pairs import Pair

    one, other = prompts_of(2)
    a, b = samples(one, ["a", "b"])
    made = {
        Pair(one, "r", a, b, "self", "self").id,
        Pair(one, "q", a, b, "self", "self").id,
        Pair(one, "r", b, a, "self", "self").id,
        Pair(other, "r", sampled(other, "a"), sampled(other, "b"), "self", "self").id,
    }
    assert len(made) == 4
    assert Pair(one, "r", a, b, "peer", "peer", 1.0, 0.0).id in made


_texts = st.lists(st.sampled_from(["yes", "no", "maybe", " ", "yes ", "no\n"]), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    own=st.lists(_texts, min_size=1, max_size=6),
    peers=st.lists(_texts, min_size=1, max_size=6),
    values=st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan")]), min_size=8, max_size=8),
    recipe=st.sampled_from(["self+rm", "all+rm", "peer+rm", "gpt4o+self"]),
    order=st.randoms(use_true_random=False),
)
def test_order_never_matters_and_nothing_is_lost(
    own: list[list[str]], peers: list[list[str]], values: list[float], recipe: str, order: random.Random
) -> None:
    prompts = prompts_of(6)
    candidates = {
        "self": [r for p, texts in zip(prompts, own, strict=False) for r in samples(p, texts)],
        "peer": [r for p, texts in zip(prompts, peers, strict=False) for r in samples(p, texts, "peer")],
        "gpt4o": [sampled(p, "g", "gpt4o") for p in prompts[:4]],
    }
    every = [r for rs in candidates.values() for r in rs]
    scores = {r.id: values[int(r.id, 16) % len(values)] for r in every}
    built = build_pairs(find_recipe(recipe), prompts, candidates, scores)
    shuffled = {role: order.sample(rs, len(rs)) for role, rs in reversed(candidates.items())}
    again = build_pairs(
        find_recipe(recipe), order.sample(prompts, 6), shuffled, dict(reversed(scores.items()))
    )
    assert again == built
    placed = [p.prompt.id for p in built.pairs] + [i for ids in built.left_out.values() for i in ids]
    assert sorted(placed) == sorted(p.id for p in prompts)
    for pair in built.pairs:
        assert pair.chosen.text.split() != pair.rejected.text.split()
        if recipe != "gpt4o+self":
            assert pair.chosen_score is not None
            assert pair.rejected_score is not None
            assert pair.chosen_score > pair.rejected_score


def test_a_hundred_thousand_responses_in_seconds() -> None:
    prompts = prompts_of(20_000)
    responses = [
        Response(f"{p.id}-{i}", p.id, "model", "target", f"{p.text} {i}", "eos", index=i)
        for p in prompts
        for i in range(5)
    ]
    scores = {r.id: float(int(r.id[:8], 16)) for r in responses}
    start = time.process_time()
    built = build_pairs(SELF_RM, prompts, {"self": responses}, scores)
    seconds = time.process_time() - start
    assert len(built.pairs) == 20_000
    assert seconds < 5
