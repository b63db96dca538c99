"""The prompts that a command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfire.cli.terminal import counted, warn

if TYPE_CHECKING:
    from backfire.models import EndpointModel, LocalModel
    from backfire.records import Kind, Prompt

ORGANISM = "organism:"


def open_prompts(reference: str, *, column: str | None = None, kind: Kind | None = None) -> list[Prompt]:
    """Prompts of a file, or of `organism:prompts/NAME`; rows that are left out are counted on stderr."""
    if reference.startswith(ORGANISM):
        from backfire.organisms.catalog import prompts_of

        return prompts_of(reference)
    from backfire.store import read_prompts

    found = read_prompts(reference, column=column, kind=kind)
    if found.left_out:
        warn(f"{reference}: rows left out: {counted(found.left_out)}")
    return list(found.prompts)


def world_of(*references: str) -> str | None:
    """The one world of organisms that the references name; None where they name none, or several."""
    from backfire.organisms.catalog import split_reference

    worlds = {split_reference(r)[0] for r in references if r.startswith(ORGANISM)}
    return worlds.pop() if len(worlds) == 1 else None


def context_of(model: LocalModel | EndpointModel) -> int | None:
    """Tokens of the model's context, where it says."""
    return getattr(model, "context", None)
