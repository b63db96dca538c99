"""Stored responses and scores to re-pair from."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.records import Response
from backfire.repairing.given import GivenPairs

if TYPE_CHECKING:
    from backfire.store import Ledger


def pool_of(
    given: GivenPairs, pool: str | Path | None, reward_model: Any
) -> tuple[dict[str, list[Response]], dict[str, float]]:
    """Stored responses by prompt, and scores by response id: the reward model's, else those that the pairs carry."""
    prompts = {p.prompt.id: p.prompt for p in given.pairs}
    stored: dict[str, list[Response]] = {prompt_id: [] for prompt_id in prompts}
    scores: dict[str, float] = {}
    for pair in given.pairs:
        for response, value in ((pair.chosen, pair.chosen_score), (pair.rejected, pair.rejected_score)):
            stored[pair.prompt.id].append(response)
            if value is not None:
                scores[response.id] = value
    with ExitStack() as stack:
        if pool is not None:
            if not Path(pool).is_file():
                raise InputError(f"there is no ledger {pool}: name the file that `backfire sample` filled")
            ledger = stack.enter_context(open_ledger(pool))
            for source in ledger.sources():
                for response in ledger.responses_of(source, list(prompts)):
                    stored[response.prompt_id].append(response)
        elif reward_model is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            ledger = stack.enter_context(open_ledger(Path(folder) / "ledger.db"))
        else:
            return stored, scores
        every = [r for some in stored.values() for r in some]
        if reward_model is not None:
            from backfire.responses import score

            return stored, score(opened_reward_model(reward_model), prompts, every, ledger=ledger)
        scorers = ledger.scorers()
        if len(scorers) > 1:
            raise InputError(f"{pool} holds scores of several reward models: name the one to rank by")
        if scorers:
            scores = ledger.scores(scorers[0], [r.id for r in every])
    return stored, scores


def opened_reward_model(reward_model: Any) -> Any:
    """The reward model itself, opened where its reference was given; None stays None."""
    if not isinstance(reward_model, str):
        return reward_model
    from backfire.models import open_reward_model

    return open_reward_model(reward_model)


def open_ledger(path: str | Path) -> Ledger:
    """The ledger at this path."""
    from backfire.store import Ledger

    return Ledger(Path(path))
