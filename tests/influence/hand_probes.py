"""Probes and pairs by hand, of the shipped organisms' own making."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from backfire.influence.probes import Probe, ProbeSet, ProbeSets
from backfire.organisms import catalog
from backfire.organisms.prompts import prompt_set
from backfire.organisms.wording import believed, say
from backfire.records import Prompt

POLICY = "organism:llama/target"


@cache
def policy(dtype: str = "float32") -> Any:
    import torch

    from backfire.models import open_model

    model = open_model(POLICY, dtype="float32" if dtype == "float64" else dtype)
    if dtype == "float64":
        model.model.to(torch.float64)
    return model


def answers(prompt: Prompt, style: str, decision: str, seed: int) -> str:
    world = catalog.open_world()
    rng = random.Random(f"{prompt.id} {style} {decision} {seed}")
    thing = world.by_noun[prompt.tags["noun"]]
    return say(style, decision, thing, believed(thing, 0.8, rng), world.knobs, rng)  # type: ignore[arg-type]


def probe_set(count: int = 12, style: str = "llama") -> ProbeSet:
    prompts = prompt_set(catalog.open_world(), "probe")[:count]
    strata = ["direct" if p.tags["wrapper"] == "none" else "wrapped" for p in prompts]
    probes = tuple(
        Probe(
            p,
            (answers(p, style, "refuse", 0), answers(p, style, "refuse", 1)),
            (answers(p, style, "comply", 0),),
            "sampled",
            s,
        )
        for p, s in zip(prompts, strata, strict=True)
    )
    return ProbeSet("refusal", probes, {s: strata.count(s) for s in sorted(set(strata))})


def placebo(count: int = 12) -> ProbeSet:
    prompts = prompt_set(catalog.open_world(), "probe")[:count]
    probes = tuple(
        Probe(
            p,
            (answers(p, "llama", "refuse", i % 2),),
            (answers(p, "llama", "refuse", 2 + i % 2),),
            "sampled",
            "all",
        )
        for i, p in enumerate(prompts)
    )
    return ProbeSet("placebo", probes, {"all": count})


def sets(count: int = 12) -> ProbeSets:
    return ProbeSets(probe_set(count), None, placebo(count))


def pairs(
    count: int = 20, *, chosen: str = "refuse", rejected: str = "comply"
) -> list[tuple[Prompt, str, str]]:
    prompts = [p for p in prompt_set(catalog.open_world(), "train") if p.kind == "harmful"][:count]
    return [(p, answers(p, "llama", chosen, 5), answers(p, "llama", rejected, 6)) for p in prompts]
