"""The grid: one study file, run and resumed as a whole."""

from backfire.study.plan import StudyFile
from backfire.study.running import Finished, demo_study, example_text, outdated, rewrite_page, run_study
from backfire.study.standing import standing_of
from backfire.study.starting import Material, look_around, release_text, study_text
from backfire.study.study_file import parse_study, read_study, study_schema

__all__ = [
    "Finished",
    "Material",
    "StudyFile",
    "demo_study",
    "example_text",
    "look_around",
    "outdated",
    "parse_study",
    "read_study",
    "release_text",
    "rewrite_page",
    "run_study",
    "standing_of",
    "study_schema",
    "study_text",
]
