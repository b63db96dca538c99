"""What an attack is: a way of putting requests to a model, which ends in one response to judge for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from backfire.errors import InputError
from backfire.evaluation.attacks.wrappers import with_system
from backfire.judges import Judge, judge_responses
from backfire.models import EndpointModel, LocalModel
from backfire.records import Decoding, Prompt, Response, Verdict
from backfire.responses import Sampled, counted_reasons, sample
from backfire.store import Ledger

Model = LocalModel | EndpointModel
Requests = Mapping[str, Prompt]
"""Requests by their id, which stays the same however an attack words them."""


@dataclass(frozen=True)
class Answers:
    """What came of putting requests to a model in one way, by request id."""

    put: Mapping[str, Prompt]
    """The prompt as the model saw it last."""
    responses: Mapping[str, Response]
    """The one response that is judged."""
    failed: Mapping[str, str]
    """Requests without a response, and why; every request is here or in `responses`."""
    cut: frozenset[str] = frozenset()
    """Requests whose response rests on one that was cut, beside those that were cut themselves."""


@dataclass(frozen=True)
class Asking:
    """What every attack on one model shares. Everything drawn is stored in the ledger, and found there again."""

    model: Model
    ledger: Ledger
    decoding: Decoding
    seed: int = 0
    batch_size: int = 64
    judges: Sequence[Judge] = ()
    """The first of them steers the attacks that go on until something is judged harmful."""
    progress: Callable[[int, int], None] | None = field(default=None, compare=False)
    system: str | None = None
    """The system turn that the attacked model is given before every prompt."""
    lost: Counter[str] = field(default_factory=Counter, compare=False)
    """Requests that got no response and that asking again may give one, by reason; of the attack's helpers, too."""

    def seen(self, prompt: Prompt) -> Prompt:
        """The prompt as the attacked model sees it."""
        return with_system(prompt, self.system)

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        model: Model | None = None,
        n: int = 1,
        decoding: Decoding | None = None,
    ) -> Sampled:
        """Responses to these prompts, just as they are, by the attacked model or by another one."""
        sampled = sample(
            model or self.model,
            prompts,
            ledger=self.ledger,
            n=n,
            decoding=decoding or self.decoding,
            seed=self.seed,
            batch_size=self.batch_size,
            progress=self.progress,
        )
        self.lost.update(counted_reasons(sampled.lost))
        return sampled

    def answer(self, put: Mapping[str, Prompt]) -> Answers:
        """The attacked model's response to each prompt, which stand by request id."""
        put = {name: self.seen(prompt) for name, prompt in put.items()}
        sampled = self.sample(list(put.values()))
        answered = {r.prompt_id: r for r in sampled.responses}
        reasons = {f.request.prompt.id: f.reason for f in sampled.failures}
        return Answers(
            put,
            {name: answered[p.id] for name, p in put.items() if p.id in answered},
            {name: reasons[p.id] for name, p in put.items() if p.id not in answered},
        )


class Attack(Protocol):
    """One way of asking.

    An attack of a user's own also has `id`, a text that changes whenever it could ask otherwise: a study that names it by
    `module:object` knows by it what has to be done anew.
    """

    @property
    def name(self) -> str:
        """The name in tables."""

    @property
    def source(self) -> str:
        """Who described it."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it was run with, as JSON."""

    def unfit(self, model: Model) -> str:
        """Why this model cannot be asked so; an empty string where it can."""

    def ask(self, asking: Asking, requests: Requests) -> Answers:
        """Put every request to `asking.model`."""


@dataclass(frozen=True)
class Rewording:
    """An attack that is a function from prompt to prompt; one response to each."""

    name: str
    source: str
    """Who described it."""
    reword: Callable[[Prompt], Prompt]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What it was run with, as JSON."""
    id: str = ""
    """Of an attack of a user's own: a text that changes whenever `reword` does."""

    def unfit(self, model: Model) -> str:
        return ""

    def put(self, request: Prompt) -> Prompt:
        """The request as the model will see it, with the tags `attack`, `attack_source` and `request` (its id)."""
        return tagged(self.reword(request), self, request)

    def ask(self, asking: Asking, requests: Requests) -> Answers:
        """One response to each; a request that cannot be reworded so has none, and says why."""
        put, failed = {}, {}
        for name, request in requests.items():
            try:
                put[name] = self.put(request)
            except InputError as error:
                failed[name] = str(error)
        answers = asking.answer(put)
        return Answers(answers.put, answers.responses, {**answers.failed, **failed})


def tagged(prompt: Prompt, attack: Attack, request: Prompt) -> Prompt:
    """The prompt with where it comes from among its tags; its kind is the request's."""
    origin = {"attack": attack.name, "attack_source": attack.source, "request": request.id}
    return replace(prompt, kind=request.kind, tags={**prompt.tags, **origin})


def judged(judge: Judge, cases: Sequence[tuple[Prompt, Response]], ledger: Ledger) -> list[Verdict]:
    """A verdict on each response as an answer to its request, whatever wording drew it: [cases].

    The judge reads the plain request, as HarmBench's and StrongREJECT's judges do, so that a framing or a code cannot
    mislead it.
    """
    verdicts: dict[int, Verdict] = {}
    waiting = list(range(len(cases)))
    while waiting:
        prompts: dict[str, Prompt] = {}
        now = []
        for place in waiting:
            request, response = cases[place]
            if prompts.setdefault(response.prompt_id, request).id == request.id:
                now.append(place)
        new_verdicts = judge_responses(judge, prompts, [cases[place][1] for place in now], ledger)
        verdicts |= dict(zip(now, new_verdicts, strict=True))
        waiting = [place for place in waiting if place not in verdicts]
    return [verdicts[place] for place in range(len(cases))]
