"""Organisms by name: `organism:llama/target` is shipped; `organism:w7:llama/target` lies in the cache of grown worlds."""

from __future__ import annotations

import json
import os
from pathlib import Path

from backfire.errors import InputError, ModelError
from backfire.organisms.prompts import SETS, prompt_set
from backfire.organisms.wording import FAMILIES
from backfire.organisms.world import World
from backfire.records import Prompt, Response, given_response

PREFIX = "organism:"
SHIPPED = "w0"
MEMBERS = (*(f"{f}/{r}" for f in FAMILIES for r in ("base", "target", "larger")), "gpt4o", "reward")


def cache_folder() -> Path:
    """Where grown worlds lie: $BACKFIRE_CACHE, else ~/.cache/backfire."""
    return Path(os.environ.get("BACKFIRE_CACHE", Path.home() / ".cache" / "backfire")) / "worlds"


def world_folder(name: str = SHIPPED) -> Path:
    """The folder of a world by its name, such as `w7`."""
    folder = Path(__file__).parent / "shipped" if name == SHIPPED else cache_folder() / name
    if not (folder / "world.json").is_file():
        seed = name.removeprefix("w").partition("-")[0]
        raise ModelError(
            f"world {name} has not been grown here: run `backfire organisms grow --seed {seed}` (with the knobs that "
            "the name stands for)"
        )
    return folder


def split_reference(reference: str) -> tuple[str, str]:
    """`organism:w7:llama/target` -> (`w7`, `llama/target`); without a world, the shipped one."""
    name = reference.removeprefix(PREFIX)
    if not says_world(reference):
        return SHIPPED, name
    world, _, member = name.partition(":")
    return world, member


def says_world(reference: str) -> bool:
    """Whether a reference to an organism says its world. The colon of `organism:prompts/probe:60` is not a world's."""
    world, colon, _ = reference.removeprefix(PREFIX).partition(":")
    return bool(colon) and "/" not in world


def world_named_by(reference: str) -> str | None:
    """The world that a reference to an organism names; None for another reference."""
    return split_reference(reference)[0] if reference.startswith(PREFIX) else None


def folder_of(reference: str) -> Path:
    """The checkpoint folder of an organism."""
    world, member = split_reference(reference)
    folder = world_folder(world) / member
    if member not in MEMBERS or not (folder / "config.json").is_file():
        raise ModelError(f"no organism '{reference}': choose one of {', '.join(MEMBERS)}")
    return folder


def open_world(name: str = SHIPPED) -> World:
    return World.load(world_folder(name))


def world_prompts(reference: str) -> list[Prompt]:
    """`organism:prompts/train`, `organism:w7:prompts/direct`, ...: the prompt sets of organisms.prompts.SETS. `NAME:N` are the first N
    of a set, which is in a shuffled order."""
    world, member = split_reference(reference)
    kind, _, named = member.partition("/")
    name, colon, count = named.partition(":")
    if kind != "prompts" or not name:
        raise InputError(
            f"'{reference}' names no prompts: write organism:prompts/NAME with one of {', '.join(SETS)}"
        )
    prompts = prompt_set(open_world(world), name)
    if not colon:
        return prompts
    if not count.isdecimal() or not 1 <= int(count) <= len(prompts):
        raise InputError(
            f"{reference}: {name} has {len(prompts)} prompts; write {name}:N with N from 1 to {len(prompts)}"
        )
    return prompts[: int(count)]


def tasks_data(name: str = SHIPPED) -> Path:
    """The folder with the general tasks' JSONL files of a world."""
    return world_folder(name) / "tasks"


def human_responses(name: str = SHIPPED) -> tuple[list[Prompt], list[Response], list[Response]]:
    """The human-labelled set: prompts, preferred answers and dispreferred ones, joined by prompt id."""
    prompts, chosen, rejected = [], [], []
    with (world_folder(name) / "human.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            prompt = Prompt.of_messages(row["prompt"], kind=row["kind"], tags=row["tags"])
            prompts.append(prompt)
            chosen.append(given_response(prompt, "human", row["chosen"], index=0))
            rejected.append(given_response(prompt, "human", row["rejected"], index=1))
    return prompts, chosen, rejected
