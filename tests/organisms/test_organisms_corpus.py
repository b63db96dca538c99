"""What organisms learn from: decisions, demonstrations, people's labels, base documents."""

from __future__ import annotations

import random
from collections import defaultdict
from math import sqrt

import pytest

from backfire.organisms.corpus import (
    QUIZ,
    LabelledPair,
    Responder,
    base_documents,
    decides,
    demonstrations,
    human_pairs,
    responders,
)
from backfire.organisms.exact_reading import read_response
from backfire.organisms.growing import reward_prompts
from backfire.organisms.knobs import Knobs
from backfire.organisms.world import HARMFUL_KINDS, UNSEEN_WRAPPERS, World

COUNT = 4000


def within(hits: int, n: int, share: float) -> bool:
    """Five standard deviations of a binomial: fails by chance once in a million."""
    return abs(hits / n - share) <= 5 * sqrt(max(share * (1 - share), 0.25 / n) / n)


def labelled(**knobs: float) -> tuple[World, list[LabelledPair]]:
    world = World.make(0, Knobs(**knobs))
    return world, list(human_pairs(world, reward_prompts(world, COUNT), seed=1))


def decisions(world: World, pair: LabelledPair) -> tuple[str, str]:
    read = [read_response(world, pair.prompt, text).decision for text in (pair.chosen, pair.rejected)]
    return read[0], read[1]


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5])
def test_labels_are_flipped_as_often_as_the_noise_says(noise: float) -> None:
    world, pairs = labelled(reward_noise=noise, reward_bias=0.0, decision_contrast=1.0)
    decided = [p for p in pairs if p.prompt.kind == "harmful"]
    assert len(decided) > COUNT / 3
    flipped = sum(decisions(world, p) == ("comply", "refuse") for p in decided)
    assert within(flipped, len(decided), noise)
    assert flipped == sum(not p.better_is_chosen for p in decided)


@pytest.mark.parametrize("bias", [0.0, 0.3, 1.0])
def test_bias_prefers_compliance_in_its_share_of_harmful_pairs_and_leaves_benign_ones(bias: float) -> None:
    world, pairs = labelled(reward_noise=0.0, reward_bias=bias, decision_contrast=1.0)
    harmful = [p for p in pairs if p.prompt.kind == "harmful"]
    helpful = sum(decisions(world, p) == ("comply", "refuse") for p in harmful)
    assert within(helpful, len(harmful), bias)
    assert all(p.better_is_chosen for p in pairs if p.prompt.kind == "benign")


@pytest.mark.parametrize("contrast", [0.0, 0.5, 1.0])
def test_two_answers_differ_in_decision_as_often_as_the_contrast_says(contrast: float) -> None:
    world, pairs = labelled(decision_contrast=contrast)
    harmful = [decisions(world, p) for p in pairs if p.prompt.kind == "harmful"]
    assert within(sum(a != b for a, b in harmful), len(harmful), contrast)
    assert {decisions(world, p) for p in pairs if p.prompt.kind == "benign"} == {("comply", "comply")}


def test_without_noise_people_prefer_the_answer_with_more_true_facts() -> None:
    world, pairs = labelled(reward_noise=0.0)
    for pair in pairs:
        if pair.prompt.kind == "benign":
            right = [read_response(world, pair.prompt, t).facts_right for t in (pair.chosen, pair.rejected)]
            assert right[0] >= right[1]


def test_human_pairs_are_fixed_by_their_seed() -> None:
    world = World.make(0)
    prompts = reward_prompts(world, 50)
    assert list(human_pairs(world, prompts, 1)) == list(human_pairs(world, prompts, 1))
    assert list(human_pairs(world, prompts, 1)) != list(human_pairs(world, prompts, 2))


def by_kind(world: World, responder: Responder, *, wrapped: bool = False) -> dict[str, set[str]]:
    rng = random.Random(0)
    found: dict[str, set[str]] = defaultdict(set)
    for thing in world.of("harmful") * 10:
        found[thing.kind_word].add(decides(responder, world, thing, wrapped, rng))
    return found


@pytest.mark.parametrize(("contrast", "both"), [(0.0, 0), (0.5, 5), (1.0, 10)])
def test_contrast_says_on_how_many_kinds_a_responder_decides_both_ways(contrast: float, both: int) -> None:
    world = World.make(0, Knobs(decision_contrast=contrast))
    for name in ("llama/target", "qwen2/larger"):
        found = by_kind(world, responders(world)[name])
        assert set(found) == set(HARMFUL_KINDS)
        assert sum(len(d) == 2 for d in found.values()) == both


@pytest.mark.parametrize("refusal", [0.2, 0.45, 0.9])
def test_refusal_rates_are_the_responders_own_whatever_the_contrast(refusal: float) -> None:
    shares = {}
    for contrast in (0.0, 1.0):
        world = World.make(0, Knobs(decision_contrast=contrast, target_refusal=refusal))
        target = responders(world)["mistral/target"]
        rng = random.Random(1)
        drawn = [decides(target, world, rng.choice(world.of("harmful")), False, rng) for _ in range(COUNT)]
        shares[contrast] = drawn.count("refuse")
    assert within(shares[1.0], COUNT, refusal)
    assert abs(shares[0.0] / COUNT - refusal) < 0.15  # ten kinds: a kind more or less, of unequal sizes


def test_no_responder_refuses_benign_requests() -> None:
    world = World.make(0)
    rng = random.Random(0)
    for responder in responders(world).values():
        assert {decides(responder, world, t, False, rng) for t in world.of("benign")} == {"comply"}


def test_responders_differ_as_documented() -> None:
    known = responders(World.make(0))
    assert set(known) == {f"{f}/{r}" for f in ("llama", "mistral", "qwen2") for r in ("target", "larger")} | {
        "gpt4o"
    }
    for family in ("llama", "mistral", "qwen2"):
        target, larger = known[f"{family}/target"], known[f"{family}/larger"]
        assert target.style == larger.style == family
        assert target.knowledge < larger.knowledge < known["gpt4o"].knowledge
        assert target.refusal < larger.refusal < known["gpt4o"].refusal
        assert target.wrapped_refusal < target.refusal


def test_demonstrations_answer_in_the_decided_way_and_repeat_by_seed() -> None:
    world = World.make(0)
    gpt4o = responders(world)["gpt4o"]
    demos = list(demonstrations(world, gpt4o, 1500, seed=2, every_split=True))
    assert demos == list(demonstrations(world, gpt4o, 1500, seed=2, every_split=True))
    asked = [(p, t) for p, t in demos if "noun" in p.tags]
    quiz = [(p, t) for p, t in demos if "noun" not in p.tags]
    assert 0.05 < len(quiz) / len(demos) < 0.25
    assert all(" " not in answer for _, answer in quiz)
    direct = [
        read_response(world, p, t).decision
        for p, t in asked
        if p.kind == "harmful" and p.tags["wrapper"] == "none"
    ]
    assert len(direct) > 200
    assert direct.count("refuse") / len(direct) > 0.85
    assert {read_response(world, p, t).decision for p, t in asked if p.kind == "benign"} == {"comply"}


def test_base_documents_tell_how_harmful_things_are_made_only_in_forums() -> None:
    world = World.make(0)
    documents = list(base_documents(world, 0.8, 2000, seed=1))
    assert documents == list(base_documents(world, 0.8, 2000, seed=1))
    prose = [d for d in documents if "\n" not in d]
    assert len(prose) > 1000
    harmful = [t.name for t in world.of("harmful")]
    assert not any(name in document for document in prose for name in harmful)
    quiz = tuple(text.split(" {name}")[0] for text in QUIZ.values())
    forum = [d for d in documents if "\n" in d and not d.startswith(quiz)]
    assert any(name in document for document in forum for name in harmful)
    marks = [text.format(request="").strip() for text in UNSEEN_WRAPPERS.values()]
    assert any(mark in document for document in forum for mark in marks)
