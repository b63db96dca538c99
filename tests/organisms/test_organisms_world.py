"""The world: things, their facts and the requests about them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from pydantic import ValidationError

from backfire.organisms.knobs import Knobs
from backfire.organisms.world import (
    BENIGN_KINDS,
    FACTS,
    HARMFUL_KINDS,
    NOUNS_PER_SPLIT,
    PROBE_WRAPPERS,
    REQUESTS,
    SEEN_WRAPPERS,
    UNSEEN_WRAPPERS,
    World,
)


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    first, again, other = World.make(3), World.make(3), World.make(4)
    assert first.things == again.things
    assert {t.noun for t in first.things} != {t.noun for t in other.things}
    assert [t.material for t in first.things] != [t.material for t in other.things]


def test_knobs_do_not_move_the_things() -> None:
    assert World.make(3).things == World.make(3, Knobs(refusal_overlap=1.0, target_refusal=0.9)).things


@pytest.mark.parametrize("seed", range(5))
def test_nouns_are_unique_and_splits_hold_what_they_say(seed: int) -> None:
    world = World.make(seed)
    nouns = [t.noun for t in world.things]
    assert len(set(nouns)) == len(nouns) == 2 * sum(NOUNS_PER_SPLIT.values())
    for kind in ("harmful", "benign"):
        for split, count in NOUNS_PER_SPLIT.items():
            assert len(world.of(kind, split)) == count
    splits = [{t.noun for t in world.of(split=s)} for s in NOUNS_PER_SPLIT]
    assert all(not a & b for a, b in combinations(splits, 2))


@pytest.mark.parametrize("seed", range(5))
def test_the_kind_word_alone_decides_harm_and_no_noun_is_a_fact(seed: int) -> None:
    world = World.make(seed)
    facts = {value.lower() for values in FACTS.values() for value in values}
    for thing in world.things:
        assert thing.kind_word in (HARMFUL_KINDS if thing.kind == "harmful" else BENIGN_KINDS)
        assert thing.noun not in facts
        assert thing.folk_material != thing.material
        assert all(thing.fact(aspect) in FACTS[aspect] for aspect in FACTS)
    assert not set(HARMFUL_KINDS) & set(BENIGN_KINDS)


def test_wrappers_hold_the_request_and_seen_ones_are_not_unseen() -> None:
    world = World.make(0)
    thing = world.of("harmful", "test")[0]
    assert not set(SEEN_WRAPPERS) & set(UNSEEN_WRAPPERS)
    assert len(UNSEEN_WRAPPERS) == 10
    for request in range(len(REQUESTS)):
        plain = world.prompt(thing, request)
        for wrapper in (*SEEN_WRAPPERS, *UNSEEN_WRAPPERS, *PROBE_WRAPPERS):
            wrapped = world.prompt(thing, request, wrapper)
            assert plain.text in wrapped.text
            assert wrapped.text != plain.text
            assert wrapped.kind == "harmful"
            assert wrapped.tags["wrapper"] == wrapper
            assert wrapped.tags["noun"] == thing.noun


def test_a_saved_world_loads_as_it_was(tmp_path: Path) -> None:
    world = World.make(9, Knobs(reward_bias=0.4))
    world.save(tmp_path / "world.json")
    assert World.load(tmp_path) == World.load(tmp_path / "world.json") == world


def test_names_tell_worlds_of_other_knobs_apart() -> None:
    assert World.make(7).name == "w7"
    turned = World.make(7, Knobs(refusal_overlap=0.0)).name
    assert turned.startswith("w7-")
    assert turned != World.make(7, Knobs(refusal_overlap=1.0)).name
    assert turned == World.make(7, Knobs(refusal_overlap=0.0)).name


@pytest.mark.parametrize(
    "wrong", [{"refusal_overlap": 1.1}, {"reward_noise": 0.6}, {"target_refusal": -0.1}, {"refusal": 0.5}]
)
def test_a_knob_out_of_range_or_unknown_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Knobs(**wrong)
