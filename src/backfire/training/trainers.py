"""TRL's trainers with what we add: counts of what did not fit, a record of every step, and silence.

Imports TRL, so it is imported only while training. The overridden methods are TRL's private ones, hence the
upper pin on `trl` in pyproject.toml.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import datasets
import transformers
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from trl import DPOTrainer, SFTTrainer

from backfire.errors import InputError
from backfire.training.log import Examples, TrainingStep

Progress = Callable[[int, int], None]
METRICS = {
    "reward_accuracy": "rewards/accuracies",
    "reward_margin": "rewards/margins",
    "logps_chosen": "logps/chosen",
    "logps_rejected": "logps/rejected",
    "token_accuracy": "mean_token_accuracy",
    "grad_norm": "grad_norm",
}
LOUD = ("trl", "transformers", "accelerate", "peft", "datasets")


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Keeps a TrainingStep of every logged line, reports progress, and stops a run whose loss is not finite."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.log: list[TrainingStep] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.progress is not None:
            self.progress(0, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True
        if self.progress is not None:
            self.progress(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" not in logs or (self.log and self.log[-1].step == state.global_step):
            return
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"the loss is {logs['loss']} at step {state.global_step}: lower lr (it is {args.learning_rate:g})"
            )
        metrics = {ours: float(logs[theirs]) for ours, theirs in METRICS.items() if theirs in logs}
        self.log.append(
            TrainingStep(step=state.global_step, loss=logs["loss"], lr=logs["learning_rate"], **metrics)
        )


class CountingDPOTrainer(DPOTrainer):  # type: ignore[misc]
    """DPOTrainer that counts, on its own tokens, what `max_length` drops and truncates."""

    counted: Examples

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        prepared = super()._prepare_dataset(dataset, processing_class, _without_limit(args), dataset_name)
        limit = math.inf if args.max_length is None else args.max_length
        prompts, chosen, rejected = (
            [len(ids) for ids in prepared[c]] for c in ("prompt_ids", "chosen_ids", "rejected_ids")
        )
        kept = [i for i, n in enumerate(prompts) if n < limit]
        sides = {
            "chosen": [prompts[i] + chosen[i] for i in kept],
            "rejected": [prompts[i] + rejected[i] for i in kept],
        }
        self.counted = _count(prepared, prompts, kept, sides, limit, processing_class)
        return prepared.select(kept).select_columns(["prompt_ids", "chosen_ids", "rejected_ids"])

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """As TRL's, with columns `ref_chosen_logps` and `ref_rejected_logps`, but in memory (TRL's cache file of a
        table in memory is lost between processes) and in batches of like length, the longest first."""
        rows = dataset.to_dict()
        lengths = [
            len(p) + max(len(c), len(r))
            for p, c, r in zip(rows["prompt_ids"], rows["chosen_ids"], rows["rejected_ids"], strict=True)
        ]
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        loader = self.accelerator.prepare(
            DataLoader(dataset.select(order), batch_size=batch_size, collate_fn=self.data_collator)
        )
        found: list[tuple[float, float]] = []
        for batch in loader:
            logps = self.compute_ref_log_probs(self.ref_model or self.model, batch)
            chosen, rejected = (
                side.float().cpu().tolist() for side in self.accelerator.gather_for_metrics(logps)
            )
            found += zip(chosen, rejected, strict=True)
        by_row = dict(zip(order, found, strict=True))
        rows["ref_chosen_logps"] = [by_row[i][0] for i in range(len(lengths))]
        rows["ref_rejected_logps"] = [by_row[i][1] for i in range(len(lengths))]
        return datasets.Dataset.from_dict(rows)

    def _send_telemetry(self) -> None:
        pass


class CountingSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that counts, on its own tokens, what `max_length` drops and truncates."""

    counted: Examples

    def _prepare_dataset(
        self,
        dataset: Any,
        processing_class: Any,
        args: Any,
        packing: bool,
        formatting_func: Any,
        dataset_name: str,
    ) -> Any:
        prepared = super()._prepare_dataset(
            dataset, processing_class, _without_limit(args), packing, formatting_func, dataset_name
        )
        limit = math.inf if args.max_length is None else args.max_length
        ids, labels = prepared["input_ids"], prepared["labels"]
        prompts = [next((i for i, t in enumerate(row) if t != -100), len(row)) for row in labels]
        kept = [i for i, n in enumerate(prompts) if n < limit]
        self.counted = _count(
            prepared, prompts, kept, {"response": [len(ids[i]) for i in kept]}, limit, processing_class
        )
        cut = None if args.max_length is None else args.max_length
        return datasets.Dataset.from_dict(
            {"input_ids": [ids[i][:cut] for i in kept], "labels": [labels[i][:cut] for i in kept]}
        )

    def _send_telemetry(self) -> None:
        pass


def _without_limit(args: Any) -> Any:
    unlimited = copy.copy(args)
    unlimited.max_length = None
    return unlimited


def _count(
    prepared: Any,
    prompts: list[int],
    kept: list[int],
    sides: dict[str, list[int]],
    limit: float,
    tokenizer: Any,
) -> Examples:
    if not kept:
        raise InputError(
            f"every prompt alone fills max_length {limit:g} (the shortest has {min(prompts)} tokens): "
            "raise max_length, within the model's context"
        )
    lengths = [n for side in sides.values() for n in side]
    dropped = len(prompts) - len(kept)
    return Examples(
        given=len(prompts),
        examples=len(prompts),
        trained=len(kept),
        dropped={"prompt_fills_max_length": dropped} if dropped else {},
        truncated={side: sum(n > limit for n in ns) for side, ns in sides.items()},
        max_length=None if math.isinf(limit) else int(limit),
        boundary_merged=sum(
            n < _prompt_length(row, tokenizer) for n, row in zip(prompts, prepared, strict=True)
        ),
        tokens=int(sum(min(n, limit) for n in lengths)),
        longest=max(lengths),
    )


def _prompt_length(row: dict[str, Any], tokenizer: Any) -> int:
    """Tokens of the prompt as it is given to the model when it is asked."""
    if isinstance(row["prompt"], str):
        return len(tokenizer(row["prompt"])["input_ids"])
    extra = row.get("chat_template_kwargs") or {}
    encoded = tokenizer.apply_chat_template(
        row["prompt"], add_generation_prompt=True, return_dict=True, tools=row.get("tools"), **extra
    )
    return len(encoded["input_ids"])


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
