"""`auto` by pilot: real steps of DPO on what each step of the ladder leaves, on a shipped organism."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backfire.errors import InputError
from backfire.influence import ProbeSets
from backfire.models import rendering
from backfire.pairs import Built, Pair, find_recipe, write_pairs
from backfire.records import Prompt, given_response
from backfire.repairing import repair
from influence.hand_probes import pairs, placebo, policy, probe_set

COUNT = 40
PILOT = {"steps": 3, "lr": 1e-4, "batch_size": 16}


def folder(path: Path, recipe: str, found: Sequence[tuple[Prompt, str, str]]) -> Path:
    built = tuple(
        Pair(
            p,
            recipe,
            given_response(p, "one", chosen),
            given_response(p, "other", rejected),
            "chosen-role",
            "rejected-role",
        )
        for p, chosen, rejected in found
    )
    return write_pairs(path, Built(find_recipe(recipe), built, {}, {}, ()))


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    harmful = pairs(COUNT, chosen="comply", rejected="refuse")
    return {
        "dataset": folder(tmp_path / "harmful", "gpt4o+self", harmful),
        "self_pairs": folder(tmp_path / "own", "self+rm", pairs(COUNT)),
        "influence": np.full(COUNT, -1.0),
        "policy": policy(),
        "probe_prompts": ProbeSets(probe_set(20), None, placebo(20)),
        "pilot": PILOT,
        "by": "pilot",
        "audit": False,
    }


def test_pairs_are_replaced_until_the_pilot_moves_the_margin_up(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    before = [p.detach().clone() for p in policy().model.parameters()]
    found = repair(method="auto", out=tmp_path / "auto", **settings)
    assert found.choice is not None
    step = found.choice.prediction
    assert step is not None
    assert 0.1 <= step.share <= 0.9
    assert step.low > 0
    assert found.changed["added"] == round(step.share * COUNT)
    assert all(earlier.low <= 0 for earlier in found.choice.ladder[:-1])
    assert found.choice.ladder[0].mean < -0.1
    assert all((a == b).all() for a, b in zip(before, policy().model.parameters(), strict=True))


def test_what_no_pilot_reaches_is_said_and_nothing_is_written(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="the pilot's change of the refusal margin above 500"):
        repair(method="auto", out=tmp_path / "auto", target=500.0, **settings)
    assert not (tmp_path / "auto").exists()
    with pytest.raises(
        InputError, match=r"by = 'pilot': choose influence or ease.*self_pairs belongs to method"
    ):
        repair(method="filter", keep=0.5, out=tmp_path / "auto", **settings)


def test_influence_and_pilot_render_as_training_would(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, texts = [], []
    whole, raw = rendering._some, rendering.RawText.whole_texts

    def seen(how: Any, ends: Any, items: Any, limit: Any, *more: Any) -> Any:
        if any(prompt.text.startswith("Plain") for prompt, _ in items):
            limits.append(limit)
        return whole(how, ends, items, limit, *more)

    def read(self: Any, conversations: Any) -> Any:
        found = raw(self, conversations)
        texts.extend(text.text for text in found)
        return found

    monkeypatch.setattr(rendering, "_some", seen)
    monkeypatch.setattr(rendering.RawText, "whole_texts", read)
    rows = [{"prompt": f"Plain {n}? ", "chosen": f"so {n}", "rejected": f"no {n}"} for n in range(COUNT)]
    given = settings | {"dataset": rows, "influence": None, "target": -1e9, "self_pairs": None}
    repair(method="auto", out=tmp_path / "auto", plain=True, max_length=77, **given)
    assert set(limits) == {77}
    assert len(limits) >= 2
    assert all(text.startswith("Plain") for text in texts)
    assert len(texts) >= 2 * COUNT
