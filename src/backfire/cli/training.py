"""`train dpo`, `train sft`, `train reward` and `train rloo`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import model_validator

from backfire.cli.command import Command, OutputFolder
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import counted, interval, percent, say, show, table, warn
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
    from backfire.training import HeldOut, Rewarded, TrainingLog, Watched

Given = TypeVar("Given", bound=TrainingSettings)
ROWS_SHOWN = 5
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
            log = train_dpo(self.policy, self.pairs, self.out, self.whole(self.settings), progress=advance)
        say_log(log, self.out)


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
                self.policy, self.conversations, self.out, self.whole(self.settings), progress=advance
            )
        say_log(log, self.out)


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
            log = train_reward(self.policy, self.pairs, self.out, self.whole(self.settings), progress=advance)
        say_log(log, self.out)


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
            )
        say_log(log, self.out)


def say_log(log: TrainingLog, out: Path) -> None:
    """What was trained, what it came to, and what did not fit; said once where several processes train."""
    if os.environ.get("RANK", "0") != "0":
        return
    from backfire.answers.numerals import shown_rows

    counts = log.examples
    what = "prompts" if log.rewarded is not None else "examples"
    say(
        f"{log.method}: {log.steps} steps over {counts.trained} of {counts.examples} {what} in {log.seconds:.0f} s, "
        f"{log.trained_parameters:,} of {log.parameters:,} parameters, {log.dtype} on {log.device}"
    )
    how = "as raw text, without a chat template" if counts.plain else "through the policy's chat template"
    say(f"data read as {counts.form}, {how}")
    if log.rewarded is None:
        say(f"final loss {log.final_loss:.4f}")
    else:
        say_rewarded(log.rewarded)
    if log.reward_accuracy is not None and log.reward_margin is not None:
        say(
            f"reward accuracy {log.reward_accuracy:.3f}, reward margin {log.reward_margin:.3f}, on training pairs"
        )
    if log.held_out is not None:
        say_held_out(log.held_out)
    if log.watch is not None:
        say_watched(log.watch)
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


def say_held_out(held_out: HeldOut) -> None:
    """How often a reward model agrees with the pairs that were held out, of all and by what is known of them."""
    shown = table("held-out pairs", "pairs", "prompts", "agreement", "95% interval", "ties", "unscored")
    parts = {"all": held_out.all}
    for named in (held_out.by_kind, held_out.by_writers):
        if set(named) != {"unknown"}:
            parts |= {f"  {name}": part for name, part in named.items()}
    for name, part in parts.items():
        shown.add_row(
            name,
            str(part.pairs),
            str(part.prompts),
            percent(part.rate),
            interval(part.low, part.high),
            str(part.ties),
            counted(part.unscored) if part.unscored else "0",
        )
    show(shown, "Agreement with pairs whose prompts were not trained on:")


def say_rewarded(rewarded: Rewarded) -> None:
    """Reward, KL and length of the first and of the last responses."""
    first, last = rewarded.first, rewarded.last
    say(
        f"{rewarded.responses} responses of {rewarded.tokens} tokens to {rewarded.prompts} prompts were sampled, and scored by "
        f"{rewarded.reward_model}, in {rewarded.seconds:.0f} s"
    )
    shown = table("mean over responses", f"to step {first.step}", f"to step {last.step}")
    for name, field in (
        ("reward", "reward"),
        ("standard deviation of the reward", "reward_std"),
        ("the same among responses to one prompt", "reward_std_within"),
        ("KL to the starting policy, nats", "kl"),
        ("tokens", "tokens"),
    ):
        shown.add_row(name, f"{getattr(first, field):.3f}", f"{getattr(last, field):.3f}")
    shown.add_row("ended by themselves", percent(first.ended), percent(last.ended))
    show(
        shown,
        "The first and the last tenth of the steps; rewards.jsonl has every step, samples.jsonl every response:",
    )
    if rewarded.scored_cut:
        warn(
            f"{rewarded.scored_cut} responses were longer than the reward model reads, and scored without their end"
        )


def say_watched(watched: Watched) -> None:
    """What was measured before the first step, and what last."""
    first, last = watched.first.values(), watched.last.values()
    shown = table("measured", f"step {watched.first.step}", f"step {watched.last.step}")
    for name in dict.fromkeys([*first, *last]):
        numbers = (f"{values[name]:.3f}" if name in values else "–" for values in (first, last))
        shown.add_row(name.removeprefix("watch/").replace("_", " ").replace("/", ": "), *numbers)
    show(shown, f"{watched.points} measurements, in watch.jsonl (refusals by {watched.judge}):")
    if watched.left_out:
        warn(f"probe prompts without a refusal probe: {counted(watched.left_out)}")
    if watched.in_training:
        warn(f"probe prompts that are trained on, and were left out: {watched.in_training}")
    if watched.stopped:
        warn(
            f"stopped at step {watched.last.step}, since fewer harmful prompts were refused than --watch-stop-below"
        )
