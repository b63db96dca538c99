"""What a policy was rewarded for while it was trained by RLOO: every sampled response, and one line for each step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from backfire.errors import InputError
from backfire.records import Prompt
from backfire.store import write_text

REWARDS, SAMPLES = "rewards.jsonl", "samples.jsonl"
PART = 0.1
"""The first and the last tenth of the steps are compared."""


@dataclass(frozen=True)
class Sampled:
    """A response that was sampled for a step."""

    place: int
    """Of its prompt."""
    text: str
    reward: float
    tokens: int
    """Its end token included."""
    ended: bool
    """Whether it ended by itself."""


class RewardPoint(BaseModel):
    """The responses of one step, and what they were rewarded with. A line of rewards.jsonl is one of these."""

    model_config = ConfigDict(frozen=True)

    step: int
    """The optimizer step that was made of these responses, from 1. Those of step 1 are the starting policy's."""
    responses: int
    reward: float
    """Mean score by the reward model, without the KL term."""
    reward_std: float
    """Standard deviation of the scores over all responses."""
    reward_std_within: float
    """Mean over prompts of the standard deviation of the scores of a prompt's responses. Where it is 0, there is nothing to
    learn from."""
    kl: float
    """Mean over responses of log p(response) under the policy less that under the starting policy, in nats: an estimate of
    how far the policy has moved. 0 where beta is 0, for it is not computed then."""
    tokens: float
    """Mean tokens of a response, its end token included."""
    ended: float
    """Share of the responses that ended by themselves."""
    seconds: float
    """That everything before the step's gradient took: sampling, scoring, and the log-probabilities under both policies."""


class Rewarded(BaseModel):
    """What a training's log says of its rewards; rewards.jsonl and samples.jsonl beside it have all of them."""

    model_config = ConfigDict(frozen=True)

    reward_model: str
    """As it was named."""
    reward_model_id: str
    """A digest of its contents."""
    prompts: int
    """Different prompts that were answered."""
    responses: int
    tokens: int
    """Of all sampled responses."""
    seconds: float
    """Of sampling, scoring and log-probabilities, all steps together."""
    scored_cut: int = 0
    """Responses that the reward model did not see whole, since prompt and response are longer than it reads."""
    first: RewardPoint
    """Means over the first tenth of the steps, at least one; `step` is the last of them."""
    last: RewardPoint
    """Means over the last tenth of the steps, at least one."""


def point_of(step: int, sampled: Sequence[Sampled], kl: float, seconds: float) -> RewardPoint:
    """The line of a step."""
    by_prompt: dict[int, list[float]] = {}
    for one in sampled:
        by_prompt.setdefault(one.place, []).append(one.reward)
    rewards = [one.reward for one in sampled]
    return RewardPoint(
        step=step,
        responses=len(sampled),
        reward=fmean(rewards),
        reward_std=pstdev(rewards),
        reward_std_within=fmean(pstdev(some) for some in by_prompt.values()),
        kl=kl,
        tokens=fmean(one.tokens for one in sampled),
        ended=fmean(one.ended for one in sampled),
        seconds=seconds,
    )


def ends_of(points: Sequence[RewardPoint]) -> tuple[RewardPoint, RewardPoint]:
    """Means over the first and over the last tenth of the steps."""
    count = max(1, round(PART * len(points)))
    return _mean(points[:count]), _mean(points[-count:])


def _mean(points: Sequence[RewardPoint]) -> RewardPoint:
    means = {
        name: fmean(getattr(point, name) for point in points)
        for name, field in RewardPoint.model_fields.items()
        if field.annotation is float
    }
    return RewardPoint(step=points[-1].step, responses=sum(one.responses for one in points), **means)


def write_rewards(
    folder: Path,
    points: Sequence[RewardPoint],
    samples: Iterable[tuple[int, Sampled]],
    prompts: Sequence[Prompt],
) -> None:
    """Write rewards.jsonl and samples.jsonl; `samples` are responses with their step."""
    write_text(folder / REWARDS, "".join(point.model_dump_json() + "\n" for point in points))
    rows = (json.dumps(_row(step, one, prompts[one.place]), ensure_ascii=False) for step, one in samples)
    write_text(folder / SAMPLES, "".join(row + "\n" for row in rows))


def _row(step: int, one: Sampled, prompt: Prompt) -> Mapping[str, Any]:
    alone = len(prompt.messages) == 1 and prompt.messages[0].role == "user"
    return {
        "step": step,
        "prompt_id": prompt.id,
        "prompt": prompt.text if alone else prompt.as_messages(),
        "kind": prompt.kind,
        "response": one.text,
        "reward": one.reward,
        "tokens": one.tokens,
        "ended": one.ended,
    }


def read_rewards(folder: str | Path) -> list[RewardPoint]:
    """Reward, KL and length over the steps of a training by RLOO; InputError where the folder holds none."""
    path = Path(folder) / REWARDS
    if not path.is_file():
        raise InputError(f"{folder} has no {REWARDS}: name a folder that `backfire train rloo` wrote")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [RewardPoint.model_validate(json.loads(line)) for line in lines]
    except (ValidationError, ValueError, RecursionError) as error:
        raise InputError(f"{path} does not hold rewards ({error}): train again") from error
