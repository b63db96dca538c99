"""What a prediction will take is said before it, in time, memory and tokens."""

from __future__ import annotations

import json
from pathlib import Path

import backfire as bf
from backfire.influence.cost import Planned, cost_text, expected_cost
from backfire.influence.settings import PilotSettings, StatesSettings
from influence.hand_probes import pairs, policy, probe_set


def planned(count: int = 20, parameters: str = "none", **more: object) -> Planned:
    given = {"states": StatesSettings(), "pilot": None, **more}
    prompts = [probe.prompt for probe in probe_set(12).probes]
    return Planned.of(pairs(count), 0, prompts, parameters=parameters, **given)  # type: ignore[arg-type]


def expected(what: Planned) -> int:
    return expected_cost(policy(), what, plain=False, max_length=None).tokens_read


def test_more_work_costs_more() -> None:
    plain = expected(planned())
    assert expected(planned(40)) > plain
    assert expected(planned(states=StatesSettings(predictors=("activation-contrast",)))) < plain
    assert expected(planned(parameters="lora")) > 2 * plain
    assert expected(planned(pilot=PilotSettings(steps=4, batch_size=8))) > plain


def test_it_is_announced_before_and_stands_in_the_answer(tmp_path: Path) -> None:
    data = tmp_path / "pairs.jsonl"
    rows = [{"prompt": p.text, "chosen": c, "rejected": r} for p, c, r in pairs(40)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[str] = []
    sets = bf.safety_influence  # the public name
    found = sets(
        data, policy(), [p.prompt for p in probe_set(4).probes], parameters="none", announce=said.append
    )
    assert found.cost is not None
    assert found.cost.seconds is not None
    assert found.cost.seconds > 0
    assert said == [cost_text(found.cost)]
    assert said[0].startswith("the prediction will take about ")
    assert "GB of memory" in said[0]
