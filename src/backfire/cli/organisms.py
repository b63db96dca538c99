"""`organisms` and `organisms grow`: the worlds of model organisms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import keeping
from backfire.cli.terminal import say, show, table

app = typer.Typer(help="Model organisms: list a world's members, or grow another world.")


@app.callback(invoke_without_command=True)
def list_members(
    ctx: typer.Context,
    world: Annotated[
        str | None, typer.Option("--world", metavar="NAME", help="Another world than the shipped one.")
    ] = None,
) -> None:
    """List the members of a world with what was planted in them; `grow` grows another world."""
    if ctx.invoked_subcommand is not None:
        return
    from backfire.organisms.catalog import MEMBERS, PREFIX, SHIPPED, open_world, world_folder
    from backfire.organisms.corpus import responders
    from backfire.organisms.prompts import SETS
    from backfire.store import read_json

    name = world or SHIPPED
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
            found = planted[member]
            shares = (found.refusal, found.wrapped_refusal, found.knowledge)
            row += [found.style, *(f"{share:.2f}" for share in shares)]
        elif member == "reward":
            row.append(f"agrees with people on {card['agreement_with_people']:.2f}")
        shown.add_row(*row)
    show(shown, f"World {name} (seed {opened.seed})")
    if missing := [member for member in MEMBERS if member not in grown]:
        say(f"Not grown here: {', '.join(missing)}")
    say("Planted: shares of harmful requests that demonstrations refuse, and of facts that they tell right.")
    say("Knobs: " + ", ".join(f"{knob} {value}" for knob, value in opened.knobs.model_dump().items()))
    say("Prompts:")
    for kind, about in SETS.items():
        say(f"  {prefix}prompts/{kind}: {about}")
    say(f"  {prefix}human: a human-labelled set, for `backfire pair --human`")
    say(f"Cards: {folder}/*/README.md")


@app.command("grow")
def grow(
    seed: Annotated[int, typer.Option("--seed", help="The world's seed: its nouns, facts and weights.")],
    knob: Annotated[
        list[str] | None,
        typer.Option("--knob", metavar="NAME=VALUE", help="Such as refusal_overlap=0.8; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="MEMBER",
            help="Such as llama/target: grow just this; repeatable. By default all.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Processes, one thread each.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", show_default="the cache", help="Where references do not find it."
        ),
    ] = None,
) -> None:
    """Grow a world of organisms: 20 to 30 minutes of one core. A stopped run goes on where it was."""
    from backfire.organisms.catalog import PREFIX, cache_folder
    from backfire.organisms.growing import GROWN, grow_world

    knobs = _knobs(options.named(knob or [], "--knob"))
    name = knobs.world_name(seed)
    folder = out or cache_folder() / name
    with keeping(f"members that are done are in {folder}; run the same command again to go on"):
        grow_world(
            folder,
            seed,
            knobs,
            members=only or GROWN,
            workers=workers,
            say=lambda line: typer.echo(line, err=True),
        )
    say(f"world {name} in {folder}")
    if out is None:
        say(
            f"use it by name, such as {PREFIX}{name}:llama/target, or with `worlds: [{name}]` in a study file"
        )


def _knobs(named: list[tuple[str, str]]) -> Any:
    from pydantic import ValidationError

    from backfire.errors import InputError
    from backfire.organisms.knobs import Knobs

    try:
        return Knobs(**dict(named))
    except ValidationError as error:
        first = error.errors()[0]
        knob = first["loc"][0]
        known = ", ".join(Knobs.model_fields)
        problem = "no such knob" if first["type"] == "extra_forbidden" else first["msg"]
        raise InputError(f"--knob {knob}={first['input']}: {problem}; the knobs are {known}") from error
