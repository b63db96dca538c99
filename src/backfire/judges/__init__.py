"""The only place that decides *unsafe*. Unscored is not safe: it carries a reason."""

from backfire.judges.exact import ExactJudge
from backfire.judges.judge import Judge, judge_responses, reasons
from backfire.judges.phrases import REFUSAL_PHRASES, PhraseJudge, is_refusal, refusals

__all__ = [
    "REFUSAL_PHRASES",
    "ExactJudge",
    "Judge",
    "PhraseJudge",
    "is_refusal",
    "judge_responses",
    "reasons",
    "refusals",
]
