"""What a training run leaves on record: one line per logged step, totals, and what did not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from backfire.answers.in_notebooks import InNotebooks
from backfire.errors import InputError
from backfire.store import read_json, write_json
from backfire.training.rewarded import Rewarded
from backfire.training.watch_points import Watched

FILE = "training.json"
FINAL_SHARE = 0.1


class TrainingStep(BaseModel):
    """Means over the optimizer steps since the line before. DPO's and reward models' metrics are TRL's; None where not
    defined."""

    model_config = ConfigDict(frozen=True)

    step: int
    """Optimizer steps done, this one included. The first line of a run with `logging_steps` 1 is measured
    before any update."""
    loss: float
    lr: float
    """Learning rate of the line's last step."""
    grad_norm: float | None = None
    """Before clipping, at the line's last step."""
    reward_accuracy: float | None = None
    """Share of pairs whose chosen response has the higher implicit reward (DPO) or score (reward model); ties count as
    wrong."""
    reward_margin: float | None = None
    """Implicit reward of chosen less that of rejected (DPO: beta times a difference of log-ratios, in nats), or the score of
    chosen less that of rejected (reward model)."""
    logps_chosen: float | None = None
    """DPO: log-probability of the chosen response, summed over its tokens, in nats."""
    logps_rejected: float | None = None
    """DPO: the same of the rejected response."""
    token_accuracy: float | None = None
    """Share of the trained response tokens (DPO: of the chosen one's) that the model ranks first."""


class Examples(BaseModel):
    """How many examples there were, what was left out of them, and what `max_length` and the template did to them."""

    model_config = ConfigDict(frozen=True)

    given: int
    """Rows read. For SFT a conversation with k assistant turns gives k examples, see `examples`."""
    left_out: dict[str, int] = {}
    """Rows that give no example, by defect: those that an audit of the same data counts."""
    examples: int
    """Examples after that, before any was dropped."""
    trained: int
    """Examples trained on."""
    held_out: int = 0
    """Reward models: examples kept for the held-out agreement."""
    dropped: dict[str, int]
    """Examples left out, by reason: `prompt_fills_max_length`; `tools_lost`, `tool_calls_lost` by the chat template."""
    dropped_rows: dict[str, tuple[int, ...]] = {}
    """The rows of these, by reason; at most 1,000 of each."""
    truncated: dict[str, int]
    """Responses that lost their end, and the end token with it, by side: `chosen`, `rejected`; or `response`."""
    max_length: int | None
    """Tokens that a sequence could have: the setting, or the model's context where that is shorter."""
    boundary_merged: int
    """Examples whose prompt is not a token prefix of prompt and response, so that the model trains on another
    context than it will be given; a space at the end of a raw prompt does that."""
    happened: dict[str, int] = {}
    """What else happened to examples that are trained on, by name: end and BOS tokens missing or doubled, reasoning
    that the template leaves out (`models.RenderedPairs.happened` has all names)."""
    tokens: int
    """Tokens per epoch after truncation, prompts included, both sides of a pair."""
    longest: int
    """Tokens of the longest sequence before truncation."""
    form: str = ""
    """The form that the data were read as."""
    plain: bool = False
    """Whether prompts and responses were trained on as raw text, without the chat template."""
    template: str = ""
    """Digest of the chat template that they went through; empty for raw text."""


class Agreement(BaseModel):
    """How often a reward model scores the chosen response of a pair higher; equal scores count as no agreement."""

    model_config = ConfigDict(frozen=True)

    pairs: int
    """Pairs that were scored."""
    prompts: int
    """Different prompts of these, nearly equal ones counted once; the clusters of the interval."""
    agrees: int
    """Pairs whose chosen response has the higher score."""
    ties: int = 0
    """Pairs whose two scores are equal."""
    unscored: dict[str, int] = {}
    """Held-out pairs without scores, by reason; no part of the rate."""
    rate: float | None = None
    """agrees / pairs; None where nothing was scored."""
    low: float | None = None
    """Of the 95% interval, clustered by prompt."""
    high: float | None = None


class HeldOut(BaseModel):
    """Agreement of a reward model with pairs that it was not trained on, of all and by what is known of them."""

    model_config = ConfigDict(frozen=True)

    share: float
    """Of the pairs, as it was asked for."""
    all: Agreement
    by_kind: dict[str, Agreement]
    """By the prompt's kind: `harmful`, `benign`, `unknown`."""
    by_writers: dict[str, Agreement]
    """By who wrote the two sides: `gpt4o over self` has chosen from `gpt4o`. `unknown` where the data name nobody."""


class Sharded(BaseModel):
    """How a training's weights were shared among processes."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["fsdp2", "zero3"]
    processes: int
    numbers: tuple[int, ...]
    """How many numbers of the weights each process held, as it was counted when training began."""


class TrainingLog(BaseModel, InNotebooks):
    """A finished run. `training.json` is its `as_dict()`."""

    model_config = ConfigDict(frozen=True)

    method: Literal["dpo", "sft", "reward", "rloo"]
    policy: str
    """What training started from (and DPO's reference model)."""
    settings: dict[str, Any]
    """As given."""
    dtype: str
    """float32 or bfloat16: what `auto` became."""
    saved_dtype: str
    """What the weights were saved in."""
    device: str
    parameters: int
    trained_parameters: int
    examples: Examples
    steps: int
    """Optimizer steps."""
    final_loss: float
    """Mean over the last tenth of the logged lines, at least one. RLOO's loss is 0 but for rounding at each step, whatever is
    learned; look at `rewarded`."""
    reward_accuracy: float | None = None
    """DPO and reward models: mean over the same lines; on training pairs, so it says what was fitted, not what
    generalises."""
    reward_margin: float | None = None
    """DPO and reward models: mean over the same lines."""
    held_out: HeldOut | None = None
    """Reward models: how often the trained model agrees with pairs whose prompts it was not trained on."""
    update_lost: float | None = None
    """Norm of what rounding to `saved_dtype` took away over the norm of what training changed; 0 is nothing,
    near 1 means that the saved weights hardly differ from the first ones."""
    resumed_from: int | None = None
    """The step of the checkpoint from which an interrupted training went on; `seconds` are those since then."""
    seconds: float
    """Training alone: without imports, reading, opening, tokenizing and saving."""
    seconds_preparing: float
    """Opening the model, tokenizing, and DPO's reference log-probabilities."""
    sharded: Sharded | None = None
    """How the weights were shared among processes; None where each process held them whole."""
    watch: Watched | None = None
    """The first and the last measurement of what was watched during training; watch.jsonl beside the log has all."""
    rewarded: Rewarded | None = None
    """RLOO: the first and the last rewards; rewards.jsonl and samples.jsonl beside the log have all."""
    versions: dict[str, str]
    log: list[TrainingStep]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, numbers unrounded; a metric that the method does not have is left out of its lines, and so is what was
        neither held out nor sharded nor watched nor rewarded."""
        parts = {
            "held_out": self.held_out,
            "sharded": self.sharded,
            "watch": self.watch,
            "rewarded": self.rewarded,
        }
        plain = self.model_dump(mode="json", exclude=set(parts))
        if self.resumed_from is None:
            del plain["resumed_from"]
        for name, part in parts.items():
            if part is not None:
                plain[name] = part.model_dump(mode="json", exclude_none=True)
        plain["log"] = [{k: v for k, v in line.items() if v is not None} for line in plain["log"]]
        return plain

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, self.as_dict())


def read_training_log(folder: str | Path) -> TrainingLog:
    """The log that stands beside trained weights."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE}: name a folder that `backfire train` wrote")
    try:
        return TrainingLog.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        raise InputError(f"{path} is not a training log ({error}): train again") from error


def final_mean(values: list[float]) -> float:
    """Mean of the last tenth of the values, at least one."""
    tail = values[-max(1, round(len(values) * FINAL_SHARE)) :]
    return sum(tail) / len(tail)
