"""Scoring stored responses with a reward model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from backfire.errors import InputError
from backfire.models import RewardModel
from backfire.records import Prompt, Response, Score
from backfire.store import Ledger


def score(
    reward_model: RewardModel,
    prompts_by_id: Mapping[str, Prompt],
    responses: Sequence[Response],
    *,
    ledger: Ledger,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Score responses and store each score once: response id -> score, in the order given.

    Those that the ledger has are not scored again; parts of some batches are committed as they end, so that an
    interrupted run goes on where it was. Raises InputError for a response whose prompt is not there.
    """
    unique = {r.id: r for r in responses}
    if lost := [r.prompt_id for r in unique.values() if r.prompt_id not in prompts_by_id]:
        raise InputError(
            f"{len(lost)} responses answer prompts that were not given, such as {lost[0]}: give all their prompts"
        )
    known = ledger.scores(reward_model.id, list(unique))
    left = [r for r in unique.values() if r.id not in known]
    left.sort(key=lambda r: (-len(prompts_by_id[r.prompt_id].text) - len(r.text), r.id))
    done = len(known)
    if progress is not None and done:
        progress(done, len(unique))
    part_size = 8 * batch_size
    for start in range(0, len(left), part_size):
        part = left[start : start + part_size]
        values = reward_model.score(
            [(prompts_by_id[r.prompt_id], r.text) for r in part], batch_size=batch_size
        )
        ledger.put_scores(Score(r.id, reward_model.id, value) for r, value in zip(part, values, strict=True))
        known.update((r.id, value) for r, value in zip(part, values, strict=True))
        done += len(part)
        if progress is not None:
            progress(done, len(unique))
    return {id: known[id] for id in unique}
