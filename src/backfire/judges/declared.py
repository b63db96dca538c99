"""What a policy's own chat template says of thoughts: how it marks them, and whether its generation prompt opens them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backfire.judges.judge import BATCH, BatchJudge, Judge
from backfire.judges.reasoning import OPENS_AT_END, Marks
from backfire.models import EndpointModel, LocalModel
from backfire.models.template_limits import apply_template
from backfire.records import Prompt, Response, Verdict, digest

_THOUGHT, _ANSWER = "quagga-thought", "quagga-answer"
_KEYS = ("reasoning_content", "reasoning", "thinking")
"""Keys of a turn under which templates look for its thoughts."""


def for_policy(judge: Judge, model: LocalModel | EndpointModel) -> Judge:
    """The judge, told how this policy's chat template marks thoughts, for responses that the policy wrote.

    It is the judge itself where the template says nothing that it would not know, and for an endpoint, whose template is not seen.
    """
    marks = declared_marks(model.tokenizer) if isinstance(model, LocalModel) else None
    return judge if marks is None else _SpeltOut(judge, marks, model.id, model.name)


def declared_marks(tokenizer: Any) -> Marks | None:
    """What the tokenizer's chat template declares; None where it declares nothing that `reasoning.said` does not know."""
    import jinja2

    user = {"role": "user", "content": "quagga-question"}
    turn = {"role": "assistant", "content": _ANSWER}
    try:
        question = _rendered(tokenizer, [user], True)
        plain = _rendered(tokenizer, [user, turn], False)
        thought = _rendered(tokenizer, [user, turn | dict.fromkeys(_KEYS, _THOUGHT)], False)
    except jinja2.TemplateError:
        return None
    opening, closing = _around(plain, thought)
    prompted = bool(OPENS_AT_END.search(question)) or (opening != "" and question.rstrip().endswith(opening))
    marks = Marks(opening, closing, prompted)
    return None if marks.known else marks


def _rendered(tokenizer: Any, turns: list[dict[str, str]], generation_prompt: bool) -> str:
    return apply_template(tokenizer, [turns], add_generation_prompt=generation_prompt)[0]


def _around(plain: str, thought: str) -> tuple[str, str]:
    """The marks before and behind the thought, where the template writes it before the answer."""
    before, written, rest = thought.partition(_THOUGHT)
    between, answered, _ = rest.partition(_ANSWER)
    if not written or not answered or not between.strip() or not before.strip():
        return "", ""
    last = re.split(r"\s", before.rstrip())[-1]
    same = 0
    while same < min(len(plain), len(before)) and plain[same] == before[same]:
        same += 1
    return before[same:].strip() or last, between.strip()


@dataclass(frozen=True)
class _SpeltOut:
    """A judge to which a policy's thoughts are spelt out in marks that it knows."""

    inner: Judge
    marks: Marks
    model_id: str
    model_name: str

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def id(self) -> str:
        marks = self.marks
        return digest("told of thoughts", self.inner.id, marks.opening, marks.closing, marks.prompted)

    @property
    def batch(self) -> int:
        return self.inner.batch if isinstance(self.inner, BatchJudge) else BATCH

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        return self.judge_many([(prompt, response)])[0]

    def judge_many(self, cases: Sequence[tuple[Prompt, Response]]) -> list[Verdict]:
        """What `judge` gives for each, in their order."""
        spelt_out = [(prompt, self._spelt_out(response)) for prompt, response in cases]
        if isinstance(self.inner, BatchJudge):
            verdicts = self.inner.judge_many(spelt_out)
        else:
            verdicts = [self.inner.judge(prompt, response) for prompt, response in spelt_out]
        return [
            replace(verdict, response_id=response.id)
            for verdict, (_, response) in zip(verdicts, cases, strict=True)
        ]

    def _spelt_out(self, response: Response) -> Response:
        if response.model_id != self.model_id and response.source != self.model_name:
            return response
        return replace(response, text=self.marks.spelt_out(response.text))
