"""What a reader decided about single pairs: the file that the page of the pairs to look at first gives, and `repair` applies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError

from backfire.answers.estimates import Part
from backfire.errors import InputError
from backfire.records import digest
from backfire.store import read_json

Mark = Literal["keep", "drop", "swap"]
MARKS: tuple[str, ...] = get_args(Mark)
VERSION = 1
KEY = "backfire_decisions"
"""The field that says that a file holds decisions, and in which version."""
KEY_DIGITS = 16


def pair_key(prompt_id: str, chosen: str, rejected: str) -> str:
    """What a decision is bound to: the prompt and the two responses of a pair, wherever it stands."""
    return digest("decided pair", prompt_id, chosen, rejected)[:KEY_DIGITS]


class DecidedPair(Part):
    """A pair with its mark."""

    row: Annotated[int, Field(ge=1)]
    """The row number that the pair had when it was read."""
    pair: str
    """`pair_key` of the pair."""
    mark: Mark


class ReaderDecisions(Part):
    """The whole file."""

    version: Literal[1] = Field(alias=KEY)
    dataset: str
    """The data set as it was named."""
    digest: str
    """That of the data set's pairs when they were read."""
    decisions: tuple[DecidedPair, ...]

    model_config = ConfigDict(populate_by_name=True)


def read_decisions(path: str | Path) -> ReaderDecisions:
    """Read the file that the page has given.

    Raises InputError, which names the first wrong field: a file of another kind, an unknown mark, a pair that has two marks.
    """
    path = Path(path)
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} as decisions about pairs: {error}") from error
    if not isinstance(value, dict) or KEY not in value:
        raise InputError(
            f"{path} holds no decisions about pairs, which have a field {KEY}: save them on the page that"
            " `backfire audit DATASET --worst 50` writes"
        )
    if value[KEY] != VERSION:
        raise InputError(
            f"{path} has decisions of version {value[KEY]!r}, and this version of backfire reads {VERSION}"
        )
    _known_marks(path, value.get("decisions"))
    try:
        read = ReaderDecisions.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not read.decisions:
        raise InputError(
            f"{path} holds no decision: mark at least one pair on the page, and save the decisions again"
        )
    marks: dict[tuple[int, str], str] = {}
    for one in read.decisions:
        if marks.setdefault((one.row, one.pair), one.mark) != one.mark:
            raise InputError(
                f"{path}: row {one.row} is marked {marks[one.row, one.pair]} and {one.mark}: leave one of the two"
            )
    return read


def _known_marks(path: Path, decisions: Any) -> None:
    for one in decisions if isinstance(decisions, list) else []:
        mark = one.get("mark") if isinstance(one, dict) else None
        if mark is not None and mark not in MARKS:
            raise InputError(f"{path}: row {one.get('row')} has the mark {mark!r}: choose {', '.join(MARKS)}")
