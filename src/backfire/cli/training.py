"""`train dpo` and `train sft`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import model_validator

from backfire.cli.command import Command, OutputFolder
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import counted, say, warn
from backfire.settings import Argument, DatasetReference, Group, ModelReference
from backfire.training.settings import DPOSettings, SFTSettings

if TYPE_CHECKING:
    from backfire.training import TrainingLog

ROWS_SHOWN = 5
UNWRITTEN = "nothing was written, since weights are saved whole or not at all; run the same command again"


class Train(Command):
    """What both commands have in common."""

    policy: Annotated[ModelReference, Argument()]
    """The model to train: a checkpoint folder, a GGUF file, a hub name, or organism:NAME."""


class TrainDPO(Train):
    """Train a policy on preference pairs by DPO; what it starts from is the reference model."""

    pairs: Annotated[DatasetReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name. It is read
    as `backfire audit` reads it."""
    out: OutputFolder
    """The folder that becomes a checkpoint (or adapter) folder, with training.json, in place of what an earlier run wrote."""
    full: Annotated[bool, Group("Training")] = False
    """Train all weights, also where these with AdamW's moments take more than three times the weights and 2 GB, where a
    LoRA adapter is trained otherwise. The same as --parameters all."""
    settings: DPOSettings = DPOSettings()

    @model_validator(mode="after")
    def _one_choice(self) -> TrainDPO:
        _check_full(self.full, self.settings)
        return self

    def run(self) -> None:
        from backfire.training import train_dpo

        settings = self.settings if not self.full else DPOSettings.of(self.settings, parameters="all")
        with keeping(UNWRITTEN), progress("training by DPO") as advance:
            log = train_dpo(self.policy, self.pairs, self.out, settings, progress=advance)
        say_log(log, self.out)


class TrainSFT(Train):
    """Fine-tune a policy on conversations; only the assistant's turns are learned."""

    conversations: Annotated[DatasetReference, Argument()]
    """A file, folder or hub data set with messages, or with prompt and completion."""
    out: OutputFolder
    """The folder that becomes a checkpoint (or adapter) folder, with training.json, in place of what an earlier run wrote."""
    full: Annotated[bool, Group("Training")] = False
    """Train all weights, also where these with AdamW's moments take more than three times the weights and 2 GB, where a
    LoRA adapter is trained otherwise. The same as --parameters all."""
    settings: SFTSettings = SFTSettings()

    @model_validator(mode="after")
    def _one_choice(self) -> TrainSFT:
        _check_full(self.full, self.settings)
        return self

    def run(self) -> None:
        from backfire.training import train_sft

        settings = self.settings if not self.full else SFTSettings.of(self.settings, parameters="all")
        with keeping(UNWRITTEN), progress("training by SFT") as advance:
            log = train_sft(self.policy, self.conversations, self.out, settings, progress=advance)
        say_log(log, self.out)


def _check_full(full: bool, settings: DPOSettings | SFTSettings) -> None:
    if full and settings.adapter is not None:
        raise ValueError("--full and --lora: give one of them")
    if full and settings.parameters == "lora":
        raise ValueError("--full and --parameters lora: give one of them")


def say_log(log: TrainingLog, out: Path) -> None:
    """What was trained, what it came to, and what did not fit; said once where several processes train."""
    if os.environ.get("RANK", "0") != "0":
        return
    from backfire.answers.numerals import shown_rows

    counts = log.examples
    say(
        f"{log.method}: {log.steps} steps over {counts.trained} of {counts.examples} examples in {log.seconds:.0f} s, "
        f"{log.trained_parameters:,} of {log.parameters:,} parameters, {log.dtype} on {log.device}"
    )
    how = "as raw text, without a chat template" if counts.plain else "through the policy's chat template"
    say(f"data read as {counts.form}, {how}")
    say(f"final loss {log.final_loss:.4f}")
    if log.reward_accuracy is not None and log.reward_margin is not None:
        say(
            f"reward accuracy {log.reward_accuracy:.3f}, reward margin {log.reward_margin:.3f}, on training pairs"
        )
    for what, lost in (
        (f"rows that give no example (of {counts.given})", counts.left_out),
        ("left out", counts.dropped),
        ("lost their end to max_length", counts.truncated),
        ("trained on, but", counts.happened),
    ):
        if any(lost.values()):
            warn(f"{what}: {counted({name: n for name, n in lost.items() if n})}")
    for name, rows in counts.dropped_rows.items():
        warn(f"left out as {name}: row {shown_rows(rows, ROWS_SHOWN, counts.dropped[name])}")
    if counts.boundary_merged:
        warn(f"in {counts.boundary_merged} examples the prompt is not a token prefix of prompt and response")
    if log.update_lost is not None and log.update_lost > 0.1:
        warn(
            f"saving as {log.saved_dtype} took away {log.update_lost:.0%} of what training changed: "
            "use --save-dtype float32"
        )
    say(f"in {out}: weights and training.json")
