"""Reading a study file, and the JSON schema that editors check one by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.errors import InputError, StudyError
from backfire.settings import STUDY
from backfire.settings.yaml_files import read_yaml
from backfire.study.plan import StudyFile
from backfire.study.references import references_in

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def read_study(path: str | Path) -> StudyFile:
    """Read a study file (YAML). Paths in it are taken from the current folder."""
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"no study file at {path}: `backfire study example > {path}` writes one to start from"
        )
    try:
        value = read_yaml(path, "study file")
    except InputError as error:
        raise StudyError(str(error)) from error
    if not isinstance(value, dict):
        raise StudyError(f"{path} holds {type(value).__name__}, not settings: begin with `name: ...`")
    return parse_study(value, origin=str(path))


def parse_study(value: dict[str, Any], *, origin: str = "study") -> StudyFile:
    """Check settings. StudyError names each wrong one as `section.field`, with its value and the fix."""
    try:
        study = StudyFile.parse(value, STUDY)
    except InputError as error:
        raise StudyError(f"{origin}: {error}") from error
    for one in references_in(study):
        if not isinstance(one.value, (str, Path)):
            raise StudyError(f"{origin}: {one.place} = {one.value!r:.80}: name it by a text")
    return study


def study_schema() -> dict[str, Any]:
    """The JSON schema of a study file, draft 2020-12, with every field's docstring as its description."""
    schema = StudyFile.model_json_schema()
    return {
        "$schema": DIALECT,
        "title": "A study of backfire",
        **{k: schema[k] for k in schema if k != "title"},
    }
