"""What an audit can be told: its checks are one for Python, the command line and study files."""

from __future__ import annotations

from typing import Any

import pytest

from backfire.auditing.settings import AuditSettings
from backfire.errors import InputError
from backfire.influence.settings import PilotSettings
from backfire.settings import COMMAND_LINE, nested

ASKED: dict[str, Any] = {"policy": "organism:llama/target", "probe_prompts": "organism:prompts/probe"}


def test_keywords_reach_the_nested_parts() -> None:
    settings = AuditSettings.of(None, split="train", columns="prompt=q,chosen=a,rejected=b", device="cpu")
    assert (settings.reading.split, settings.opening.device) == ("train", "cpu")
    assert settings.reading.columns == {"prompt": "q", "chosen": "a", "rejected": "b"}
    assert AuditSettings.of(settings, split="test").reading.columns == settings.reading.columns


def test_a_number_is_a_pilot_of_so_many_steps() -> None:
    assert AuditSettings(**ASKED, pilot=4).pilot == PilotSettings(steps=4)
    assert AuditSettings(**ASKED, pilot=0).pilot is None
    assert AuditSettings.of(None, **ASKED, steps=3, lr=1e-4).pilot == PilotSettings(steps=3, lr=1e-4)
    with pytest.raises(InputError, match="lr is of the pilot: say how many steps it takes by steps"):
        AuditSettings.of(None, **ASKED, lr=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"probe_prompts": "x"}, "name it by --policy"),
        ({"policy": "x", "steps": 4}, "a pilot of --pilot 4 is seen on probes: give --probe-prompts"),
        ({"policy": "x", "parameters": "lora"}, "--parameters 'lora' is of the prediction"),
        ({"chat_template": "x.jinja"}, "--chat-template and --adapter belong to a model"),
        ({"judge": "rubric:x"}, "--judge rubric:x: choose phrases"),
        ({"controls": 100}, "--controls 100: give at least 199"),
        ({"max_pairs": 5}, "--max-pairs 5: give at least 30"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        AuditSettings.parse(nested(AuditSettings, given), COMMAND_LINE)
    assert message in str(error.value)


def test_none_and_nought_mean_what_they_did() -> None:
    assert AuditSettings(max_length=0).max_length is None
    assert AuditSettings(judge=None, probe_prompts=None) == AuditSettings()
    assert AuditSettings(policy="x", probe_prompts="a.jsonl").probe_prompts == ("a.jsonl",)
