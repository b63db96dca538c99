"""Reading a rules file, and the JSON schema that editors check one by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.releasing.settings import ReleaseRules
from backfire.settings import STUDY, inputs_of
from backfire.settings.yaml_files import read_yaml

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def read_rules(path: str | Path) -> ReleaseRules:
    """Read a rules file (YAML). Paths in it are taken from the current folder.

    Raises InputError that names every wrong value by its path in the file, with the fix.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"there is no rules file {path}: name a YAML file with `attacks`, `general` and `rules` "
            "(docs/guides/release.md shows one)"
        )
    value = read_yaml(path, "rules file")
    if not isinstance(value, dict):
        raise InputError(f"{path} holds {type(value).__name__}, not settings: begin with `rules:`")
    return parse_rules(value, origin=str(path))


def parse_rules(value: Mapping[str, Any], *, origin: str = "the rules") -> ReleaseRules:
    """Check the values of a rules file."""
    try:
        rules = ReleaseRules.parse(value, STUDY)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
    for one in inputs_of(rules):
        if not isinstance(one.value, (str, Path)):
            raise InputError(f"{origin}: {one.name} = {one.value!r:.80}: name it by a text")
    return rules


def rules_schema() -> dict[str, Any]:
    """The JSON schema of a rules file, draft 2020-12, with every field's docstring as its description."""
    schema = ReleaseRules.model_json_schema()
    return {
        "$schema": DIALECT,
        "title": "The rules of a release check of backfire",
        **{k: schema[k] for k in schema if k != "title"},
    }
