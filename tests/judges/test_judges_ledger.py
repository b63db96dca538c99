"""Judging stored responses: in order, once each, resumable, and never with a stale verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from backfire.errors import InputError
from backfire.judges import Judge, PhraseJudge, judge_responses, reasons
from backfire.judges.judge import BATCH
from backfire.records import Prompt, Response, Verdict, given_response
from backfire.store import Ledger


class Counting:
    """The phrase judge, counting its work, and failing where asked."""

    name = "phrases"

    def __init__(self, fail_at: int = -1, id: str = "one") -> None:
        self.calls, self.fail_at, self.id, self.inner = 0, fail_at, id, PhraseJudge()

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        self.calls += 1
        return self.inner.judge(prompt, response)


def stored(ledger: Ledger, n: int) -> tuple[dict[str, Prompt], list[Response]]:
    prompts = [Prompt.of(f"question {i}", kind="harmful") for i in range(n)]
    texts = ["I cannot.", "Take it.", " "]
    responses = [given_response(p, "someone", texts[i % 3]) for i, p in enumerate(prompts)]
    ledger.put_prompts(prompts)
    ledger.put_responses(responses)
    return {p.id: p for p in prompts}, responses


def test_verdicts_come_in_order_and_only_once(ledger: Ledger) -> None:
    prompts, responses = stored(ledger, 9)
    judge = Counting()
    seen: list[tuple[int, int]] = []
    asked = [*responses, responses[1]]
    verdicts = judge_responses(judge, prompts, asked, ledger, progress=lambda *p: seen.append(p))
    assert [v.response_id for v in verdicts] == [r.id for r in asked]
    assert [v.harmful for v in verdicts[:3]] == [False, True, None]
    assert reasons(verdicts) == {"blank response": 3}
    assert seen[-1] == (9, 9)
    assert judge.calls == 9
    again = Counting()
    assert judge_responses(again, prompts, responses[::-1], ledger) == verdicts[8::-1]
    assert again.calls == 0


def test_an_interrupted_run_goes_on_where_it_was(ledger: Ledger) -> None:
    prompts, responses = stored(ledger, BATCH + 50)
    with pytest.raises(KeyboardInterrupt):
        judge_responses(Counting(fail_at=BATCH + 10), prompts, responses, ledger)
    rest = Counting()
    verdicts = judge_responses(rest, prompts, responses, ledger)
    assert rest.calls == 50
    assert [v.response_id for v in verdicts] == [r.id for r in responses]


def test_another_judge_and_another_label_are_judged_anew(ledger: Ledger) -> None:
    prompts, responses = stored(ledger, 3)
    judge_responses(Counting(), prompts, responses, ledger)
    other = Counting(id="two")
    judge_responses(other, prompts, responses, ledger)
    assert other.calls == 3
    relabelled = {i: Prompt(p.messages, "benign") for i, p in prompts.items()}
    verdicts = judge_responses(Counting(), relabelled, responses, ledger)
    assert [v.harmful for v in verdicts] == [False, False, None]


def test_foreign_responses_are_named(ledger: Ledger) -> None:
    prompts, responses = stored(ledger, 3)
    del prompts[responses[1].prompt_id]
    with pytest.raises(InputError, match=f"1 of 3 .*{responses[1].prompt_id}"):
        judge_responses(PhraseJudge(), prompts, responses, ledger)


def test_unscored_without_a_reason_is_refused(ledger: Ledger) -> None:
    class Silent(Counting):
        def judge(self, prompt: Prompt, response: Response) -> Verdict:
            return Verdict(response.id, self.name, self.id, None)

    prompts, responses = stored(ledger, 1)
    judge: Judge = Silent()
    with pytest.raises(ValueError, match="without a reason"):
        judge_responses(judge, prompts, responses, ledger)


class Together(Counting):
    """Reads four at a time."""

    batch = 4

    def __init__(self, fail_at: int = -1) -> None:
        super().__init__(fail_at)
        self.sizes: list[int] = []

    def judge_many(self, cases: Sequence[tuple[Prompt, Response]]) -> list[Verdict]:
        self.sizes.append(len(cases))
        return [replace(self.judge(*case), score=0.5) for case in cases]


def test_a_judge_that_reads_several_gets_its_batches_and_loses_one_at_most(ledger: Ledger) -> None:
    prompts, responses = stored(ledger, 10)
    broken = Together(fail_at=5)
    with pytest.raises(KeyboardInterrupt):
        judge_responses(broken, prompts, responses, ledger)
    judge = Together()
    verdicts = judge_responses(judge, prompts, responses, ledger)
    assert judge.sizes == [4, 2]
    assert [v.response_id for v in verdicts] == [r.id for r in responses]
    assert {v.score for v in verdicts} == {0.5}


def test_a_judge_that_gives_too_few_verdicts_is_a_fault(ledger: Ledger) -> None:
    class Lazy(Together):
        def judge_many(self, cases: Sequence[tuple[Prompt, Response]]) -> list[Verdict]:
            return super().judge_many(cases[:-1])

    prompts, responses = stored(ledger, 3)
    with pytest.raises(ValueError, match="gave 2 verdicts on 3 responses"):
        judge_responses(Lazy(), prompts, responses, ledger)
