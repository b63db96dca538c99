"""Policies and recipes beside one another: what each difference is a claim about, its interval and its test."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.comparing.audits import compare_audits
    from backfire.comparing.differences import adjust, compare_checkpoints, compare_recipes, compare_wrappers
    from backfire.comparing.runs import compare
    from backfire.comparing.settings import CompareSettings
    from backfire.comparing.studies import StudyComparison, compare_studies
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "audits": ("compare_audits",),
            "differences": (
                "adjust",
                "compare_checkpoints",
                "compare_recipes",
                "compare_wrappers",
            ),
            "runs": ("compare",),
            "settings": ("CompareSettings",),
            "studies": ("StudyComparison", "compare_studies"),
        },
    )

__all__ = [
    "CompareSettings",
    "StudyComparison",
    "adjust",
    "compare",
    "compare_audits",
    "compare_checkpoints",
    "compare_recipes",
    "compare_studies",
    "compare_wrappers",
]
