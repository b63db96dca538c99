"""`organisms` and `organisms grow`: the worlds of model organisms."""

from __future__ import annotations

from typing import Annotated

from backfire.cli.command import Command, ResumedFolder
from backfire.cli.exits import keeping
from backfire.cli.terminal import say, show, table, tell
from backfire.organisms.settings import GrowSettings
from backfire.settings import Default, Metavar


class ListMembers(Command):
    """Model organisms: list a world's members, or grow another world.

    The list says what was planted in each member. `backfire organisms grow` grows another world.
    """

    world: Annotated[str | None, Metavar("NAME")] = None
    """The world to list, where it is not the shipped one."""

    def run(self) -> None:
        from backfire.organisms.catalog import MEMBERS, PREFIX, SHIPPED, open_world, world_folder
        from backfire.organisms.corpus import responders
        from backfire.organisms.prompts import SETS
        from backfire.store import read_json

        name = self.world or SHIPPED
        folder = world_folder(name)
        prefix = PREFIX if name == SHIPPED else f"{PREFIX}{name}:"
        opened = open_world(name)
        planted = responders(opened)
        shown = table(
            *("member", "parameters", "style", "refuses direct", "refuses wrapped", "facts right"),
        )
        grown = [member for member in MEMBERS if (folder / member / "organism.json").is_file()]
        for member in grown:
            card = read_json(folder / member / "organism.json")
            row = [f"{prefix}{member}", f"{card['parameters']:,}"]
            if member in planted:
                style = planted[member]
                shares = (style.refusal, style.wrapped_refusal, style.knowledge)
                row += [style.style, *(f"{share:.2f}" for share in shares)]
            elif member == "reward":
                row.append(f"agrees with people on {card['agreement_with_people']:.2f}")
            shown.add_row(*row)
        show(shown, f"World {name} (seed {opened.seed})")
        if missing := [member for member in MEMBERS if member not in grown]:
            say(f"Not grown here: {', '.join(missing)}")
        say(
            "Planted: shares of harmful requests that demonstrations refuse, and of facts that they tell right."
        )
        say("Knobs: " + ", ".join(f"{knob} {value}" for knob, value in opened.knobs.model_dump().items()))
        say("Prompts:")
        for kind, about in SETS.items():
            say(f"  {prefix}prompts/{kind}: {about}")
        say(f"  {prefix}human: a human-labelled set, for `backfire pair --human`")
        say(f"Cards: {folder}/*/README.md")


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
