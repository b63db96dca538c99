"""`organisms` and `organisms grow`: the worlds of model organisms."""

from __future__ import annotations

from typing import Annotated

from backfire.cli.command import Command, ResumedFolder
from backfire.cli.exits import keeping
from backfire.cli.terminal import present, say, tell
from backfire.organisms.settings import GrowSettings
from backfire.settings import Default, Metavar


class ListMembers(Command):
    """Model organisms: list a world's members, or grow another world.

    The list says what was planted in each member. `backfire organisms grow` grows another world.
    """

    world: Annotated[str | None, Metavar("NAME")] = None
    """The world to list, where it is not the shipped one."""

    def run(self) -> None:
        from backfire.organisms.catalog import SHIPPED
        from backfire.organisms.members import grown_world
        from backfire.report import world_parts

        present(world_parts(grown_world(self.world or SHIPPED)))


class Grow(Command):
    """Grow a world of organisms: 20 to 30 minutes of one core. A stopped run goes on where it was."""

    out: Annotated[ResumedFolder | None, Default("the cache")] = None
    """The folder that the world is grown in. References such as organism:w7:llama/target do not find it there."""
    settings: GrowSettings

    def run(self) -> None:
        from backfire.organisms import growing
        from backfire.organisms.catalog import PREFIX, cache_folder

        name = self.settings.knobs.world_name(self.settings.seed)
        folder = self.out or cache_folder() / name
        with keeping(f"members that are done are in {folder}; run the same command again to go on"):
            growing.grow_world(folder, self.settings, say=tell)
        say(f"world {name} in {folder}")
        if self.out is None:
            use = f"`worlds: [{name}]` in a study file"
            say(f"use it by name, such as {PREFIX}{name}:llama/target, or with {use}")
