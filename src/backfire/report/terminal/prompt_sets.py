"""Published prompt sets, with their licences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from backfire.report.terminal.parts import Part, table

if TYPE_CHECKING:
    from backfire.prompts.published import PromptSet


def prompt_sets_table(sets: Iterable[tuple[PromptSet, bool]]) -> Part:
    """A row a set, each with whether its file is on this machine."""
    shown = table("name", "kind", "prompts", "licence", "source", "what", "here", left=7)
    for one, is_here in sets:
        where = "yes" if is_here else "no"
        shown.add_row(one.name, one.kind, str(one.rows), one.licence, one.source, one.about, where)
    return shown
