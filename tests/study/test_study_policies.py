"""One load of a cell's policy for its attacks and its tasks."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest
from tiny_study import MEMBER, tiny_settings

import backfire.models
from backfire.study import parse_study, run_study
from backfire.study.policies import close_policy, open_policy


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The references that `open_model` is given from now on."""
    seen: list[str] = []
    really = backfire.models.open_model

    def noting(reference: Any, **options: Any) -> Any:
        seen.append(str(reference))
        return really(reference, **options)

    monkeypatch.setattr(backfire.models, "open_model", noting)
    close_policy()
    return seen


def test_a_policy_is_kept_until_another_is_wanted(
    opened: list[str], tiny_llama: Path, tiny_qwen2: Path
) -> None:
    first = open_policy(str(tiny_llama), "a")
    assert open_policy(str(tiny_llama), "a") is first
    gone = weakref.ref(first)
    del first
    second = open_policy(str(tiny_qwen2), "b")
    assert gone() is None
    assert second.name == str(tiny_qwen2)
    assert open_policy(str(tiny_qwen2), "other weights in the same place") is not second
    assert opened == [str(tiny_llama), str(tiny_qwen2), str(tiny_qwen2)]
    gone = weakref.ref(second)
    del second
    close_policy()
    assert gone() is None


def test_a_study_opens_each_policy_once(miniature_world: Path, opened: list[str], tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, recipes=["self+rm"], general={"tasks": "organism", "limit": 2})
    finished = run_study(parse_study(settings), tmp_path / "run", say=lambda _: None)
    assert not finished.failed
    policies = [name for name in opened if name.endswith("policy")]
    assert len(policies) == 1
    # Once to draw its responses, once to test it.
    assert opened.count(f"{MEMBER}llama/target") == 2
