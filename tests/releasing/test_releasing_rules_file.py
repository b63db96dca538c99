"""Rules files: what is wrong in one is named by its path, with the value and the fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.releasing.rules_file import parse_rules, read_rules, rules_schema

ASKED = {"harmful": {"asks": "asks.csv"}, "benign": {"allowed": "allowed.csv"}}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"metric": "asrr", "at_most": 3}, r"rules.0.metric = 'asrr': choose .*did you mean asr\?"),
        ({"metric": "asr"}, "a rule about asr has no limit: give one of at_most, above_base_at_most"),
        ({"metric": "asr", "at_most": 3, "above_base_at_most": 1}, "has 2 limits"),
        ({"metric": "asr", "at_least": 3}, "is no limit of asr, of which less is better"),
        ({"metric": "general", "at_most": 3}, "is no limit of general, of which more is better"),
        ({"metric": "asr", "at_most": 0}, "at_most 0 cannot be decided by any number of cases"),
        ({"metric": "over_refusal", "at_most": 100}, "at_most 100 cannot be decided"),
        ({"metric": "asr", "above_base_at_most": 100}, "give a number above -100 and below 100"),
        ({"metric": "general", "of_base_at_least": 0}, "of_base_at_least 0 cannot be decided"),
        ({"metric": "asr", "at_most": 3, "confidence": 100}, "rules.0.confidence = 100.*below 100"),
        ({"metric": "asr", "at_most": 3, "sett": "asks"}, r"there is no rules.0.sett: did you mean set\?"),
        ({"metric": "asr", "at_most": 3, "set": "ask"}, "rules.0.set = 'ask': attacks.harmful has no set"),
        ({"metric": "asr", "at_most": 3, "task": "arc"}, "is measured on prompts"),
        ({"metric": "general", "at_least": 3}, "about general tasks, and none are named"),
    ],
)
def test_a_wrong_rule_is_named(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_rules({"attacks": ASKED, "rules": [rule]})


def test_a_metric_needs_prompts() -> None:
    with pytest.raises(InputError, match=r"there are no prompts for it: give attacks\.benign"):
        parse_rules(
            {"attacks": {"harmful": {"a": "a.csv"}}, "rules": [{"metric": "over_refusal", "at_most": 5}]}
        )
    with pytest.raises(InputError, match="rules"):
        parse_rules({"attacks": ASKED, "rules": []})
    with pytest.raises(InputError, match="there is no atacks: did you mean attacks"):
        parse_rules({"atacks": ASKED, "rules": [{"metric": "asr", "at_most": 5}]})


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    with pytest.raises(InputError, match="there is no rules file"):
        read_rules(file)
    file.write_text("rules: [")
    with pytest.raises(InputError, match="is not YAML"):
        read_rules(file)
    file.write_text("- rules")
    with pytest.raises(InputError, match="holds list, not settings"):
        read_rules(file)
    file.write_text("attacks: {harmful: {a: a.csv}}\nrules:\n- {metric: asr, above_base_at_most: 3}\n")
    (rule,) = read_rules(file).rules
    assert (rule.kind, rule.limit, rule.confidence) == ("above_base_at_most", 3, 95)


def test_the_schema_describes_every_field() -> None:
    schema = rules_schema()
    json.dumps(schema)
    rule = schema["$defs"]["Rule"]["properties"]
    assert rule["metric"]["enum"] == ["asr", "over_refusal", "general"]
    assert all(field.get("description") for field in rule.values())
    assert schema["additionalProperties"] is False
