"""Greedy answers of a model in memory to prompts, and whether each refuses: of a pilot, and of a model in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from backfire.records import Decoding, Prompt, Request, Response

if TYPE_CHECKING:
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel

BATCH = 64
"""Prompts that are answered at a time, at most."""


class Answer(NamedTuple):
    """What became of one prompt."""

    refused: bool | None
    """None where the judge cannot say."""
    tokens: int | None
    """Of the response."""
    cut: bool
    """Whether it reached the limit."""


def greedy_answers(
    model: LocalModel, prompts: Sequence[Prompt], judge: Judge, max_new_tokens: int
) -> list[Answer]:
    """One answer to each prompt, in their order, in batches of a size that fits."""
    from backfire.judges import decide, for_policy

    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=0.0)
    judge = for_policy(judge, model)
    longest = max(model.prompt_lengths(prompts), default=1)
    size = min(BATCH, model.rows_at_once(longest, longest + max_new_tokens))
    answers: list[Answer] = []
    for start in range(0, len(prompts), size):
        requests = [
            Request(p, model.id, model.template_digest, decoding, 0, 0) for p in prompts[start : start + size]
        ]
        for request, reply in zip(requests, model.generate(requests), strict=True):
            response = Response(
                request.id,
                request.prompt.id,
                model.id,
                model.name,
                reply.text,
                reply.stop_reason,
                reply.tokens,
                decoding,
            )
            refused = decide(judge, request.prompt, response).refuses
            answers.append(Answer(refused, reply.tokens, reply.stop_reason == "length"))
    return answers
