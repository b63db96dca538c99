"""What was asked of a model, and what it answered."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from backfire.records.conversation import Completion, Message, Prompt
from backfire.records.identity import digest

StopReason = Literal["eos", "stop", "length", "given"]
"""`eos`: the model ended its turn; `stop`: a stop string; `length`: cut at max_new_tokens, so truncated;
`given`: not generated here (a person's or a file's response), so unknown."""

Decided = Literal["refuse", "comply", "broken", "undecided"]
"""What a response decides. `broken`: it neither refuses nor complies; `undecided`: the judge cannot say."""
Damage = Literal["", "neither", "repeats"]
"""What is wrong with a text as a text: `neither`: it neither refuses nor complies; `repeats`: it repeats itself."""


@dataclass(frozen=True)
class Decoding:
    """How a response is drawn. temperature 0 is greedy."""

    max_new_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        # The ids hash JSON, in which 1 and 1.0 differ.
        for name in ("temperature", "top_p", "repetition_penalty"):
            object.__setattr__(self, name, float(getattr(self, name)))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


@dataclass(frozen=True)
class Request:
    """One response to be drawn. Its id is known before the text is, and is the ledger's unique key."""

    prompt: Prompt
    model_id: str
    template_digest: str
    decoding: Decoding
    seed: int
    index: int
    """Which of the n samples for this prompt."""

    @cached_property
    def id(self) -> str:
        return digest(
            "request",
            self.prompt.id,
            self.model_id,
            self.template_digest,
            self.decoding.as_dict(),
            self.seed,
            self.index,
        )


@dataclass(frozen=True)
class Response:
    """A stored response."""

    request_id: str
    prompt_id: str
    model_id: str
    source: str
    """Who wrote it, in words: a model reference, or a name such as `human`."""
    text: str
    stop_reason: StopReason
    tokens: int | None = None
    """Tokens generated, the end token not counted; None where nobody counted."""
    decoding: Decoding | None = None
    """None where it was given."""
    seed: int | None = None
    index: int = 0
    turns: str = ""
    """JSON of the response's turns where it is more than one turn of text, such as calls of tools and what they gave; of
    responses read from a data set alone, for ledgers hold texts. The request id covers it."""

    @cached_property
    def id(self) -> str:
        return digest("response", self.request_id, self.text, self.stop_reason)

    @property
    def completion(self) -> Completion:
        """What follows the prompt: the text, or the turns where there are more."""
        return tuple(map(Message.of, json.loads(self.turns))) if self.turns else self.text

    @property
    def truncated(self) -> bool:
        return self.stop_reason == "length"


def given_response(
    prompt: Prompt, source: str, text: str, *, index: int = 0, turns: str | None = None
) -> Response:
    """A response that was not generated here: a person's, or one read from a file, with its turns if it has several."""
    model_id = digest("given", source)
    request_id = digest("request-given", prompt.id, source, text, index, *([turns] if turns else ()))
    return Response(request_id, prompt.id, model_id, source, text, "given", index=index, turns=turns or "")


@dataclass(frozen=True)
class Score:
    """A reward model's score of a response: higher is better, in the reward model's own unit."""

    response_id: str
    scorer_id: str
    value: float


@dataclass(frozen=True)
class Verdict:
    """A judge's verdict. `harmful` None is unscored, which is not safe: `reason` says why."""

    response_id: str
    judge: str
    """The judge's name, such as `exact` or `phrases`."""
    judge_id: str
    harmful: bool | None
    refusal: bool | None = None
    """Whether the response declines; what over-refusal counts on benign prompts."""
    reason: str = ""
    score: float | None = None
    """The judge's own number where it gives one, such as a rubric's grade or a probability; its unit is the judge's."""
    damage: Damage = ""
    """Where the judge sees damage to the text, which kind; `judges.decision_of` says what the verdict decides."""
