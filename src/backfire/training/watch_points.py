"""What was measured while a model was trained: one line for each measurement, and the first and the last of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from backfire.errors import InputError
from backfire.statistics import Rate
from backfire.store import write_text

FILE = "watch.jsonl"


class WatchedShare(BaseModel):
    """`hits` of `scored` with a 95% Wilson interval; what could not be scored stands beside it."""

    model_config = ConfigDict(frozen=True)

    hits: int
    scored: int
    unscored: int = 0
    rate: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, rate: Rate) -> WatchedShare:
        return cls(
            hits=rate.hits,
            scored=rate.scored,
            unscored=rate.unscored,
            rate=rate.rate,
            low=rate.low,
            high=rate.high,
        )


class WatchedPairs(BaseModel):
    """What the model makes of some pairs (SFT: of responses) at one step; means over them. None where it is not defined."""

    model_config = ConfigDict(frozen=True)

    examples: int
    logps_chosen: float | None = None
    """Log-probability of the chosen response (SFT: of the response), summed over its tokens, in nats."""
    logps_rejected: float | None = None
    """The same of the rejected response."""
    score_chosen: float | None = None
    """Of a reward model in training: the score of the chosen response."""
    score_rejected: float | None = None
    """The same of the rejected response."""
    margin_change: float | None = None
    """Change since the first measurement of log p(chosen) - log p(rejected), in nats: the implicit reward margin of DPO
    without its beta."""
    reward_accuracy: WatchedShare | None = None
    """Share of pairs whose log p(chosen) - log p(rejected) has risen since the first measurement; of a reward model, of
    pairs whose chosen response has the higher score. Ties count as wrong. None at the first measurement of a policy, where
    nothing has changed."""


class WatchPoint(BaseModel):
    """One measurement. A line of watch.jsonl is one of these, without what is None."""

    model_config = ConfigDict(frozen=True)

    step: int
    """Optimizer steps done."""
    seconds: float
    """That the measurement took; the first one samples the responses of the probes, too."""
    refusal_margin: float | None = None
    """Mean over the refusal probes of log p(refusals) - log p(compliances), in nats."""
    benign_margin: float | None = None
    """Mean over the benign probes of log p(helpful answers) - log p(needless refusals), in nats."""
    refused: WatchedShare | None = None
    """Of the harmful prompts, answered greedily."""
    needless_refusals: WatchedShare | None = None
    """Of the benign prompts, answered greedily: those that are refused."""
    tokens_harmful: float | None = None
    """Mean tokens of the responses to harmful prompts, at most `max_new_tokens` each."""
    tokens_benign: float | None = None
    """The same of benign prompts."""
    cut: int = 0
    """Responses that reached `max_new_tokens`."""
    training: WatchedPairs | None = None
    """Of examples that are trained on."""
    held_out: WatchedPairs | None = None
    """Of pairs that are not trained on."""

    def values(self) -> dict[str, float]:
        """The numbers by the names under which they are logged, such as `watch/refused`."""
        return {f"watch/{name}": value for name, value in _numbers(self)}


class Watched(BaseModel):
    """What a training's log says of its measurements; watch.jsonl beside it has all of them."""

    model_config = ConfigDict(frozen=True)

    every: int
    """Optimizer steps between two measurements."""
    points: int
    """Measurements."""
    seconds: float
    """That all of them took."""
    judge: str
    """Who said which responses refuse."""
    prompts: dict[str, int] = {}
    """Prompts that were answered at each measurement, by kind."""
    probes: dict[str, int] = {}
    """Probes of each kind that the margins are means of."""
    left_out: dict[str, int] = {}
    """Prompts that gave no refusal probe, by reason."""
    in_training: int = 0
    """Probe prompts that are trained on: they are left out, since they would show what was learned by heart."""
    stopped: bool = False
    """Whether training was stopped because too few harmful prompts were refused."""
    stopped_because: str = ""
    """The sentence that says so, with the numbers."""
    best: WatchPoint | None = None
    """The best step whose weights were kept: of those at which prompts were answered, after the first step, the one that refused
    the largest share of the harmful prompts; of equal ones the one with the fewest needless refusals, and of these the last."""
    loaded_best: bool = False
    """Whether the weights of the output folder are those of the best step, and not of the last one."""
    first: WatchPoint
    last: WatchPoint


def write_points(folder: Path, points: Sequence[WatchPoint]) -> Path:
    """Write the measurements as JSON lines beside the log."""
    path = folder / FILE
    write_text(path, "".join(point.model_dump_json(exclude_none=True) + "\n" for point in points))
    return path


def read_points(folder: str | Path) -> list[WatchPoint]:
    """The measurements of a training; InputError where it was not watched."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE}: train with watch_prompts, watch_pairs or watch_every")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [WatchPoint.model_validate(json.loads(line)) for line in lines]
    except (ValidationError, ValueError, RecursionError) as error:
        raise InputError(f"{path} does not hold measurements ({error}): train again") from error


def _numbers(part: BaseModel, within: str = "") -> Iterator[tuple[str, float]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, WatchedShare):
            if value.rate is not None:
                yield f"{within}{name}", value.rate
        elif isinstance(value, BaseModel):
            yield from _numbers(value, f"{within}{name}/")
        elif isinstance(value, float):
            yield f"{within}{name}", value
