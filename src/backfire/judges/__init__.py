"""The only place that decides *unsafe*. Unscored is not safe: it carries a reason."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.judges.agreeing import agreement
    from backfire.judges.deciding import Decisions, decisions, refusals
    from backfire.judges.decision import Decision, decide, decision_of
    from backfire.judges.declared import for_policy
    from backfire.judges.exact import ExactJudge
    from backfire.judges.files import (
        Correction,
        JudgedFile,
        Validation,
        correct_rate,
        judge_file,
        validate_judges,
    )
    from backfire.judges.identity import judge_digest
    from backfire.judges.judge import BatchJudge, Judge, harm_of, is_lost, judge_responses, reasons
    from backfire.judges.judge_training import train_judge
    from backfire.judges.labelled import Labelled, read_labelled, read_responses
    from backfire.judges.matchers import MatcherJudge, matcher, published
    from backfire.judges.opening import judge_form, open_judge, open_judges
    from backfire.judges.phrases import REFUSAL_PHRASES, PhraseJudge, is_refusal
    from backfire.judges.settings import (
        CorrectSettings,
        JudgeFileSettings,
        TrainJudgeSettings,
        ValidateSettings,
        What,
    )
    from backfire.judges.trained import TrainedJudge, read_judge, shipped_refusals
    from backfire.judges.validating import finding, offline_judges, rows_with_verdicts, validate, verdicts_on
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "agreeing": ("agreement",),
            "deciding": ("Decisions", "decisions", "refusals"),
            "decision": ("Decision", "decide", "decision_of"),
            "declared": ("for_policy",),
            "exact": ("ExactJudge",),
            "files": (
                "Correction",
                "JudgedFile",
                "Validation",
                "correct_rate",
                "judge_file",
                "validate_judges",
            ),
            "identity": ("judge_digest",),
            "judge_training": ("train_judge",),
            "judge": ("BatchJudge", "Judge", "harm_of", "is_lost", "judge_responses", "reasons"),
            "labelled": ("Labelled", "read_labelled", "read_responses"),
            "matchers": ("MatcherJudge", "matcher", "published"),
            "opening": ("judge_form", "open_judge", "open_judges"),
            "phrases": ("REFUSAL_PHRASES", "PhraseJudge", "is_refusal"),
            "settings": (
                "CorrectSettings",
                "JudgeFileSettings",
                "TrainJudgeSettings",
                "ValidateSettings",
                "What",
            ),
            "trained": ("TrainedJudge", "read_judge", "shipped_refusals"),
            "validating": ("finding", "offline_judges", "rows_with_verdicts", "validate", "verdicts_on"),
        },
    )

__all__ = [
    "REFUSAL_PHRASES",
    "BatchJudge",
    "CorrectSettings",
    "Correction",
    "Decision",
    "Decisions",
    "ExactJudge",
    "Judge",
    "JudgeFileSettings",
    "JudgedFile",
    "Labelled",
    "MatcherJudge",
    "PhraseJudge",
    "TrainJudgeSettings",
    "TrainedJudge",
    "ValidateSettings",
    "Validation",
    "What",
    "agreement",
    "correct_rate",
    "decide",
    "decision_of",
    "decisions",
    "finding",
    "for_policy",
    "harm_of",
    "is_lost",
    "is_refusal",
    "judge_digest",
    "judge_file",
    "judge_form",
    "judge_responses",
    "matcher",
    "offline_judges",
    "open_judge",
    "open_judges",
    "published",
    "read_judge",
    "read_labelled",
    "read_responses",
    "reasons",
    "refusals",
    "rows_with_verdicts",
    "shipped_refusals",
    "train_judge",
    "validate",
    "validate_judges",
    "verdicts_on",
]
