"""Scoring stored responses with a reward model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backfire.errors import InputError
from backfire.models import RewardModel
from backfire.records import Prompt, Response, Score
from backfire.responses.settings import ScoreSettings
from backfire.store import Ledger


def score(
    reward_model: RewardModel,
    prompts_by_id: Mapping[str, Prompt],
    responses: Sequence[Response],
    settings: ScoreSettings | None = None,
    *,
    ledger: Ledger,
    progress: Callable[[int, int], None] | None = None,
    **keywords: Any,
) -> dict[str, float]:
    """Score responses and store each score once: response id -> score, in the order given.

    Parts of eight batches are cut from the full list by length and committed as they end; a part that the ledger
    has whole is not scored again, another is, and a response keeps its first score. An interrupted run thus
    ends as an undisturbed one. Keywords are fields of `ScoreSettings`, such as `batch_size`; its `opening` is for whoever
    opens the model. Raises InputError for a response whose prompt is not there.
    """
    batch_size = ScoreSettings.of(settings, **keywords).batch_size
    unique = {r.id: r for r in responses}
    if lost := [r.prompt_id for r in unique.values() if r.prompt_id not in prompts_by_id]:
        raise InputError(
            f"{len(lost)} responses answer prompts that were not given, such as {lost[0]}: give all their prompts"
        )
    ordered = sorted(
        unique.values(), key=lambda r: (-len(prompts_by_id[r.prompt_id].text) - len(r.text), r.id)
    )
    known = ledger.scores(reward_model.id, list(unique))
    part_size = 8 * batch_size
    for start in range(0, len(ordered), part_size):
        part = ordered[start : start + part_size]
        if any(r.id not in known for r in part):
            values = reward_model.score(
                [(prompts_by_id[r.prompt_id], r.text) for r in part], batch_size=batch_size
            )
            ledger.put_scores(
                Score(r.id, reward_model.id, value) for r, value in zip(part, values, strict=True)
            )
        if progress is not None:
            progress(min(start + part_size, len(ordered)), len(ordered))
    stored = ledger.scores(reward_model.id, list(unique))
    return {id: stored[id] for id in unique}


def score_stored(
    reward_model: RewardModel,
    responses: Sequence[Response],
    settings: ScoreSettings | None = None,
    *,
    ledger: Ledger,
    progress: Callable[[int, int], None] | None = None,
    **keywords: Any,
) -> dict[str, float]:
    """`score` for responses whose prompts the ledger holds, too."""
    prompts = ledger.prompts(sorted({r.prompt_id for r in responses}))
    return score(reward_model, prompts, responses, settings, ledger=ledger, progress=progress, **keywords)
