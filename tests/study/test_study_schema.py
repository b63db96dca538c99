"""The JSON schema of study files: every shipped file fits it, and what is documented in the settings is in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from backfire.auditing.settings import AuditSettings
from backfire.repairing.settings import RepairSettings
from backfire.study import example_text, parse_study, study_schema
from backfire.study.repair_sections import (
    AutoSection,
    BalanceSection,
    CleanSection,
    FilterSection,
    MixSection,
    RestyleSection,
    SwitchSection,
)
from backfire.study.sections import TargetSettings
from backfire.training.settings import DPOSettings

ROOT = Path(__file__).parents[2]
FILES = [
    path
    for path in sorted(ROOT.glob("studies/*.yaml"))
    if not path.name.endswith("-recipes.yaml") or path.name == "seven-recipes.yaml"
]
SCHEMA = study_schema()


def faults(text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA, allow_nan=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shipped_studies_fit(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_the_example_and_the_guides_file_fit() -> None:
    assert faults(example_text()) == []
    guide = (ROOT / "docs" / "guides" / "study.md").read_text(encoding="utf-8")
    (shown,) = [block for block in re.findall(r"```yaml\n(.*?)```", guide, re.S) if "targets:" in block]
    assert faults(shown) == []
    parse_study(yaml.safe_load(shown))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [("recipies: [x]\n", "recipies"), ("training: {betta: 0.1}\n", "betta"), ("workers: 0\n", "minimum")],
)
def test_what_is_wrong_does_not_fit(wrong: str, word: str) -> None:
    text = re.sub(rf"(?m)^{wrong.partition(':')[0]}:.*\n", "", example_text()) + wrong
    assert word in " ".join(faults(text))


@pytest.mark.parametrize(
    ("settings", "field"),
    [(DPOSettings, "beta"), (AuditSettings, "folds"), (TargetSettings, "opening")],
)
def test_a_fields_docstring_is_its_description(settings: Any, field: str) -> None:
    described = [
        part["properties"][field].get("description")
        for part in SCHEMA["$defs"].values()
        if field in part.get("properties", {})
    ]
    assert settings.model_fields[field].description in described


def test_what_the_study_knows_is_not_offered() -> None:
    audit = SCHEMA["$defs"]["AuditSection"]["properties"]
    assert not {"policy", "seed", "reading", "opening"} & audit.keys()
    assert {"hidden", "folds", "embedder", "probe_prompts", "pilot"} <= audit.keys()
    assert "seed" not in SCHEMA["$defs"]["TrainingSection"]["properties"]


@pytest.mark.parametrize(
    "section",
    [FilterSection, SwitchSection, BalanceSection, RestyleSection, MixSection, AutoSection, CleanSection],
)
def test_a_repair_in_a_study_has_every_option_of_its_method(section: Any) -> None:
    method = next(one for one in section.__mro__ if one.__module__ == "backfire.repairing.settings")
    offered = SCHEMA["$defs"][section.__name__]["properties"]
    assert set(method.model_fields) - section.known.keys() <= offered.keys()
    assert {"of", "ends", "judge"} <= offered.keys()
    assert not section.known.keys() & offered.keys()
    shared = set(RepairSettings.model_fields) - {"ends", "judge"}
    assert shared == {  # what the study gives
        *(
            "policy",
            "influence",
            "probe_prompts",
            "world",
            "audit",
            "max_length",
            "seed",
            "reading",
            "opening",
        )
    }
