"""Which tokens are trained on, per family: TRL's own, after our subclass has prepared them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.training import DPOSettings, SFTSettings
from backfire.training.policy import open_policy
from backfire.training.run import arguments

TURNS = [{"role": "user", "content": "Where is the river?"}]
ANSWER = {"role": "assistant", "content": "The river runs through Paris."}
OTHER = {"role": "assistant", "content": "Use warm water."}


@pytest.fixture(params=["tiny_llama", "tiny_mistral", "tiny_qwen2"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def trained_text(tokenizer: Any, ids: list[int]) -> str:
    text: str = tokenizer.decode(ids)
    return text.strip()


def test_dpo_trains_on_the_response_and_its_end_token(checkpoint: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig

    from backfire.training.trainers import CountingDPOTrainer, quiet

    settings = DPOSettings()
    with quiet():
        policy = open_policy(checkpoint, settings, [])
        trainer = CountingDPOTrainer(
            model=policy.model,
            args=DPOConfig(precompute_ref_log_probs=True, **arguments(settings, policy, str(tmp_path))),
            train_dataset=Dataset.from_list([{"prompt": TURNS, "chosen": [ANSWER], "rejected": [OTHER]}]),
            processing_class=policy.tokenizer,
        )
    row, tokenizer = trainer.train_dataset[0], policy.tokenizer
    assert row["prompt_ids"] == tokenizer.apply_chat_template(TURNS, add_generation_prompt=True)["input_ids"]
    for column, turn in (("chosen_ids", ANSWER), ("rejected_ids", OTHER)):
        assert trained_text(tokenizer, row[column]) == turn["content"] + tokenizer.eos_token
    assert trainer.counted.boundary_merged == 0


def test_sft_trains_on_the_response_and_its_end_token_alone(checkpoint: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import SFTConfig

    from backfire.training.trainers import CountingSFTTrainer, quiet

    settings = SFTSettings()
    with quiet():
        policy = open_policy(checkpoint, settings, [])
        trainer = CountingSFTTrainer(
            model=policy.model,
            args=SFTConfig(**arguments(settings, policy, str(tmp_path))),
            train_dataset=Dataset.from_list([{"prompt": TURNS, "completion": [ANSWER]}]),
            processing_class=policy.tokenizer,
        )
    labels, tokenizer = trainer.train_dataset[0]["labels"], policy.tokenizer
    trained = [t for t in labels if t != -100]
    assert trained_text(tokenizer, trained) == ANSWER["content"] + tokenizer.eos_token
    assert all(t == -100 for t in labels[: len(labels) - len(trained)])
