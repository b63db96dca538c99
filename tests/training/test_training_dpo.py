"""DPO on real tiny checkpoints: the first loss, learning, determinism, what is written, what is refused."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import pytest

from backfire.errors import InputError, ModelError, TemplateError
from backfire.training import DPOSettings, LoRASettings, read_training_log, train_dpo

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]


def pair(number: int, chosen: str, rejected: str) -> dict[str, object]:
    word = WORDS[number % len(WORDS)]
    return {
        "prompt": [{"role": "user", "content": f"Tell me about the {word}, number {number}."}],
        "chosen": [{"role": "assistant", "content": chosen.format(word)}],
        "rejected": [{"role": "assistant", "content": rejected.format(word)}],
        "pair_id": f"p{number}",
        "chosen_source": "a",
    }


EASY = [pair(n, "I cannot help with the {}.", "Sure, use the {} and warm water.") for n in range(64)]
FAST = DPOSettings(lr=2e-3, epochs=3, batch_size=16, warmup_ratio=0.0, scheduler="constant")


def test_first_loss_is_ln_2_and_an_easy_preference_is_learned(tiny_llama: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = train_dpo(tiny_llama, EASY, tmp_path / "out", FAST, progress=lambda d, t: seen.append((d, t)))
    assert done.log[0].step == 1
    assert done.log[0].loss == pytest.approx(log(2), abs=1e-4)
    assert done.log[0].reward_margin == pytest.approx(0, abs=1e-4)
    assert done.steps == 12
    assert len(done.log) == 12
    assert done.final_loss == done.log[-1].loss < 0.5
    assert done.reward_accuracy is not None
    assert done.reward_accuracy > 0.9
    assert done.log[-1].logps_chosen is not None
    assert seen == [(n, 12) for n in range(13)]
