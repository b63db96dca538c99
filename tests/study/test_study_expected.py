"""How long a study will take: the arithmetic of its stages, and what those that have ended say of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.models import open_model
from backfire.models.settings import Opening
from backfire.models.weight_count import saved_bytes, weight_count
from backfire.models.work import TRAINED, machine_speed
from backfire.organisms.catalog import folder_of
from backfire.study import demo_study, parse_study
from backfire.study.cells import RunFolder, grid
from backfire.study.expected import Planned, TimeLeft, disk_needed, time_left
from backfire.study.graph import stages_of
from backfire.study.process_pool import ThisProcess
from backfire.study.schedule import run_stages
from backfire.study.stage import Stage
from backfire.training import LoRASettings, SFTSettings, train_sft


def stages_of_demo(root: Path, **changed: Any) -> list[Stage[Any]]:
    study = parse_study(demo_study().model_dump(mode="json", exclude_unset=True) | changed)
    return stages_of(RunFolder(root, root / "ledger.db"), grid(study))


def work_by_verb(stages: list[Stage[Any]]) -> dict[str, float]:
    study = Planned.of(stages)
    work: dict[str, float] = {}
    for stage in stages:
        work[stage.verb] = work.get(stage.verb, 0.0) + study.work(stage)
    return work


def test_whatever_opens_a_model_counts(tmp_path: Path) -> None:
    work = work_by_verb(
        stages_of_demo(
            tmp_path,
            influence={
                "harmful": "organism:prompts/probe",
                "benign": "organism:prompts/benign",
                "pilot": {"steps": 2},
            },
        )
    )
    assert {verb for verb, of_verb in work.items() if of_verb == 0} == {"human", "pair"}
    assert set(work) >= {
        "sample",
        "score",
        "probes",
        "influence",
        "pilot",
        "audit",
        "train",
        "attack",
        "general",
        "margin",
    }


def test_work_follows_what_is_asked_for(tmp_path: Path) -> None:
    plain = work_by_verb(stages_of_demo(tmp_path))
    training = demo_study().training.model_dump(mode="json", exclude_unset=True)
    longer = work_by_verb(stages_of_demo(tmp_path, training=training | {"epochs": 4}))
    epochs = demo_study().training.epochs
    once = plain["train"] / (TRAINED * epochs + 1)
    assert longer["train"] == pytest.approx(once * (TRAINED * 4 + 1)), (
        "references are read once, whatever the epochs"
    )
    assert longer["attack"] == plain["attack"]
    twice = work_by_verb(stages_of_demo(tmp_path, seeds=[0, 1]))
    assert twice["train"] == pytest.approx(2 * plain["train"])
    wordings = demo_study().attacks.model_dump(mode="json", exclude_unset=True) | {
        "suite": ["direct", "alpaca"]
    }
    assert work_by_verb(stages_of_demo(tmp_path, attacks=wordings))["attack"] == pytest.approx(
        2 * plain["attack"]
    )


def test_ended_stages_set_the_estimate_right(tmp_path: Path) -> None:
    stages = stages_of_demo(tmp_path)
    trained = [stage for stage in stages if stage.verb == "train"]
    attacked = [stage for stage in stages if stage.verb == "attack"]
    paired = [stage for stage in stages if stage.verb == "pair"]
    left = time_left(stages, 2)
    assert left.of(trained) == pytest.approx(
        sum(left.work[s.name] for s in trained) / (machine_speed(Opening().device) / 2)
    )
    left.ended(trained[0], 30.0)
    assert left.of(trained[1:2]) == pytest.approx(
        30.0 * left.work[trained[1].name] / left.work[trained[0].name]
    )
    by_machine, by_training = 2 / machine_speed(Opening().device), 30.0 / left.work[trained[0].name]
    assert left.of(attacked[:1]) == pytest.approx(
        left.work[attacked[0].name] * (by_machine * by_training) ** 0.5
    )
    left.ended(attacked[0], 5.0)
    assert left.of(attacked[1:2]) == pytest.approx(
        5.0 * left.work[attacked[1].name] / left.work[attacked[0].name]
    )
    assert left.of(paired) == 0
    left.ended(paired[0], 2.0)
    assert left.of(paired[1:3]) == 4.0


def test_a_model_that_is_not_there_counts_as_nothing(tmp_path: Path) -> None:
    study = demo_study().model_dump(mode="json", exclude_unset=True)
    targets = [study["targets"][0] | {"policy": "openai:nobody"}]
    work = work_by_verb(stages_of_demo(tmp_path, targets=targets))
    assert work["attack"] == 0
    assert work["sample"] > 0


def test_it_is_said_before_the_first_stage_and_after_each(tmp_path: Path) -> None:
    class Quick(Stage[Any]):
        def run(self) -> None:
            self.folder.mkdir(parents=True)

        def lost(self) -> dict[str, int]:
            return {}

    run = RunFolder(tmp_path, tmp_path / "ledger.db")
    stages = [Quick(run, "train", tmp_path / "cells" / str(n), None, [], lambda _: None) for n in range(2)]
    said: list[str] = []
    expected = TimeLeft({stage.name: 6000.0 for stage in stages}, lambda: 1.0)
    run_stages(stages, ThisProcess(), say=said.append, expected=lambda: expected)
    assert said[0] == "2 of 2 stages are to be done, about 3.3 h left"
    assert said[1].startswith("[1/2] train 0: ")
    assert "left" not in said[2]


def test_numbers_are_counted_without_opening(tiny_llama: Path) -> None:
    model = open_model(str(tiny_llama)).model
    assert weight_count(tiny_llama) == sum(p.numel() for p in model.parameters())
    with pytest.raises(Exception, match="nobody"):
        weight_count("openai:nobody")


@pytest.mark.parametrize("adapter", [None, LoRASettings(r=4)])
def test_the_disk_is_that_of_a_trained_policy(adapter: LoRASettings | None, tmp_path: Path) -> None:
    policy = folder_of("organism:llama/target")
    out = tmp_path / "out"
    talks = [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}] * 4
    settings = SFTSettings(
        epochs=1, batch_size=4, parameters="all" if adapter is None else "lora", adapter=adapter
    )
    train_sft(policy, talks, out, settings)
    size = sum(file.stat().st_size for file in out.iterdir())
    assert saved_bytes(policy, None if adapter is None else adapter.r) == pytest.approx(size, rel=0.1)


def test_the_disk_of_a_study_is_that_of_its_policies(tmp_path: Path) -> None:
    stages = stages_of_demo(tmp_path)
    trained = [stage for stage in stages if stage.verb == "train"]
    assert disk_needed(stages) == len(trained) * saved_bytes("organism:llama/target")
    assert not list(tmp_path.iterdir())
