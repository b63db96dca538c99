"""`train dpo`, `train sft`, `train reward` and `train rloo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import model_validator

from backfire.cli.command import Command, OutputFolder
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import is_first, present, tell
from backfire.settings import (
    Argument,
    DatasetReference,
    Group,
    Metavar,
    ModelReference,
    PromptsReference,
    RewardModelReference,
)
from backfire.training.settings import (
    DPOSettings,
    RewardSettings,
    RLOOSettings,
    SFTSettings,
    TrainingSettings,
)

if TYPE_CHECKING:
    from backfire.training import TrainingLog

Given = TypeVar("Given", bound=TrainingSettings)
UNWRITTEN = "nothing was written, since weights are saved whole or not at all; run the same command again"


class Train(Command):
    """What the commands have in common."""

    policy: Annotated[ModelReference, Argument()]
    """The model to train: a checkpoint folder, a GGUF file, a hub name, or organism:NAME."""
    full: Annotated[bool, Group("Training")] = False
    """Train all weights, also where these with AdamW's moments take more than three times the weights and 2 GB, where a
    LoRA adapter is trained otherwise. The same as --parameters all."""
    settings: TrainingSettings

    @model_validator(mode="after")
    def _one_choice(self) -> Train:
        if self.full and self.settings.adapter is not None:
            raise ValueError("--full and --lora: give one of them")
        if self.full and self.settings.parameters == "lora":
            raise ValueError("--full and --parameters lora: give one of them")
        return self

    def whole(self, settings: Given) -> Given:
        """The settings, with all weights trained where that was asked for."""
        return type(settings).of(settings, parameters="all") if self.full else settings


class TrainDPO(Train):
    """Train a policy on preference pairs by DPO; what it starts from is the reference model."""

    pairs: Annotated[DatasetReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name. It is read
    as `backfire audit` reads it."""
    out: OutputFolder
    """The folder that becomes a checkpoint (or adapter) folder, with training.json, in place of what an earlier run wrote."""
    settings: DPOSettings = DPOSettings()

    def run(self) -> None:
        from backfire.training import train_dpo

        with keeping(UNWRITTEN), progress("training by DPO") as advance:
            log = train_dpo(
                self.policy,
                self.pairs,
                self.out,
                self.whole(self.settings),
                progress=advance,
                announce=tell,
            )
        present_log(log, self.out)


class TrainSFT(Train):
    """Fine-tune a policy on conversations; only the assistant's turns are learned."""

    conversations: Annotated[DatasetReference, Argument()]
    """A file, folder or hub data set with messages, or with prompt and completion."""
    out: OutputFolder
    """The folder that becomes a checkpoint (or adapter) folder, with training.json, in place of what an earlier run wrote."""
    settings: SFTSettings = SFTSettings()

    def run(self) -> None:
        from backfire.training import train_sft

        with keeping(UNWRITTEN), progress("training by SFT") as advance:
            log = train_sft(
                self.policy,
                self.conversations,
                self.out,
                self.whole(self.settings),
                progress=advance,
                announce=tell,
            )
        present_log(log, self.out)


class TrainReward(Train):
    """Train a reward model on preference pairs, and say how often it agrees with pairs that it was not trained on."""

    policy: Annotated[ModelReference, Argument()]
    """What it is made of: a language model, which gets a new head of one score, or a reward model that is trained further. A
    checkpoint folder, a hub name, or organism:NAME."""
    pairs: Annotated[DatasetReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name. It is read
    as `backfire audit` reads it."""
    out: OutputFolder
    """The folder that becomes a checkpoint folder, which `backfire score` opens, with training.json, in place of what an
    earlier run wrote. An adapter is merged into the weights."""
    settings: RewardSettings = RewardSettings()

    def run(self) -> None:
        from backfire.training import train_reward

        with keeping(UNWRITTEN), progress("training a reward model") as advance:
            log = train_reward(
                self.policy,
                self.pairs,
                self.out,
                self.whole(self.settings),
                progress=advance,
                announce=tell,
            )
        present_log(log, self.out)


class TrainRLOO(Train):
    """Train a policy on responses that it samples itself, towards a reward model's higher scores (RLHF by RLOO)."""

    reward_model: Annotated[RewardModelReference, Metavar("FOLDER")]
    """Who scores the responses: a sequence classifier, such as `backfire train reward` writes. A checkpoint folder, a hub name,
    or organism:reward."""
    prompts: Annotated[PromptsReference, Metavar("FILE")]
    """What the policy is asked: a JSONL, JSON, CSV or Parquet file, a TXT (a prompt a line), a published set such as
    advbench:50, a hub name, or organism:prompts/NAME."""
    out: OutputFolder
    """The folder that becomes a checkpoint (or adapter) folder, in place of what an earlier run wrote. Beside training.json it
    has rewards.jsonl (reward, KL and length by step) and samples.jsonl (every sampled response with its reward)."""
    settings: RLOOSettings = RLOOSettings()

    def run(self) -> None:
        from backfire.training import train_rloo

        with keeping(UNWRITTEN), progress("training by RLOO") as advance:
            log = train_rloo(
                self.policy,
                self.prompts,
                self.out,
                self.whole(self.settings),
                reward_model=self.reward_model,
                progress=advance,
                announce=tell,
            )
        present_log(log, self.out)


def present_log(log: TrainingLog, out: Path) -> None:
    """The answer of a training, said once where several processes train."""
    from backfire.report import training_parts

    if is_first():
        present(training_parts(log, out))
