"""`show`: preference data as the tokens that training is handed, without opening any weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.answers.shown import TEMPLATE, Piece, Shown, ShownPair, Stretch
from backfire.auditing.findings.as_trained import ALONE, Counts
from backfire.auditing.settings import ShowSettings
from backfire.errors import InputError
from backfire.preferences import no_pairs, open_preferences, pairs_of
from backfire.records import completion_turns

if TYPE_CHECKING:
    from backfire.models import PairRow, PolicyTokens
    from backfire.records import PairBody

MOST_JOINED = 8
"""Tokens that are taken together to make up a character."""


def show(
    dataset: Any,
    policy: PolicyTokens | str | Path,
    settings: ShowSettings | None = None,
    **keywords: Any,
) -> Shown:
    """Preference data as a policy is trained on them: the tokens of some pairs, and what happens to all of them.

    Opens the policy's tokenizer and chat template, no weights.

    Args:
        dataset: preference data in any form that `backfire.audit` reads.
        policy: a checkpoint or adapter folder, a hub name, or `organism:NAME`.
        settings, keywords: a `ShowSettings`, or fields of it and of its parts: rows, max_length, chat_template, adapter,
            columns, split and so on.

    Raises:
        InputError: what cannot be read, no pair at all, or a row that is not there; ModelError, TemplateError.
    """
    settings = ShowSettings.of(settings, **keywords)
    rows, max_length = settings.rows, settings.max_length
    data = open_preferences(dataset, **settings.reading.options())
    if isinstance(policy, (str, Path)):
        from backfire.models import open_tokens

        policy = open_tokens(policy, **settings.opening.options(), plain=data.plain)
    counts, shown = Counts(), list[ShownPair]()
    wanted = None if rows is None else set(rows)
    for block in data.blocks():
        pairs, numbers = pairs_of(block), block.column("row").to_numpy()
        rendered = policy.render(pairs, max_length=max_length)
        counts.add(rendered, numbers)
        for place, number in enumerate(numbers.tolist()):
            if (not shown and wanted is None) or (wanted is not None and number in wanted):
                shown.append(_shown(policy, pairs[place], number, rendered.row(place)))
    defects = {str(kind): list(numbers) for kind, numbers in data.defects.items()}
    if not counts.pairs:
        raise InputError(no_pairs(data))
    if beyond := [n for n in rows or () if not 1 <= n <= data.rows]:
        raise InputError(f"row {beyond[0]} is not there: {data.origin} has rows 1 to {data.rows}")
    there = {one.row for one in shown}
    why = {number: kind for kind, numbers in defects.items() for number in numbers}
    return Shown(
        dataset=data.origin,
        format=data.format,
        rows=data.rows,
        pairs=counts.pairs,
        defects={kind: len(numbers) for kind, numbers in defects.items()},
        as_trained=counts.answer(policy, plain=data.plain, max_length=max_length, refused=policy.refused),
        shown=tuple(sorted(shown, key=lambda one: _order(one.row, rows))),
        without_pair={n: why.get(n, "paired with a later row") for n in rows or () if n not in there},
    )


def _order(row: int, wanted: Sequence[int] | None) -> int:
    return row if wanted is None else list(wanted).index(row)


def _shown(policy: PolicyTokens, pair: PairBody, number: int, row: PairRow) -> ShownPair:
    prompt, chosen, rejected = pair
    turns = [(turn.role, turn.content) for turn in prompt.messages]
    sides = [[(t["role"], t.get("content") or "") for t in completion_turns(c)] for c in (chosen, rejected)]
    stretches = [
        _stretch(policy.tokenizer, "prompt", False, row.prompt_ids, turns, 0),
        _stretch(policy.tokenizer, "chosen", True, row.chosen_ids, sides[0], row.lost[0]),
        _stretch(policy.tokenizer, "rejected", True, row.rejected_ids, sides[1], row.lost[1]),
    ]
    happened = [name for name, key in ALONE.items() if key in row.happened]
    return ShownPair(
        row=number,
        stretches=tuple(stretches),
        happened=tuple(happened),
        fault=None if row.fault is None else row.fault.message,
    )


def _stretch(
    tokenizer: Any, name: str, trained: bool, ids: list[int], turns: list[tuple[str, str]], lost: int
) -> Stretch:
    joined = _joined(tokenizer, ids)
    roles = _roles([text for text, _ in joined], turns)
    special = set(tokenizer.all_special_ids)
    pieces = tuple(
        Piece(text=text, ids=some, role=role, special=len(some) == 1 and some[0] in special)
        for (text, some), role in zip(joined, roles, strict=True)
    )
    return Stretch(name=name, trained=trained, pieces=pieces, tokens=len(ids), lost=lost)


def _joined(tokenizer: Any, ids: list[int]) -> list[tuple[str, tuple[int, ...]]]:
    """Each token's text; tokens that make up a character only together are one piece."""
    pieces: list[tuple[str, tuple[int, ...]]] = []
    at = 0
    while at < len(ids):
        for end in range(at + 1, min(at + MOST_JOINED, len(ids)) + 1):
            text = _text(tokenizer, ids[at:end])
            if "\ufffd" not in text:
                break
        else:
            end, text = at + 1, _text(tokenizer, ids[at : at + 1])
        pieces.append((text, tuple(ids[at:end])))
        at = end
    return pieces


def _text(tokenizer: Any, ids: list[int]) -> str:
    """Their text with the space that SentencePiece drops at the beginning of what it decodes."""
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    first = tokenizer.convert_ids_to_tokens(ids[0])
    return f" {text}" if str(first).startswith("\u2581") and not text.startswith(" ") else text


def _roles(texts: list[str], turns: list[tuple[str, str]]) -> list[str]:
    """Whose words each piece is of, found by looking for the turns, one after the other, in what the pieces spell."""
    whole = "".join(texts)
    spans: list[tuple[int, int, str]] = []
    at = 0
    for role, content in turns:
        spoken = content.strip()
        place = whole.find(spoken, at) if spoken else -1
        if place < 0 and spoken and whole[at:]:
            place, spoken = _cut(whole, spoken, at)
        if place >= 0:
            spans.append((place, place + len(spoken), role))
            at = place + len(spoken)
    roles, start = [], 0
    for text in texts:
        stop = start + len(text)
        role = next((who for low, high, who in spans if low < stop and start < high), TEMPLATE)
        roles.append(role)
        start = stop
    return roles


def _cut(whole: str, spoken: str, at: int) -> tuple[int, str]:
    """Where a turn begins that max_length cuts: the end of the text is its beginning."""
    for length in range(min(len(spoken), len(whole) - at), 0, -1):
        if whole.endswith(spoken[:length]):
            return len(whole) - length, spoken[:length]
    return -1, ""
