"""A training that is interrupted goes on from its last checkpoint, and ends as it would have ended."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from test_training_sharding import SMOOTH, WORDS, prompts, rows

from backfire.errors import InputError
from backfire.records import Prompt
from backfire.training import (
    DPOSettings,
    RLOOSettings,
    read_points,
    read_rewards,
    read_training_log,
    train_dpo,
    train_rloo,
)


class Interrupted(Exception):
    """In the place of a kill."""


def stops_at(step: int) -> object:
    def advance(done: int, total: int) -> None:
        if done == step:
            raise Interrupted

    return advance


def settings(folder: Path, **more: object) -> DPOSettings:
    watch = {"prompts": (str(prompts(folder)),), "every": 2, "max_new_tokens": 4, "samples": 2}
    return DPOSettings(**{**SMOOTH, "scheduler": "cosine", "batch_size": 4, "watch": watch, **more})


def test_dpo_goes_on_and_ends_the_same(tiny_llama: Path, tmp_path: Path) -> None:
    whole = train_dpo(tiny_llama, rows(), tmp_path / "whole", settings(tmp_path))
    often = settings(tmp_path, checkpoint_every=2)
    with pytest.raises(Interrupted):
        train_dpo(tiny_llama, rows(), tmp_path / "out", often, progress=stops_at(5))
    assert not (tmp_path / "out").exists()
    beside = tmp_path / "out.checkpoints"
    assert (beside / "checkpoint-4" / "backfire.json").is_file()
    # A checkpoint that was being written when the process was killed has no mark yet.
    shutil.copytree(beside / "checkpoint-4", beside / "checkpoint-6")
    (beside / "checkpoint-6" / "backfire.json").unlink()

    seen: list[int] = []
    done = train_dpo(tiny_llama, rows(), tmp_path / "out", often, progress=lambda step, _: seen.append(step))
    assert seen == [4, 5, 6, 7, 8]
    assert done.resumed_from == 4
    assert done.log == whole.log
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "out")]
    assert weights[0] == weights[1]
    points = [
        [point.model_dump(exclude={"seconds"}) for point in read_points(tmp_path / name)]
        for name in ("whole", "out")
    ]
    assert points[0] == points[1]
    assert not beside.exists()
    assert read_training_log(tmp_path / "out") == done


def test_checkpoints_of_another_training_are_an_error(tiny_llama: Path, tmp_path: Path) -> None:
    often = settings(tmp_path, checkpoint_every=2)
    with pytest.raises(Interrupted):
        train_dpo(tiny_llama, rows(), tmp_path / "out", often, progress=stops_at(3))
    others = {"settings": (rows(), often.of(often, lr=1e-3)), "data": (rows(12), often)}
    for data, chosen in others.values():
        with pytest.raises(
            InputError, match=r"out\.checkpoints has checkpoints of a training with another policy"
        ):
            train_dpo(tiny_llama, data, tmp_path / "out", chosen)


def test_other_weights_in_the_same_place_are_another_training(tiny_llama: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    shutil.copytree(tiny_llama, policy)
    often = settings(tmp_path, checkpoint_every=2)
    with pytest.raises(Interrupted):
        train_dpo(policy, rows(), tmp_path / "out", often, progress=stops_at(3))
    weights = load_file(policy / "model.safetensors")
    save_file(
        {name: 1.01 * value for name, value in weights.items()},
        policy / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(InputError, match="with another policy"):
        train_dpo(policy, rows(), tmp_path / "out", often)


def test_rloo_goes_on_with_its_responses(tiny_llama: Path, tiny_reward: Path, tmp_path: Path) -> None:
    asked = [Prompt.of(f"Where is the {word}?") for word in WORDS]
    chosen = RLOOSettings(
        **{**SMOOTH, "epochs": 1}, batch_size=2, generations=2, max_new_tokens=8, checkpoint_every=1
    )
    whole = train_rloo(tiny_llama, asked, tmp_path / "whole", chosen, reward_model=tiny_reward)
    with pytest.raises(Interrupted):
        train_rloo(
            tiny_llama, asked, tmp_path / "out", chosen, reward_model=tiny_reward, progress=stops_at(3)
        )
    done = train_rloo(tiny_llama, asked, tmp_path / "out", chosen, reward_model=tiny_reward)
    assert done.resumed_from in (2, 3)
    assert done.log == whole.log
    ours, theirs = (
        [point.model_dump(exclude={"seconds"}) for point in read_rewards(tmp_path / name)]
        for name in ("whole", "out")
    )
    assert ours == theirs
    samples = [(tmp_path / name / "samples.jsonl").read_bytes() for name in ("whole", "out")]
    assert samples[0] == samples[1]
