"""The one sampler: training data and test responses alike are drawn and stored here."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from backfire.errors import EndpointError, RefusedError
from backfire.models import Arrivals, EndpointModel, Generation, LocalModel
from backfire.models.work import Announce, Expected, answered
from backfire.records import Message, Prompt, Request, Response
from backfire.responses.settings import SamplingSettings
from backfire.store import Ledger

Progress = Callable[[int, int], None]
"""Called with the responses settled so far and their number in all."""


GREETING = "Hello."


@dataclass(frozen=True)
class Failure:
    """A request that got no response, and why. It is not stored, so the next run asks again."""

    request: Request
    reason: str
    final: bool = False
    """Whether asking again would end alike: the server refused this request or filtered its reply, or it does not fit."""


REASONS_KEPT = 20


def counted_reasons(failures: Iterable[Failure]) -> dict[str, int]:
    """How many failures have each reason, the most frequent first; beyond twenty, the others together."""
    counts = Counter(failure.reason for failure in failures).most_common()
    shown = dict(counts[:REASONS_KEPT])
    rest = sum(count for _, count in counts[REASONS_KEPT:])
    return {**shown, "other reasons": rest} if rest else shown


@dataclass(frozen=True)
class Sampled:
    """Responses in the order of the prompts (a repeated prompt counts once), n of each, less the failures."""

    responses: list[Response]
    failures: list[Failure]

    @property
    def lost(self) -> list[Failure]:
        """Failures that asking again may fix."""
        return [failure for failure in self.failures if not failure.final]

    @property
    def refused(self) -> list[Failure]:
        """Failures that asking again would repeat."""
        return [failure for failure in self.failures if failure.final]


def sample(
    model: LocalModel | EndpointModel,
    prompts: Sequence[Prompt],
    settings: SamplingSettings | None = None,
    *,
    ledger: Ledger,
    progress: Progress | None = None,
    concurrency: int = 8,
    give_up_after: int = 20,
    refused: Mapping[str, str] | None = None,
    announce: Announce | None = None,
    **keywords: Any,
) -> Sampled:
    """Sample n responses to each prompt and store each once; those that the ledger has are not sampled again.

    Keywords are fields of `SamplingSettings`: n, seed, batch_size, source, and those of the decoding, or `decoding` whole.

    A local model's batches are cut from the full request list by length, into as many as fit (at most batch_size),
    seeded from their request ids and
    committed whole; a batch of which any response is missing is drawn again whole, so that an interrupted run
    ends as an undisturbed one. An endpoint's replies come `concurrency` at a time and are committed one by
    one; failed ones are listed and sampling goes on, until `give_up_after` fail in a row with no reply between,
    which raises EndpointError. Requests that the server refuses (a filter's, too) are not counted so: where the first
    `give_up_after` of them had no reply between, a plain greeting is sent, and only a server that refuses this as well is
    given up. `source` is the name stored with the responses (the model's own by default). An interruption ends at once,
    with what has arrived stored. `refused` holds requests that a run before found to be refused, by their ids, with the
    reasons: they are not sent again. `announce` is called with a sentence that says how long a local model will take and how
    much memory, before it begins; not where that is a few seconds.

    Raises:
        InputError: n, batch size, decoding or seed out of range, or a decoding that the endpoint cannot honour.
        EndpointError: an endpoint was given up; what came before is stored.
    """
    settings = SamplingSettings.of(settings, **keywords)
    n, seed, decoding = settings.n, settings.seed, settings.decoding.decoding()
    unique = list({p.id: p for p in prompts}.values())
    requests = [
        Request(p, model.id, model.template_digest, decoding, seed, index)
        for p in unique
        for index in range(n)
    ]
    ledger.put_prompts(unique)
    writer = settings.source or model.name
    failures: dict[str, Failure] = {}
    if isinstance(model, EndpointModel):
        model.check_decoding(decoding)
        known = refused or {}
        failures |= {r.id: Failure(r, known[r.id], final=True) for r in requests if r.id in known}
        drawing = _ask(model, requests, ledger, writer, failures, concurrency, give_up_after)
    else:
        drawing = _sample_all(
            model, unique, requests, ledger, writer, failures, settings.batch_size, announce
        )
    with closing(drawing):
        for done in drawing:
            if progress is not None:
                progress(done, len(requests))
    answers = ledger.answered([r.id for r in requests])
    if isinstance(model, EndpointModel) and not decoding.greedy:
        _warn_if_greedy(model, list(answers.values()))
    return Sampled(
        [answers[r.id] for r in requests if r.id in answers],
        [failures[r.id] for r in requests if r.id not in answers],
    )


def _response(request: Request, answer: Generation, source: str) -> Response:
    return Response(
        request_id=request.id,
        prompt_id=request.prompt.id,
        model_id=request.model_id,
        source=source,
        text=answer.text,
        stop_reason=answer.stop_reason,
        tokens=answer.tokens,
        decoding=request.decoding,
        seed=request.seed,
        index=request.index,
    )


def _sample_all(
    model: LocalModel,
    prompts: Sequence[Prompt],
    requests: Sequence[Request],
    ledger: Ledger,
    source: str,
    failures: dict[str, Failure],
    batch_size: int,
    announce: Announce | None,
) -> Generator[int]:
    lengths = dict(zip((p.id for p in prompts), model.prompt_lengths(prompts), strict=True))
    fitting = []
    for request in requests:
        length, wanted = lengths[request.prompt.id], request.decoding.max_new_tokens
        if model.context is not None and length + wanted > model.context:
            reason = (
                f"prompt of {length} tokens and max_new_tokens {wanted} exceed the context of {model.context}"
            )
            failures[request.id] = Failure(request, reason, final=True)
        else:
            fitting.append(request)
    fitting.sort(key=lambda r: (-lengths[r.prompt.id], r.prompt.id, r.index))
    done = len(failures)
    if done:
        yield done
    known = ledger.known([r.id for r in fitting])
    missing = [lengths[r.prompt.id] for r in fitting if r.id not in known]
    if missing:
        Expected.of(model, answered(missing, fitting[0].decoding.max_new_tokens)).announce(
            f"sampling {len(missing):,} responses", announce
        )
    start = 0
    while start < len(fitting):
        longest = lengths[fitting[start].prompt.id]
        most = model.rows_at_once(longest, longest + fitting[start].decoding.max_new_tokens)
        batch = fitting[start : start + min(batch_size, most)]
        start += len(batch)
        if any(r.id not in known for r in batch):
            answers = model.generate(batch)
            ledger.put_responses(_response(r, a, source) for r, a in zip(batch, answers, strict=True))
        done += len(batch)
        yield done


def _ask(
    model: EndpointModel,
    requests: Sequence[Request],
    ledger: Ledger,
    source: str,
    failures: dict[str, Failure],
    concurrency: int,
    give_up_after: int,
) -> Generator[int]:
    answered = ledger.known([r.id for r in requests])
    known = answered | failures.keys()
    done, in_a_row, last_reason = len(known), 0, ""
    refused, doubted = 0, not answered
    if done:
        yield done
    arrivals = Arrivals(model, (r for r in requests if r.id not in known), concurrency)
    unstored: list[Response] = []
    try:
        for _, request, outcome in arrivals:
            if isinstance(outcome, Generation):
                unstored.append(_response(request, outcome, source))
                ledger.put_responses(unstored)
                unstored.clear()
                in_a_row, doubted = 0, False
            elif isinstance(outcome, RefusedError):
                failures[request.id] = Failure(request, str(outcome), final=True)
                refused += 1
                if doubted and refused >= give_up_after:
                    _greet(model, request, refused)
                    doubted = False
            else:
                last_reason = str(outcome)
                failures[request.id] = Failure(request, last_reason)
                in_a_row += 1
            done += 1
            yield done
            if in_a_row >= give_up_after:
                raise EndpointError(
                    f"{in_a_row} requests in a row failed, the last one with: {last_reason}; "
                    "what came before is stored: fix the server and run it again"
                )
    finally:
        unstored += [_response(request, reply, source) for request, reply in arrivals.left()]
        if unstored:
            ledger.put_responses(unstored)


def _greet(model: EndpointModel, refused: Request, count: int) -> None:
    """Raise EndpointError where the server refuses even a greeting, put as the refused request was."""
    system = [turn for turn in refused.prompt.messages if turn.role == "system"]
    greeting = Prompt((*system, Message("user", GREETING)))
    try:
        model.generate_one(replace(refused, prompt=greeting))
    except RefusedError as error:
        raise EndpointError(
            f"the first {count} requests and a plain greeting were refused, the greeting with: {error}; "
            "fix the server, the model's name or the options, and run it again"
        ) from error
    except EndpointError:
        pass


def _warn_if_greedy(model: EndpointModel, responses: Sequence[Response]) -> None:
    """Warn where repeated requests always got the same text although the temperature is above 0."""
    texts: dict[str, list[str]] = {}
    for response in responses:
        texts.setdefault(response.prompt_id, []).append(response.text)
    repeated = [t for t in texts.values() if len(t) > 1]
    if len(repeated) >= 3 and all(len(set(t)) == 1 for t in repeated):
        warnings.warn(
            f"{model.name} gave the same text to every repetition of each of {len(repeated)} prompts although the "
            "temperature is above 0: the server decodes greedily or caches (`transformers serve` does unless "
            "the checkpoint's generation_config.json has do_sample true)",
            stacklevel=3,
        )
