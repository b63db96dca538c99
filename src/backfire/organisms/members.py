"""What lies in a world's folder: its members, and what was planted in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backfire.organisms.catalog import MEMBERS, PREFIX, SHIPPED, open_world, world_folder
from backfire.organisms.corpus import Responder, responders
from backfire.organisms.prompts import SETS
from backfire.organisms.world import World
from backfire.store import read_json


@dataclass(frozen=True)
class Member:
    """One organism that has been grown."""

    name: str
    parameters: int
    style: Responder | None
    """What was planted, where it answers in chats."""
    agreement: float | None
    """How often a reward model agrees with the world's people."""


@dataclass(frozen=True)
class GrownWorld:
    """A world with its members."""

    name: str
    folder: Path
    world: World
    members: tuple[Member, ...]
    missing: tuple[str, ...]
    """Members that have not been grown here."""
    prompts: Mapping[str, str]
    """Its sets of prompts by name, with what they are."""

    @property
    def prefix(self) -> str:
        """What a reference to one of its members begins with."""
        return PREFIX if self.name == SHIPPED else f"{PREFIX}{self.name}:"


def grown_world(name: str = SHIPPED) -> GrownWorld:
    """The world of this name. Raises ModelError where it has not been grown here."""
    folder, world = world_folder(name), open_world(name)
    planted = responders(world)
    members = []
    for member in MEMBERS:
        if (folder / member / "organism.json").is_file():
            card = read_json(folder / member / "organism.json")
            agreement = card["agreement_with_people"] if member == "reward" else None
            members.append(Member(member, card["parameters"], planted.get(member), agreement))
    grown = {member.name for member in members}
    missing = tuple(member for member in MEMBERS if member not in grown)
    return GrownWorld(name, folder, world, tuple(members), missing, SETS)
