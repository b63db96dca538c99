"""The grid: one study file, run and resumed as a whole."""

from backfire.study.plan import StudyFile
from backfire.study.running import Finished, demo_study, example_text, outdated, rewrite_page, run_study
from backfire.study.standing import standing_of
from backfire.study.study_file import parse_study, read_study, study_schema

__all__ = [
    "Finished",
    "StudyFile",
    "demo_study",
    "example_text",
    "outdated",
    "parse_study",
    "read_study",
    "rewrite_page",
    "run_study",
    "standing_of",
    "study_schema",
]
