"""What a judge model answers to a prompt, or why it did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backfire.errors import EndpointError, RefusedError
from backfire.judges.judge import FAILED, REFUSED
from backfire.models import Arrivals, EndpointModel, LocalModel
from backfire.models.batching import length_batches
from backfire.records import Decoding, Prompt, Request

if TYPE_CHECKING:
    from backfire.models import Generation

AT_ONCE = 8
"""Requests that an endpoint is sent at a time, and prompts that go through a local model at a time."""

GIVE_UP_AFTER = 20
"""Failures in a row after which an endpoint is not asked any more."""


@dataclass(frozen=True)
class Reply:
    """What a judge model wrote; `reason` says why there is nothing."""

    text: str
    reason: str = ""
    cut: bool = False
    """Whether it was cut at max_new_tokens."""


@dataclass
class Failures:
    """How requests of one judge fared, over all its batches."""

    in_a_row: int = 0
    """How many failed one after the other; a refusal is no failure of the server's."""
    refused: int = 0
    answered: bool = False

    @property
    def given_up(self) -> bool:
        """Whether it is not asked any more: it failed too often in a row, or refused from the first request on."""
        return self.in_a_row >= GIVE_UP_AFTER or (self.refused >= GIVE_UP_AFTER and not self.answered)


def replies(
    model: LocalModel | EndpointModel,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    failures: Failures | None = None,
) -> list[Reply]:
    """One greedy reply to each prompt, in their order.

    An endpoint that fails after its client's bounded retries, or that failed so often that it is not asked, or that
    refuses or filters, and a prompt that does not fit a local model's context, give a reason. No other model is asked
    instead.
    """
    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=0.0)
    requests = [Request(prompt, model.id, model.template_digest, decoding, 0, 0) for prompt in prompts]
    if isinstance(model, EndpointModel):
        return _from_endpoint(model, requests, failures or Failures())
    lengths = model.prompt_lengths(prompts)
    context = model.context
    most_tokens = None if context is None else context - max_new_tokens
    answers: list[Reply] = [Reply("", f"too long for the judge ({n} tokens of {context})") for n in lengths]
    fitting = [place for place, n in enumerate(lengths) if most_tokens is None or n <= most_tokens]
    for batch in length_batches([lengths[place] for place in fitting], AT_ONCE):
        places = [fitting[i] for i in batch]
        for place, generation in zip(places, model.generate([requests[p] for p in places]), strict=True):
            answers[place] = _reply(generation)
    return answers


def _from_endpoint(model: EndpointModel, requests: Sequence[Request], failures: Failures) -> list[Reply]:
    answers = [
        Reply("", f"{FAILED}: not asked, for {GIVE_UP_AFTER} requests in a row had failed") for _ in requests
    ]
    open_requests = (request for request in requests if not failures.given_up)
    for place, _, outcome in Arrivals(model, open_requests, AT_ONCE):
        if isinstance(outcome, RefusedError):
            failures.refused += 1
            answers[place] = Reply("", f"{REFUSED}: {outcome}")
        elif isinstance(outcome, EndpointError):
            failures.in_a_row += 1
            answers[place] = Reply("", f"{FAILED}: {outcome}")
        else:
            failures.in_a_row, failures.answered = 0, True
            answers[place] = _reply(outcome)
    return answers


def _reply(generation: Generation) -> Reply:
    return Reply(generation.text, "", generation.stop_reason == "length")
