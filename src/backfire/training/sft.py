"""Supervised fine-tuning on responses, by TRL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.training.examples import read_conversations
from backfire.training.log import TrainingLog
from backfire.training.policy import Policy
from backfire.training.run import Progress, lora_config, run
from backfire.training.settings import SFTSettings

if TYPE_CHECKING:
    from datasets import Dataset


def train_sft(
    policy_folder: str | Path,
    conversations: str | Path | Dataset | Iterable[Mapping[str, Any]],
    out: str | Path,
    settings: SFTSettings | None = None,
    *,
    progress: Progress | None = None,
) -> TrainingLog:
    """Train a policy on the assistant's turns, their end token included, and on nothing else.

    `conversations` is a file, folder, `datasets.Dataset` or rows, as for `train_dpo`, with `messages`, or with
    `prompt` and `completion`. A conversation of several assistant turns gives one example for each. `out` is
    written as `train_dpo` writes it, and the same errors are raised.
    """
    settings = settings or SFTSettings()
    rows, given = read_conversations(conversations)

    def build(policy: Policy, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]) -> Any:
        from datasets import Dataset
        from trl import SFTConfig

        from backfire.training.trainers import CountingSFTTrainer

        return CountingSFTTrainer(
            model=policy.model,
            args=SFTConfig(**arguments),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_config(settings),
            callbacks=callbacks,
        )

    return run("sft", policy_folder, rows, given, out, settings, build, progress)
