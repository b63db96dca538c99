"""TRL's trainers with what we add: they take token rows as they are, record every step, and keep silent.

Imports TRL, so it is imported only while training. The overridden methods are TRL's private ones, hence the
upper pin on `trl` in pyproject.toml.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
import transformers
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from trl import DPOTrainer, RewardTrainer, SFTTrainer
from trl.models import prepare_deepspeed

from backfire.models.packed import packed_attention, packs
from backfire.models.sharded import put_away
from backfire.training.diverging import check_value, lower
from backfire.training.log import Sharded, TrainingStep
from backfire.training.packed_loss import PackedModel
from backfire.training.sharding import shard_on_cpus, shares

Progress = Callable[[int, int], None]
METRICS = {
    "rewards/accuracies": "reward_accuracy",
    "rewards/margins": "reward_margin",
    "logps/chosen": "logps_chosen",
    "logps/rejected": "logps_rejected",
    "mean_token_accuracy": "token_accuracy",
    "grad_norm": "grad_norm",
    "accuracy": "reward_accuracy",
    "margin": "reward_margin",
}
"""What TRL's trainers call what a TrainingStep holds; the last two are RewardTrainer's."""
UNMEASURED = ("entropy", "logits/chosen", "logits/rejected")
"""What TRL logs and a packed batch does not measure."""
LOUD = ("trl", "transformers", "accelerate", "peft", "datasets")


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Keeps a TrainingStep of every logged line, reports progress, and stops a run whose loss is not finite."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.log: list[TrainingStep] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.log = [self._line(logs, int(logs["step"])) for logs in state.log_history if "loss" in logs]
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" not in logs or (self.log and self.log[-1].step == state.global_step):
            return
        check_value("the loss", logs["loss"], state.global_step, lower(args.learning_rate))
        self.log.append(self._line(logs, state.global_step))

    @staticmethod
    def _line(logs: dict[str, Any], step: int) -> TrainingStep:
        metrics = {ours: float(logs[theirs]) for theirs, ours in METRICS.items() if theirs in logs}
        return TrainingStep(step=step, loss=logs["loss"], lr=logs["learning_rate"], **metrics)


class Shares:
    """What TRL's trainers lack to share the weights among processes: on CPUs, too, and with sums of gradients in float32."""

    sharded: Sharded | None = None
    """How the weights lie in the processes, once they do."""

    def create_accelerator_and_postprocess(self) -> None:
        mine: Any = self
        if mine.args.fsdp and mine.args.bf16:
            # accelerate's own policy would also round log-probabilities and sums of gradients to bfloat16.
            mine.args.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32
            )
        shard_on_cpus(mine.args)
        super().create_accelerator_and_postprocess()  # type: ignore[misc]

    def kept_beside(self) -> Any:
        """What a checkpoint keeps beside what the Trainer saves, as JSON has it."""
        return None

    def take_up(self, state: Any) -> None:
        """Go on from what `kept_beside` gave."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """None: the folder of checkpoints is not what is published."""

    def shared_out(self, model: Any) -> Any:
        """A model as it was opened, in the form in which it can be read: shared among the processes where the policy will be."""
        mine: Any = self
        if mine.is_fsdp_enabled:
            mine.accelerator.state.fsdp_plugin.set_auto_wrap_policy(model)
            return fsdp2_prepare_model(mine.accelerator, model)
        if mine.is_deepspeed_enabled:
            return prepare_deepspeed(model, mine.accelerator)
        return mine.accelerator.prepare_model(model, evaluation_mode=True)

    def _prepare_for_training(self, *given: Any, **more: Any) -> Any:
        prepared = super()._prepare_for_training(*given, **more)  # type: ignore[misc]
        mine: Any = self
        if mine.is_fsdp_enabled or mine.is_deepspeed_enabled:
            model = mine.accelerator.unwrap_model(mine.model)
            self.sharded = shares(model, "fsdp2" if mine.is_fsdp_enabled else "zero3")
        return prepared


class TokenDPOTrainer(Shares, DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on token rows as they are: `prompt_ids`, `chosen_ids`, `rejected_ids`, cut to `max_length`."""

    def __init__(self, **given: Any) -> None:
        # Under FSDP, TRL would open the starting policy a second time, whole in every process, to compute what it says of the
        # pairs. Here the policy itself is shared out before that.
        with patch("trl.trainer.dpo_trainer.create_model_from_path", lambda *_, **__: None):
            super().__init__(**given)

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return dataset

    def _packs(self) -> bool:
        """Whether batches go through the model without padding. With several processes, gradients are gathered as TRL does it."""
        return self.accelerator.num_processes == 1 and not self.aux_loss_enabled and packs(self.model)

    def training_step(self, *given: Any, **more: Any) -> Any:
        with packed_attention(self.model) if self._packs() else nullcontext():
            return super().training_step(*given, **more)

    def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
        if self._packs():
            model = PackedModel(model, self.accelerator.autocast)
        return super()._compute_loss(model, inputs, return_outputs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self._packs():
            for name in UNMEASURED:
                self._metrics["train"].pop(name, None)
        super().log(logs, start_time)

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """As TRL's, with columns `ref_chosen_logps` and `ref_rejected_logps`, but in memory (TRL's cache file of a
        table in memory is lost between processes) and in batches of like length, the longest first."""
        prompts, *sides = (
            pc.list_value_length(dataset.data[column]).to_numpy()
            for column in ("prompt_ids", "chosen_ids", "rejected_ids")
        )
        order = np.argsort(-(prompts + np.maximum(*sides)), kind="stable")
        loader = self.accelerator.prepare(
            DataLoader(dataset.select(order), batch_size=batch_size, collate_fn=self.data_collator)
        )
        sums: list[list[float]] = [[], []]
        shared = self.is_fsdp_enabled or self.is_deepspeed_enabled
        model = self.shared_out(self.model) if shared else self.model
        for batch in loader:
            if self._packs():
                with packed_attention(model):
                    logps = self.compute_ref_log_probs(PackedModel(model, self.accelerator.autocast), batch)
            else:
                logps = self.compute_ref_log_probs(model, batch)
            for side, values in zip(sums, self.accelerator.gather_for_metrics(logps), strict=True):
                side += values.float().cpu().tolist()
        put_away(model)
        back = np.argsort(order)
        for column, values in zip(("ref_chosen_logps", "ref_rejected_logps"), sums, strict=True):
            dataset = dataset.add_column(column, np.array(values, dtype=np.float32)[back])
        return dataset

    def _send_telemetry(self) -> None:
        pass


class TokenSFTTrainer(Shares, SFTTrainer):  # type: ignore[misc]
    """SFTTrainer on token rows as they are: `input_ids` and `labels`, cut to `max_length`."""

    def _prepare_dataset(
        self,
        dataset: Any,
        processing_class: Any,
        args: Any,
        packing: bool,
        formatting_func: Any,
        dataset_name: str,
    ) -> Any:
        return dataset

    def _send_telemetry(self) -> None:
        pass


class TokenRewardTrainer(Shares, RewardTrainer):  # type: ignore[misc]
    """RewardTrainer on token rows as they are: `chosen_ids`, `rejected_ids`, whole conversations cut to `max_length`."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return dataset

    def _send_telemetry(self) -> None:
        pass


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no log lines of the libraries below; errors still pass. Restores what it found."""
    loggers = [logging.getLogger(name) for name in LOUD]
    levels = [logger.level for logger in loggers]
    bars = (transformers.utils.logging.is_progress_bar_enabled(), not datasets.are_progress_bars_disabled())
    tqdm = os.environ.get("TQDM_DISABLE")
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    os.environ["TQDM_DISABLE"] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TRL's own use of what transformers deprecates
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars[0]:
            transformers.utils.logging.enable_progress_bar()
        if bars[1]:
            datasets.enable_progress_bars()
        if tqdm is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = tqdm
