"""Pairs that were built or converted, and the recipes that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from backfire.answers.numerals import count_of
from backfire.report.terminal.parts import DIGITS, Part, Warned, counted, row_numbers, table

if TYPE_CHECKING:
    from backfire.pairs import Built, Recipe
    from backfire.preferences import Converted


def built_parts(built: Built, out: Path) -> Iterator[Part]:
    """What was built, from whom, and what was left out and why."""
    from backfire.pairs import REASONS

    counts = built.counts
    kinds = {kind: counts[kind] for kind in ("harmful", "benign")}
    unknown = counts["built"] - sum(kinds.values())
    yield f"{built.recipe.name}: {counts['built']} pairs ({counted({**kinds, 'of unknown kind': unknown})})"
    for side in ("chosen", "rejected"):
        yield f"  {side} from: {counted(counts['sources'][side])}; truncated {counts['truncated'][side]}"
    for reason, count in counts["left_out"].items():
        yield f"  prompts left out: {count} {reason} ({REASONS[reason]})"
    if counts["responses_left_out"]:
        yield f"  responses that were no candidates: {counted(counts['responses_left_out'])}"
    yield from map(Warned, built.warnings)
    yield f"in {out}: train.parquet, pairs.json"


def recipes_table(recipes: Iterable[Recipe]) -> Part:
    """A row a recipe: who writes each side, and how one response is picked."""
    shown = table("recipe", "chosen", "rejected", "about", left=4)
    for recipe in recipes:
        sides = [f"{side.pick} of {', '.join(side.roles)}" for side in (recipe.chosen, recipe.rejected)]
        shown.add_row(recipe.name, *sides, recipe.about)
    return shown


def converted_parts(done: Converted) -> Iterator[Part]:
    """What was read, how many pairs it gave, and what was left out."""
    yield f"read as: {done.format}"
    yield from done.notes
    yield f"{count_of(done.pairs, 'pair')} from {count_of(done.rows, 'row')}, digest {done.digest[:DIGITS]}"
    for kind, rows in done.left_out.items():
        yield f"  rows left out: {len(rows)} {kind} ({row_numbers(rows)})"
    if done.further:
        yield f"  further columns kept: {', '.join(name or 'one without a name' for name in done.further)}"
    for name, new in done.renamed.items():
        yield f"  the column {name} is called {new}, since trainers would take it for part of the pair"
    if done.by_side:
        names = ", ".join(done.by_side)
        yield (
            "  further columns that differ between the two rows of a pair, kept for each side as chosen_NAME and"
            f" rejected_NAME: {names}"
        )
    each = "plain text" if done.plain else "a list of turns"
    yield f"in {done.path}: prompt, chosen and rejected, each {each}"
