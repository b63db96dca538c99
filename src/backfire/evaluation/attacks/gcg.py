"""GCG: a suffix found by the model's own gradients, through the library nanogcg (the extra `gcg`)."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from typing import Any

from backfire.errors import InputError, ModelError
from backfire.evaluation.attacks.asking import Answers, Asking, Model, Requests, tagged
from backfire.evaluation.attacks.framings import OPENING
from backfire.evaluation.attacks.prefill import Continuing, Prefill, apart
from backfire.evaluation.attacks.wrappers import with_last_turn
from backfire.models import EndpointModel, Generation, LocalModel
from backfire.models.memory import Shape, rows_with_logits
from backfire.records import Decoding, Prompt, Request, digest

START = " ".join("x" * 20)
PLACE = "{optim_str}"
"""Where nanogcg puts the suffix."""
MOST_TOKENS = 64
"""Tokens that a suffix is given room for."""


@dataclass(frozen=True)
class GCG:
    """The request and a suffix under which `target` is likely (Zou et al. 2023, arXiv 2307.15043), one for each request.

    `steps` times, `width` replacements of one token are tried, each among the `topk` best by the gradient. The target is the
    data set's own where the request has one and `own_targets` holds. Suffixes are stored one by one, so that an
    interrupted search goes on with the next request. A request for which the search finds none has no response. Costs
    `steps` * `width` forward passes a request; as many candidates go through at once as fit the memory.
    """

    name: str = "gcg"
    steps: int = 250
    width: int = 512
    topk: int = 256
    start: str = START
    target: str = OPENING
    own_targets: bool = True
    source: str = field(default="Zou et al. 2023, arXiv 2307.15043", init=False)

    @property
    def parameters(self) -> Mapping[str, Any]:
        names = ("steps", "width", "topk", "start", "target", "own_targets")
        return {**{name: getattr(self, name) for name in names}, "library": library_version()}

    def unfit(self, model: Model) -> str:
        if isinstance(model, EndpointModel):
            return "an OpenAI-compatible endpoint gives no gradients"
        return ""

    def ask(self, asking: Asking, requests: Requests) -> Answers:
        assert isinstance(asking.model, LocalModel)
        aimed = Prefill(self.name, self.target, self.own_targets)
        sought = {name: asking.seen(aimed.put(request)) for name, request in requests.items()}
        failed = {
            name: f"it holds {PLACE}, which marks the suffix's place for the search"
            for name, prompt in sought.items()
            if any(PLACE in turn.content for turn in prompt.messages)
        }
        searching = Searching(asking.model, self)
        put = {}
        for done, (name, request) in enumerate(requests.items(), 1):
            if name not in failed:
                try:
                    suffix = self._suffix(asking, searching, sought[name])
                except NoSuffixError as error:
                    failed[name] = f"no suffix: {error}"
                else:
                    put[name] = tagged(with_last_turn(request, f"{request.text} {suffix}"), self, request)
            if asking.progress is not None:
                asking.progress(done, len(requests))
        answers = asking.answer(put)
        return Answers(answers.put, answers.responses, {**answers.failed, **failed})

    def _suffix(self, asking: Asking, searching: Searching, sought: Prompt) -> str:
        sampled = replace(asking, progress=None).sample(
            [sought], model=searching, decoding=Decoding(MOST_TOKENS, temperature=0.0)
        )
        if sampled.failures:
            raise NoSuffixError(sampled.failures[0].reason)
        return sampled.responses[0].text


class NoSuffixError(ModelError):
    """A search that ended without a suffix; other requests may have one."""


class Searching(Continuing):
    """Answers a prompt, whose last turn is the target, with the suffix that was found for it."""

    def __init__(self, model: LocalModel, gcg: GCG) -> None:
        super().__init__(model)
        self.gcg = gcg
        self.name = f"{model.name} (gcg)"
        self.id = digest("gcg", model.id, dict(gcg.parameters))

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        return [Generation(self._suffix(request), "eos", None) for request in requests]

    def _suffix(self, request: Request) -> str:
        import torch

        prompt, target = apart(request.prompt)
        turns = prompt.as_messages()
        turns[-1] = {**turns[-1], "content": f"{turns[-1]['content']} {PLACE}"}
        nanogcg = _library()
        logging.getLogger("nanogcg").setLevel(logging.ERROR)
        settings = nanogcg.GCGConfig(
            num_steps=self.gcg.steps,
            search_width=self.gcg.width,
            batch_size=self._candidates_at_once(prompt, self.template.answer_lead + target),
            topk=min(self.gcg.topk, self.model.get_input_embeddings().num_embeddings),
            optim_str_init=self.gcg.start,
            early_stop=True,
            # Its cache takes the tuples of older transformers; the caches of today are changed by every pass.
            use_prefix_cache=False,
            verbosity="ERROR",
        )
        cuda = range(torch.cuda.device_count()) if self.device.type == "cuda" else ()
        with torch.random.fork_rng(devices=cuda), redirect_stderr(io.StringIO()):
            torch.manual_seed(int(request.id[:15], 16))
            try:
                result = nanogcg.run(
                    self.model, self.tokenizer, turns, self.template.answer_lead + target, settings
                )
            except torch.OutOfMemoryError as error:
                raise ModelError(f"{self.name} ran out of memory: give a smaller `width`") from error
            except RuntimeError as error:
                reason = str(error).partition(". ")[0]
                raise NoSuffixError(
                    f"the search found none ({reason}): another `start` or a larger `width` may do"
                ) from error
        return str(result.best_string)

    def _candidates_at_once(self, prompt: Prompt, target: str) -> int:
        """Candidates whose losses are computed in one pass; nanogcg keeps the embeddings of all of them, and a copy."""
        ids, _ = self.template.opened_ids([(prompt, target)])[0]
        start: list[int] = self.tokenizer(self.gcg.start, add_special_tokens=False)["input_ids"]
        tokens = len(ids) + len(start)
        shape = Shape.of(self.model)
        embedded = 2 * self.gcg.width * tokens * shape.hidden * shape.itemsize
        return min(self.gcg.width, rows_with_logits(self.model, tokens, embedded))


def _library() -> Any:
    try:
        import nanogcg
    except ImportError as error:
        raise InputError("the attack gcg needs nanogcg: pip install 'backfire[gcg]'") from error
    return nanogcg


def library_version() -> str:
    """Which nanogcg searches; raises InputError where there is none."""
    from importlib.metadata import version

    _library()
    return f"nanogcg {version('nanogcg')}"
