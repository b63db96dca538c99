"""Direct Preference Optimization, by TRL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.training.examples import read_pairs
from backfire.training.log import TrainingLog
from backfire.training.policy import Policy
from backfire.training.run import Progress, lora_config, run
from backfire.training.settings import DPOSettings

if TYPE_CHECKING:
    from datasets import Dataset


def train_dpo(
    policy_folder: str | Path,
    pairs: str | Path | Dataset | Iterable[Mapping[str, Any]],
    out: str | Path,
    settings: DPOSettings | None = None,
    *,
    progress: Progress | None = None,
) -> TrainingLog:
    """Train a policy on preference pairs; the checkpoint it starts from is the reference model.

    `pairs` is a folder with `train.parquet`, a .parquet, .jsonl or .json file, a `datasets.Dataset` or rows, in
    any of TRL's preference formats; columns that TRL does not read are left behind. The reference model's
    log-probabilities are computed once, before the first step. `out` becomes a checkpoint folder in the
    policy's own dtype (or an adapter folder) with `training.json`, whole or not at all.

    Raises InputError for the data or the settings, ModelError and TemplateError for the policy.
    """
    settings = settings or DPOSettings()
    rows = read_pairs(pairs)

    def build(policy: Policy, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]) -> Any:
        from datasets import Dataset
        from trl import DPOConfig

        from backfire.training.trainers import CountingDPOTrainer

        return CountingDPOTrainer(
            model=policy.model,
            args=DPOConfig(
                beta=settings.beta,
                loss_type=[settings.loss_type],
                label_smoothing=settings.label_smoothing,
                precompute_ref_log_probs=True,
                **arguments,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_config(settings),
            callbacks=callbacks,
        )

    return run("dpo", policy_folder, rows, len(rows), out, settings, build, progress)
