"""Judges asked about responses that people labelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backfire.answers.judge_agreement import Agreement
from backfire.judges.agreeing import agreement
from backfire.judges.decision import decision_of
from backfire.judges.judge import BatchJudge, Judge
from backfire.judges.labelled import Labelled
from backfire.judges.matchers import matcher, published
from backfire.judges.phrases import PhraseJudge
from backfire.judges.settings import What
from backfire.judges.trained import shipped_refusals
from backfire.records import Prompt, Response, Verdict
from backfire.tables import undecodable

BATCH = 256


def offline_judges() -> list[Judge]:
    """Every judge that needs no model and no world: refusal phrases, the published matchers, and `refusals`."""
    return [PhraseJudge(), *(matcher(name) for name in published()), shipped_refusals()]


def verdicts_on(
    judge: Judge,
    cases: Sequence[tuple[Prompt, Response]],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Verdict]:
    """The judge's verdict on each response, in their order; nothing is stored."""
    size = judge.batch if isinstance(judge, BatchJudge) else BATCH
    verdicts: list[Verdict] = []
    for start in range(0, len(cases), size):
        batch = cases[start : start + size]
        if isinstance(judge, BatchJudge):
            verdicts += judge.judge_many(batch)
        else:
            verdicts += [judge.judge(prompt, response) for prompt, response in batch]
        if progress is not None:
            progress(len(verdicts), len(cases))
    return verdicts


def finding(verdict: Verdict, what: What) -> bool | None:
    """What the verdict says of the label's matter; None where it says nothing."""
    return verdict.harmful if what == "harmful" else verdict.refusal


def validate(
    judge: Judge,
    cases: Sequence[Labelled],
    *,
    what: What = "harmful",
    progress: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Compare a judge with people's labels.

    Args:
        what: what the labels say, and so which finding is compared. A judge that has no such finding leaves all unscored.
    """
    verdicts = verdicts_on(judge, [case.case for case in cases], progress=progress)
    return agreement(
        [finding(verdict, what) for verdict in verdicts],
        [case.label for case in cases],
        [case.prompt.id for case in cases],
        judge=judge.name,
    )


def rows_with_verdicts(rows: Sequence[Mapping[str, Any]], verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    """The rows as JSON lines, each with `verdicts`: judge to its decision, harmful, refusal, score and reason.

    A row that holds half a character (a lone surrogate) is written in ASCII, for it has no UTF-8.
    """
    lines = []
    for place, row in enumerate(rows):
        columns = {
            judge: {
                "decision": decision_of(v).what,
                "harmful": v.harmful,
                "refusal": v.refusal,
                "score": v.score,
                "reason": v.reason,
            }
            for judge, v in ((judge, given[place]) for judge, given in verdicts.items())
        }
        whole = {**row, "verdicts": columns}
        line = json.dumps(whole, ensure_ascii=False, default=str)
        lines.append(json.dumps(whole, default=str) if undecodable(line) else line)
    return "".join(f"{line}\n" for line in lines)
