"""The data set that is to be repaired: as pairs, with the row that each stands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, cast

from backfire.answers.conclusion import Input
from backfire.errors import InputError
from backfire.pairs import Built, Pair, Recipe, Side, own_columns, pair_rows, read_pairs, written_plain
from backfire.preferences import (
    ROWS_OF_SIDES,
    Preferences,
    ReadOptions,
    columns_beside,
    no_pairs,
    open_preferences,
    prompt_of,
)
from backfire.records import Prompt, Response, StopReason, given_response
from backfire.repairing.balancing import UNKNOWN

OWN = ("row", *ROWS_OF_SIDES, "repair", "repair_change", "repair_why")
"""What a repair says of each pair, beside the columns of a folder of pairs."""
STOPS: tuple[StopReason, ...] = ("eos", "stop", "length")


@dataclass(frozen=True)
class GivenPairs:
    """Usable pairs and what the data set says beside them."""

    origin: str
    pairs: tuple[Pair, ...]
    rows: tuple[int, ...]
    """Row number of each pair, from 1, as the audit counts."""
    built: Built
    """What the pairs are written as, without them: recipe, prompts left out when they were built, warnings."""
    defects: Mapping[str, tuple[int, ...]]
    """Numbers of the rows that gave no pair, by kind."""
    read: Input
    """How many rows were read, and the digest of their pairs, as the audit has them."""
    beside: tuple[Mapping[str, Any], ...]
    """The further columns of each pair's row, or of its two rows, by what they are called in the repaired set."""


def read_given(
    dataset: Any,
    **reading: Unpack[ReadOptions],
) -> GivenPairs:
    """Read a folder of pairs with all its provenance, or any preference data that the audit reads.

    Of the latter, a side's stop reason is kept where it is eos, stop or length; scores are not read.
    """
    if isinstance(dataset, (str, Path)) and (Path(dataset) / "pairs.json").is_file():
        built = read_pairs(dataset)
        if reading.get("plain") and not written_plain(dataset):
            raise InputError(
                f"{dataset} holds conversations, which have no raw text: leave out plain, so that they go through the "
                "policy's chat template"
            )
        rows = tuple(range(1, len(built.pairs) + 1))
        read = input_of(open_preferences(dataset, **reading))
        return _some(GivenPairs(str(dataset), built.pairs, rows, built, {}, read, _further(Path(dataset))))
    data = open_preferences(dataset, **reading)
    further = columns_beside(data, {*own_columns(), *OWN})
    beside: list[Mapping[str, Any]] = []
    pairs: list[Pair] = []
    numbers: list[int] = []
    name = Path(data.origin).stem if isinstance(dataset, (str, Path)) else "given"
    for block, own in data.with_rows():
        beside += map(further.of, own)
        for index, row in enumerate(block.select(_COLUMNS).to_pylist()):
            prompt = prompt_of(block, index)
            chosen, rejected = (
                _response(prompt, row, side, n) for n, side in enumerate(("chosen", "rejected"))
            )
            pairs.append(Pair(prompt, name, chosen, rejected, "given-chosen", "given-rejected"))
            numbers.append(row["row"])
    if not pairs:
        raise InputError(no_pairs(data))
    recipe = Recipe(
        name=name,
        chosen=Side(roles=("given-chosen",)),
        rejected=Side(roles=("given-rejected",)),
        about=data.origin,
    )
    built = Built(recipe, (), {}, {}, ())
    defects: dict[str, tuple[int, ...]] = {kind: tuple(rows) for kind, rows in data.defects.items()}
    return _some(
        GivenPairs(data.origin, tuple(pairs), tuple(numbers), built, defects, input_of(data), tuple(beside))
    )


def input_of(data: Preferences) -> Input:
    """What an audit of the same data set says of what it read."""
    digest = data.read_digest()
    return Input(digest=digest, rows=data.rows)


def _further(folder: Path) -> tuple[Mapping[str, Any], ...]:
    """Columns of a folder of pairs that are not its own, such as those of an earlier repair."""
    rows = pair_rows(folder)
    names = {n: f"given_{n}" if n in OWN else n for row in rows[:1] for n in row if n not in own_columns()}
    return tuple({new: row[name] for name, new in names.items()} for row in rows)


_COLUMNS = [
    "row",
    *(f"{side}{name}" for name in ("", "_source", "_stop", "_messages") for side in ("chosen", "rejected")),
]


def _response(prompt: Prompt, row: Mapping[str, Any], side: str, index: int) -> Response:
    response = given_response(
        prompt, row[f"{side}_source"] or UNKNOWN, row[side], index=index, turns=row[f"{side}_messages"]
    )
    stop = row[f"{side}_stop"]
    return replace(response, stop_reason=cast(StopReason, stop)) if stop in STOPS else response


def _some(given: GivenPairs) -> GivenPairs:
    if not given.pairs:
        raise InputError(f"{given.origin} holds no pair: nothing to repair")
    return given
