"""The policy's own answers, from the ledger that `backfire sample` filled or from a file of prompts and responses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backfire.errors import InputError, setting
from backfire.records import Response
from backfire.responses.given import store_given
from backfire.store import Ledger

if TYPE_CHECKING:
    from backfire.models import LocalModel

SQLITE = b"SQLite format 3\x00"
MOST = 4
"""Answers to one prompt that are read, at most."""


def read_own_answers(path: Path, model: LocalModel) -> dict[str, tuple[str, ...]]:
    """Answers by prompt id, the first MOST of each prompt. Of a ledger, those of this very policy: of the same weights and template.

    Raises InputError for a file that is not there, and for a ledger without an answer of the policy.
    """
    if not path.is_file():
        raise InputError(
            f"there is no file {path}: {setting('own_answers')} names a ledger or a file of responses"
        )
    with path.open("rb") as file:
        is_ledger = file.read(len(SQLITE)) == SQLITE
    if not is_ledger:
        with Ledger(":memory:") as ledger:
            return _by_prompt(store_given(ledger, path, source="the policy").responses)
    with Ledger(path) as ledger:
        sources = ledger.sources()
        responses = [
            response
            for source in sources
            for response in ledger.responses_of(source)
            if response.model_id == model.id and not response.turns
        ]
    if not responses:
        raise InputError(
            f"{path} holds no response of {model.name} (its sources: {', '.join(sources) or 'none'}): sample it with the same"
            " weights and template, or give a file of prompts and responses"
        )
    return _by_prompt(responses)


def _by_prompt(responses: Sequence[Response]) -> dict[str, tuple[str, ...]]:
    answers: dict[str, tuple[str, ...]] = {}
    for response in responses:
        known = answers.get(response.prompt_id, ())
        if len(known) < MOST and response.text not in known:
            answers[response.prompt_id] = (*known, response.text)
    return answers
