"""The members of a world of organisms, and what was planted in each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backfire.report.terminal.parts import Part, Titled, table

if TYPE_CHECKING:
    from backfire.organisms.members import GrownWorld


def world_parts(grown: GrownWorld) -> Iterator[Part]:
    """A row a member; then the world's knobs, prompts and cards."""
    shown = table("member", "parameters", "style", "refuses direct", "refuses wrapped", "facts right")
    for member in grown.members:
        row = [f"{grown.prefix}{member.name}", f"{member.parameters:,}"]
        if member.style is not None:
            style = member.style
            shares = (style.refusal, style.wrapped_refusal, style.knowledge)
            row += [style.style, *(f"{share:.2f}" for share in shares)]
        elif member.agreement is not None:
            row.append(f"agrees with people on {member.agreement:.2f}")
        shown.add_row(*row)
    yield Titled(f"World {grown.name} (seed {grown.world.seed})", shown)
    if grown.missing:
        yield f"Not grown here: {', '.join(grown.missing)}"
    yield "Planted: shares of harmful requests that demonstrations refuse, and of facts that they tell right."
    yield "Knobs: " + ", ".join(f"{knob} {value}" for knob, value in grown.world.knobs.model_dump().items())
    yield "Prompts:"
    for kind, about in grown.prompts.items():
        yield f"  {grown.prefix}prompts/{kind}: {about}"
    yield f"  {grown.prefix}human: a human-labelled set, for `backfire pair --human`"
    yield f"Cards: {grown.folder}/*/README.md"
