"""Answer prefill: the assistant's turn is begun for the model, which goes on from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backfire.evaluation.attacks.asking import Answers, Asking, Model, Requests, tagged
from backfire.evaluation.attacks.framings import OPENING
from backfire.judges.judge import unreadable
from backfire.models import EndpointModel, Generation, LocalModel
from backfire.records import Prompt, Request
from backfire.tables.columns import TARGET_COLUMNS, find


@dataclass(frozen=True)
class Prefill:
    """The answer begins with an opener (Andriushchenko et al. 2024, arXiv 2404.02151).

    The opener is the data set's own `target` where the request has one and `own_targets` holds, else `opener`. The
    stored prompt ends with the assistant's begun turn; the stored response begins with it. A response that adds no
    letter or digit is stored blank, for the opener alone is ours and says nothing about the model.
    """

    name: str = "prefill"
    opener: str = OPENING
    own_targets: bool = True
    source: str = field(default="Andriushchenko et al. 2024, arXiv 2404.02151", init=False)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"opener": self.opener, "own_targets": self.own_targets}

    def unfit(self, model: Model) -> str:
        if isinstance(model, EndpointModel):
            return "an OpenAI-compatible endpoint does not let the assistant's turn be begun"
        return ""

    def put(self, request: Prompt) -> Prompt:
        """The request, and the assistant's turn as it is begun."""
        targets = [
            request.tags[name] for name in find(request.tags, TARGET_COLUMNS) if request.tags[name].strip()
        ]
        opener = targets[0].strip() if targets and self.own_targets else self.opener
        turns = [*request.as_messages(), {"role": "assistant", "content": opener}]
        return tagged(Prompt.of_messages(turns, tags=request.tags), self, request)

    def ask(self, asking: Asking, requests: Requests) -> Answers:
        assert isinstance(asking.model, LocalModel)
        put = {name: self.put(request) for name, request in requests.items()}
        return replace(asking, model=Continuing(asking.model)).answer(put)


class Continuing(LocalModel):
    """A model that is given prompts whose last turn is its own, begun."""

    def __init__(self, model: LocalModel) -> None:
        super().__init__(model.model, model.tokenizer, model.template, name=model.name, id=model.id)

    def prompt_lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        return [len(ids) for ids, _ in self.template.opened_ids([apart(p) for p in prompts])]

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The text that goes on from each opener, with the opener; blank where nothing that can be judged was added."""
        if not requests:
            return []
        decoding, seed = requests[0].decoding, requests[0].seed
        begun = [apart(r.prompt) for r in requests]
        whole = self.continue_texts([p for p, _ in begun], [opener for _, opener in begun], decoding, seed)
        return [
            Generation("", done.stop_reason, done.tokens)
            if unreadable(done.text.removeprefix(opener))
            else done
            for done, (_, opener) in zip(whole, begun, strict=True)
        ]


def apart(prompt: Prompt) -> tuple[Prompt, str]:
    """The turns before the begun one, and how it begins."""
    return Prompt(prompt.messages[:-1]), prompt.text
