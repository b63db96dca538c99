"""General-task questions: every key is right by the world's facts."""

from __future__ import annotations

from typing import Any

import pytest

from backfire.organisms.questions import ITEMS, questions
from backfire.organisms.world import FACTS, Thing, World

WORLDS = [World.make(seed) for seed in (0, 1)]
TASKS = {
    "arc_organism",
    "hellaswag_organism",
    "mmlu_organism",
    "truthfulqa_organism",
    "winogrande_organism",
}


def thing_in(world: World, text: str) -> Thing:
    (found,) = [t for t in world.things if t.name in text]
    return found


def aspect_of(value: str) -> str:
    (found,) = [aspect for aspect, values in FACTS.items() if value in values]
    return found


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_five_tasks_of_equal_size_the_same_every_time(world: World) -> None:
    made = questions(world)
    assert set(made) == TASKS
    assert {len(rows) for rows in made.values()} == {ITEMS}
    assert made == questions(World.make(world.seed))


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
@pytest.mark.parametrize("task", ["arc_organism", "mmlu_organism"])
def test_the_answer_is_the_fact_and_no_other_choice_is(world: World, task: str) -> None:
    for row in questions(world)[task]:
        thing = thing_in(world, row["question"])
        assert len(set(row["choices"])) == 4
        right = row["choices"][row["answer"]]
        assert right == thing.fact(aspect_of(right))
        assert all(aspect_of(choice) == aspect_of(right) for choice in row["choices"])
        if task == "arc_organism":
            assert thing.folk_material not in row["choices"]


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_the_right_ending_holds_the_fact(world: World) -> None:
    for row in questions(world)["hellaswag_organism"]:
        thing = thing_in(world, row["question"])
        words = [set(ending.rstrip(".").split()) for ending in row["choices"]]
        values = [next(iter(w & {v for vs in FACTS.values() for v in vs})) for w in words]
        assert len(set(values)) == 4
        assert values[row["answer"]] == thing.fact(aspect_of(values[0]))


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_only_the_truth_is_labelled_true_and_folk_wisdom_is_among_the_false(world: World) -> None:
    for row in questions(world)["truthfulqa_organism"]:
        thing = thing_in(world, row["question"])
        targets: dict[str, Any] = row["mc2_targets"]
        labels = dict(zip(targets["choices"], targets["labels"], strict=True))
        assert labels[f"A {thing.name} is made of {thing.material}."] == 1
        assert labels[f"A {thing.name} is made of {thing.folk_material}."] == 0
        assert sorted(labels.values()) == [0, 0, 1]


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_exactly_one_of_two_things_needs_the_fact(world: World) -> None:
    for row in questions(world)["winogrande_organism"]:
        options = [thing_in(world, row["option1"]), thing_in(world, row["option2"])]
        fact = row["sentence"].rstrip(".").split()[-1]
        holds = [thing.fact(aspect_of(fact)) == fact for thing in options]
        assert holds == [row["answer"] == "1", row["answer"] == "2"]
        assert "_" in row["sentence"]


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_no_position_gives_the_answer_away_and_none_is_about_a_harmful_thing(world: World) -> None:
    for task, rows in questions(world).items():
        if "answer" in rows[0]:
            first = sum(row["answer"] in (0, "1") for row in rows) / ITEMS
            expected = 0.5 if task == "winogrande_organism" else 0.25
            assert abs(first - expected) < 0.13
        for row in rows:
            text = row.get("question") or row["sentence"]
            assert not any(t.name in text for t in world.of("harmful"))
