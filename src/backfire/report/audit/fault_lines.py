"""What a terminal says of faulty texts and of labels that look turned round; the page shows the same in tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backfire.answers.confounds import Confounds, Counted
from backfire.answers.numerals import p_value, shown_rows
from backfire.report.audit.words import PROMPTS, share_text

MOST_ROWS = 5


def fault_lines(found: Confounds) -> Iterator[str]:
    """A line for each."""
    swapped, scores = found.swapped_columns, found.score_contradiction
    if swapped is not None:
        yield (
            f"chosen complies and rejected refuses, {PROMPTS[swapped.prompts]}: {share_text(swapped.complying)}, the other way"
            f" round {share_text(swapped.refusing)}{_at(swapped.rows)}"
        )
    if scores is not None and scores.pairs.hits:
        yield f"{scores.columns[1]} above {scores.columns[0]}: {share_text(scores.pairs)}{_at(scores.rows)}"
    for name, one in (
        ("cut ends, by the text", found.cut_ends),
        ("prompt repeated in the response", found.echoed),
    ):
        if one is not None and (one.chosen.hits or one.rejected.hits):
            yield f"{name}: {_sides(one)}, {p_value(one.p)}{_at(one.rows)}"
    for one in found.personal:
        yield f"personal data, {one.what}: {_sides(one)}{_at(one.rows)}"
    for in_prompts in found.prompt_personal:
        yield f"personal data in prompts, {in_prompts.what}: {share_text(in_prompts.pairs)}{_at(in_prompts.rows)}"


def matched_items(found: Confounds, name: str) -> str:
    """`; row 12 is item 5` and so on, of an evaluation set."""
    hits = next((one.hits for one in found.evaluation_sets if one.name == name), ())[:MOST_ROWS]
    items = [f"row {hit.row} is item {hit.item}" for hit in hits if hit.item is not None]
    return f"; {', '.join(items)}" if items else ""


def _sides(one: Counted) -> str:
    return f"{share_text(one.chosen)} of chosen, {share_text(one.rejected)} of rejected"


def _at(rows: Sequence[int]) -> str:
    return f", row {shown_rows(rows, MOST_ROWS, None)}" if rows else ""
