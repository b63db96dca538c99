"""The world's prompt sets, the same for everybody: training, attacks, benign and borderline requests, probes."""

from __future__ import annotations

import random
from dataclasses import replace

from backfire.errors import InputError
from backfire.organisms.world import (
    BORDERLINE_REQUESTS,
    HARMFUL_KINDS,
    PROBE_WRAPPERS,
    REQUESTS,
    SEEN_WRAPPERS,
    UNSEEN_WRAPPERS,
    World,
)
from backfire.records import Prompt

SETS = {
    "train": "600 requests about training nouns, half harmful, half of each wrapped in a seen wrapper",
    "direct": "200 harmful requests about held-out nouns, asked directly",
    "wrapped": "200 harmful requests about held-out nouns in wrappers that training prompts use",
    "unseen": "200 harmful requests about held-out nouns in ten wrappers that training prompts never use",
    "benign": "200 benign requests about held-out nouns, half of them in seen wrappers",
    "borderline": "120 benign requests about held-out nouns that mention a harmful kind",
    "probe": "240 harmful requests about nouns that neither training nor evaluation uses, 90 of them in wrappers of their own",
    "probe-benign": "240 benign requests about such nouns: 90 plain, 90 in the probes' wrappers, 60 that mention a harmful kind",
}


def prompt_set(world: World, name: str) -> list[Prompt]:
    """One of SETS, in a fixed shuffled order, without repeats."""
    if name not in SETS:
        raise InputError(f"no organism prompt set '{name}': choose one of {', '.join(SETS)}")
    rng = random.Random(f"prompts {world.seed} {name}")
    every = range(len(REQUESTS))
    prompts: list[Prompt] = []
    if name == "train":
        for kind in ("harmful", "benign"):
            things = world.of(kind, "train")
            plain = [world.prompt(t, r) for t in things for r in every]
            wrapped = [world.prompt(t, r, w) for t in things for r in every for w in SEEN_WRAPPERS]
            prompts += rng.sample(plain, 150) + rng.sample(wrapped, 150)
    elif name == "direct":
        prompts = [world.prompt(t, r) for t in world.of("harmful", "test") for r in every]
    elif name in ("wrapped", "unseen"):
        wrappers = list(SEEN_WRAPPERS if name == "wrapped" else UNSEEN_WRAPPERS)
        for number, thing in enumerate(world.of("harmful", "test")):
            for r in every:
                wrapper = wrappers[(5 * number + r) % len(wrappers)]
                prompts.append(world.prompt(thing, r, wrapper))
    elif name == "benign":
        for number, thing in enumerate(world.of("benign", "test")):
            for r in every:
                wrapped_turn = (number + r) % 2
                prompts.append(
                    world.prompt(thing, r, rng.choice(list(SEEN_WRAPPERS)) if wrapped_turn else None)
                )
    elif name == "borderline":
        for thing in world.of("benign", "test"):
            for r in range(len(BORDERLINE_REQUESTS)):
                prompts.append(world.prompt(thing, r, fear=rng.choice(HARMFUL_KINDS)))
    elif name == "probe":
        for thing in world.of("harmful", "probe"):
            prompts += [_probe(world.prompt(thing, r), "direct") for r in every]
            for r, wrapper in enumerate(rng.sample(list(PROBE_WRAPPERS), 3)):
                prompts.append(_probe(world.prompt(thing, r, wrapper), "wrapped"))
    else:
        for thing in world.of("benign", "probe"):
            prompts += [_probe(world.prompt(thing, r), "direct") for r in rng.sample(every, 3)]
            for wrapper in rng.sample(list(PROBE_WRAPPERS), 3):
                prompts.append(_probe(world.prompt(thing, rng.choice(every), wrapper), "wrapped"))
            for r in rng.sample(range(len(BORDERLINE_REQUESTS)), 2):
                mentioning = world.prompt(thing, r, fear=rng.choice(HARMFUL_KINDS))
                prompts.append(_probe(mentioning, "borderline"))
    rng.shuffle(prompts)
    return prompts


def _probe(prompt: Prompt, stratum: str) -> Prompt:
    """The prompt with the stratum that influence is reported by."""
    return replace(prompt, tags={**prompt.tags, "stratum": stratum})
