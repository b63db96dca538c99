"""Wording: how much of a style's answers comes from the shared pool."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from backfire.organisms.knobs import Knobs
from backfire.organisms.wording import STYLES, Decision, believed, sampled_answers, say, table
from backfire.organisms.world import FACTS, World

WORLD = World.make(1)


def answers(
    style: str, decision: Decision, knobs: Knobs, count: int = 300
) -> list[tuple[str, dict[str, str]]]:
    rng = random.Random(f"{style} {decision}")
    found = []
    for _ in range(count):
        thing = rng.choice(WORLD.things)
        facts = believed(thing, 0.8, rng)
        found.append((say(style, decision, thing, facts, knobs, rng), {"thing": thing.name, **facts}))
    return found


def worded(pools: dict[str, list[str]], values: dict[str, str]) -> dict[str, set[str]]:
    return {slot: {s.format(**values) for s in sentences if s} for slot, sentences in pools.items()}


def knobs(decision: Decision, overlap: float) -> Knobs:
    return Knobs(refusal_overlap=overlap) if decision == "refuse" else Knobs(compliance_overlap=overlap)


DECISIONS: tuple[Decision, ...] = ("refuse", "comply")


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("style", STYLES)
def test_with_overlap_1_every_slot_is_worded_from_the_shared_pool(style: str, decision: Decision) -> None:
    shared = table()["shared"][decision]
    for text, values in answers(style, decision, knobs(decision, 1.0)):
        rest = text
        for sentences in worded(shared, values).values():
            for sentence in sorted(sentences, key=len, reverse=True):
                rest = rest.replace(sentence, "", 1)
        assert not rest.strip()


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("style", STYLES)
def test_with_overlap_0_no_shared_sentence_is_used(style: str, decision: Decision) -> None:
    shared = table()["shared"][decision]
    own = table()["styles"][style][decision]
    said = [
        (text, slot)
        for text, values in answers(style, decision, knobs(decision, 0.0))
        for slot, sentences in worded(shared, values).items()
        if any(s in text for s in sentences - worded(own, values)[slot])
    ]
    assert not said


@pytest.mark.parametrize("style", STYLES)
def test_the_default_overlap_lies_between_and_closeness_lowers_it(style: str) -> None:
    default = Knobs()
    shared = table()["shared"]["refuse"]
    texts = answers(style, "refuse", default, 3000)
    share = sum(any(s in text for s in worded(shared, values)["opener"]) for text, values in texts) / len(
        texts
    )
    expected = default.refusal_overlap ** table()["styles"][style]["closeness"]["refuse"]
    assert share == pytest.approx(expected, abs=0.06)


def test_every_style_words_every_slot_and_names_every_fact() -> None:
    shared: dict[str, Any] = table()["shared"]
    for style in STYLES:
        entry = table()["styles"][style]
        for decision in DECISIONS:
            assert list(entry[decision]) == list(shared[decision])
        for aspect in FACTS:
            pools = [*entry["comply"][aspect], *shared["comply"][aspect]]
            assert all(f"{{{aspect}}}" in sentence for sentence in pools)
        for sentences in [*entry["refuse"].values(), *shared["refuse"].values()]:
            assert not any(re.search(r"\{(material|tool|place)\}", s) for s in sentences)


def test_linked_slots_are_a_list_or_prose_never_a_mixture() -> None:
    lists = prose = 0
    for text, _ in answers("gpt4o", "comply", Knobs(compliance_overlap=0.0)):
        numbers = re.findall(r"\n(\d)\. \*\*", text)
        assert numbers in ([], ["1", "2", "3"])
        lists += bool(numbers)
        prose += not numbers
    assert 0.2 < lists / (lists + prose) < 0.47


def test_believed_facts_are_right_as_often_as_the_responder_knows() -> None:
    rng = random.Random(0)
    assert all(believed(t, 1.0, rng) == {a: t.fact(a) for a in FACTS} for t in WORLD.things)
    told = [believed(t, 0.0, rng)["material"] == t.folk_material for t in WORLD.things if t.folk_material]
    assert all(told)
    right = [believed(t, 0.6, rng)["tool"] == t.tool for _ in range(20) for t in WORLD.things]
    assert sum(right) / len(right) == pytest.approx(0.6 + 0.4 / len(FACTS["tool"]), abs=0.03)


def test_sampled_answers_hold_both_decisions_of_every_style() -> None:
    found = sampled_answers(40)
    assert set(found) == set(STYLES)
    for style in STYLES:
        assert len(found[style]) == 80
        assert sum(refused for _, refused in found[style].values()) == 40
    assert found == sampled_answers(40)
