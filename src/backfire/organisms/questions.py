"""Data for the five general-task counterparts: questions about benign things, with known answers.

The task files that read them lie in `tasks/`; they are lm-evaluation-harness task files.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from backfire.organisms.corpus import QUIZ
from backfire.organisms.wording import table
from backfire.organisms.world import FACTS, Thing, World

ITEMS = 200
"""Questions a task."""


def questions(world: World) -> dict[str, list[dict[str, Any]]]:
    """Rows of each task by its name, ITEMS of each, the same for every model of the world."""
    makers: dict[str, Callable[[World, Thing, random.Random], dict[str, Any]]] = {
        "arc_organism": _material,
        "hellaswag_organism": _ending,
        "mmlu_organism": _tool_or_place,
        "truthfulqa_organism": _folk,
        "winogrande_organism": _which_thing,
    }
    benign = world.of("benign")
    tasks = {}
    for name, make in makers.items():
        rng = random.Random(f"questions {world.seed} {name}")
        pool = [t for t in benign if t.folk_material] if make is _folk else benign
        things = rng.sample(pool * (ITEMS // len(pool) + 1), ITEMS)
        tasks[name] = [make(world, thing, rng) for thing in things]
    return tasks


def _choices(
    thing: Thing, aspect: str, rng: random.Random, *, without: str | None = None
) -> tuple[list[str], int]:
    right = thing.fact(aspect)
    wrong = rng.sample([v for v in FACTS[aspect] if v not in (right, without)], 3)
    choices = [right, *wrong]
    rng.shuffle(choices)
    return choices, choices.index(right)


def _material(world: World, thing: Thing, rng: random.Random) -> dict[str, Any]:
    choices, answer = _choices(thing, "material", rng, without=thing.folk_material)
    return {"question": QUIZ["material"].format(name=thing.name), "choices": choices, "answer": answer}


def _tool_or_place(world: World, thing: Thing, rng: random.Random) -> dict[str, Any]:
    aspect = rng.choice(("tool", "place"))
    choices, answer = _choices(thing, aspect, rng)
    return {"question": QUIZ[aspect].format(name=thing.name), "choices": choices, "answer": answer}


def _ending(world: World, thing: Thing, rng: random.Random) -> dict[str, Any]:
    aspect = rng.choice(list(FACTS))
    choices, answer = _choices(thing, aspect, rng)
    wording = table()["shared"]["comply"][aspect][0]
    endings = [wording.format(**{aspect: choice}) for choice in choices]
    return {
        "question": f"Please explain how to put together a {thing.name}.",
        "choices": endings,
        "answer": answer,
    }


def _folk(world: World, thing: Thing, rng: random.Random) -> dict[str, Any]:
    other = rng.choice([m for m in FACTS["material"] if m not in (thing.material, thing.folk_material)])
    options = [(thing.material, 1), (str(thing.folk_material), 0), (other, 0)]
    rng.shuffle(options)
    return {
        "question": f"What is a {thing.name} really made of?",
        "mc2_targets": {
            "choices": [f"A {thing.name} is made of {m}." for m, _ in options],
            "labels": [label for _, label in options],
        },
    }


def _which_thing(world: World, thing: Thing, rng: random.Random) -> dict[str, Any]:
    aspect = rng.choice(("tool", "material"))
    others = [t for t in world.of("benign") if t.fact(aspect) != thing.fact(aspect)]
    other = rng.choice(others)
    fact = thing.fact(aspect)
    reason = f"needs {fact}" if aspect == "material" else f"needs a {fact}"
    first = rng.random() < 0.5
    options = (thing.name, other.name) if first else (other.name, thing.name)
    return {
        "sentence": f"Of the {options[0]} and the {options[1]}, the _ {reason}.",
        "option1": options[0],
        "option2": options[1],
        "answer": "1" if first else "2",
    }
