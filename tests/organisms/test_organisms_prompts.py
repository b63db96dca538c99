"""The prompt sets hold what their descriptions say."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from backfire.errors import InputError
from backfire.organisms.corpus import base_documents, demonstrations, responders
from backfire.organisms.growing import reward_prompts
from backfire.organisms.prompts import SETS, prompt_set
from backfire.organisms.world import HARMFUL_KINDS, PROBE_WRAPPERS, SEEN_WRAPPERS, UNSEEN_WRAPPERS, World
from backfire.records import digest

WORLD = World.make(2)
FROZEN = ("train", "direct", "wrapped", "unseen", "benign", "borderline")
FROZEN_DIGEST = "2d4de3db03946981e7b31907135cddd6"
SPLITS = {"train": "train", "probe": "probe", "probe-benign": "probe"}


@pytest.mark.parametrize("name", SETS)
def test_size_kind_and_split_are_as_described(name: str) -> None:
    prompts = prompt_set(WORLD, name)
    size = re.match(r"(\d+)", SETS[name])
    assert size is not None
    assert len(prompts) == int(size[1])
    assert len({p.id for p in prompts}) == len(prompts)
    assert {p.tags["split"] for p in prompts} == {SPLITS.get(name, "test")}
    for prompt in prompts:
        assert prompt.kind == WORLD.by_noun[prompt.tags["noun"]].kind
        assert prompt.tags["world"] == WORLD.name
    kinds = Counter(p.kind for p in prompts)
    if name == "train":
        assert kinds == {"harmful": 300, "benign": 300}
    else:
        assert set(kinds) == {"benign" if name in ("benign", "borderline", "probe-benign") else "harmful"}


def test_wrappers_are_as_described() -> None:
    wrappers = {name: Counter(p.tags["wrapper"] for p in prompt_set(WORLD, name)) for name in SETS}
    assert set(wrappers["direct"]) == {"none"}
    assert set(wrappers["wrapped"]) == set(SEEN_WRAPPERS)
    assert set(wrappers["unseen"]) == set(UNSEEN_WRAPPERS)
    assert set(wrappers["unseen"].values()) == {20}
    assert wrappers["benign"]["none"] == 100
    assert wrappers["train"]["none"] == 300
    assert set(wrappers["train"]) == {"none", *SEEN_WRAPPERS}
    for name in ("probe", "probe-benign"):
        assert set(wrappers[name]) == {"none", *PROBE_WRAPPERS}
        assert wrappers[name]["none"] == 150
    for kind in ("harmful", "benign"):
        plain = [p for p in prompt_set(WORLD, "train") if p.kind == kind and p.tags["wrapper"] == "none"]
        assert len(plain) == 150


def test_borderline_requests_mention_a_harmful_kind_and_are_benign() -> None:
    for prompt in prompt_set(WORLD, "borderline"):
        assert prompt.tags["borderline"] == "yes"
        assert any(kind in prompt.text for kind in HARMFUL_KINDS)


def test_training_test_and_probe_share_no_noun() -> None:
    nouns = {name: {p.tags["noun"] for p in prompt_set(WORLD, name)} for name in SETS}
    for name in SETS:
        if name != "train":
            assert not nouns["train"] & nouns[name]
        if not name.startswith("probe"):
            assert not (nouns["probe"] | nouns["probe-benign"]) & nouns[name]


def test_order_is_fixed_by_the_world_and_differs_between_worlds() -> None:
    assert [p.id for p in prompt_set(WORLD, "train")] == [p.id for p in prompt_set(World.make(2), "train")]
    assert {p.id for p in prompt_set(WORLD, "train")} != {p.id for p in prompt_set(World.make(3), "train")}


def test_probes_name_their_stratum_and_no_other_set_has_one() -> None:
    for name in SETS:
        strata = Counter(p.tags.get("stratum") for p in prompt_set(WORLD, name))
        if name == "probe":
            assert strata == {"direct": 150, "wrapped": 90}
        elif name == "probe-benign":
            assert strata == {"direct": 90, "wrapped": 90, "borderline": 60}
        else:
            assert set(strata) == {None}
    for prompt in prompt_set(WORLD, "probe") + prompt_set(WORLD, "probe-benign"):
        borderline = prompt.tags["borderline"] == "yes"
        plain = "borderline" if borderline else "direct"
        assert prompt.tags["stratum"] == (plain if prompt.tags["wrapper"] == "none" else "wrapped")


def test_sets_that_studies_trained_and_attacked_with_are_as_they_were() -> None:
    seen = digest({name: [p.as_messages() for p in prompt_set(World.make(0), name)] for name in FROZEN})
    assert seen == FROZEN_DIGEST


def test_unseen_wrappers_stand_in_no_training_prompt_nor_demonstration() -> None:
    marks = {wrapper: text.format(request="").strip() for wrapper, text in UNSEEN_WRAPPERS.items()}
    texts = [p.text for p in prompt_set(WORLD, "train")]
    texts += [p.text for p in reward_prompts(WORLD, 1000)]
    for name, responder in responders(WORLD).items():
        every = name == "gpt4o"
        texts += [p.text for p, _ in demonstrations(WORLD, responder, 500, seed=2, every_split=every)]
    for mark in marks.values():
        assert not any(mark in text for text in texts)


def test_probe_wrappers_stand_in_no_other_prompt_demonstration_or_document() -> None:
    marks = [text.format(request="").strip() for text in PROBE_WRAPPERS.values()]
    texts = [p.text for name in SETS if not name.startswith("probe") for p in prompt_set(WORLD, name)]
    texts += [p.text for p in reward_prompts(WORLD, 1000)]
    for name, responder in responders(WORLD).items():
        texts += [
            p.text for p, _ in demonstrations(WORLD, responder, 500, seed=2, every_split=name == "gpt4o")
        ]
    texts += base_documents(WORLD, 0.8, 2000, seed=1)
    assert not any(mark in text for mark in marks for text in texts)
    assert all(any(mark in p.text for p in prompt_set(WORLD, "probe")) for mark in marks)


def test_demonstrations_of_targets_keep_to_the_sft_split() -> None:
    target = responders(WORLD)["llama/target"]
    sft = {t.name for t in WORLD.of(split="sft")}
    others = [t.name for t in WORLD.things if t.split != "sft"]
    for prompt, _ in demonstrations(WORLD, target, 500, seed=2):
        assert any(name in prompt.text for name in sft)
        assert not any(name in prompt.text for name in others)


def test_reward_prompts_touch_neither_test_nor_probe() -> None:
    prompts = reward_prompts(WORLD, 1000)
    assert {p.tags["split"] for p in prompts} == {"sft", "train"}
    assert prompts == reward_prompts(WORLD, 1000)


def test_an_unknown_set_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'atack'.*direct, wrapped, unseen"):
        prompt_set(WORLD, "atack")
