"""TRL's RLOOTrainer on token rows as they are: it samples, scores and records as everything else here does.

Imports TRL, so it is imported only while training. The overridden methods are TRL's private ones, as in `trainers`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import RLOOTrainer
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.utils import add_fused_lm_head

from backfire.errors import DivergedError, InputError, setting
from backfire.models.generating import generate_rows, leaves_rows_out
from backfire.models.memory import rows_to_generate
from backfire.models.modes import evaluating
from backfire.models.reward import RewardModel
from backfire.models.sharded import extreme, is_sharded, put_away
from backfire.models.template import CheckedTemplate
from backfire.records import Decoding, Prompt
from backfire.training.diverging import check_value, lower
from backfire.training.rewarded import RewardPoint, Sampled, point_of
from backfire.training.trainers import Shares


@dataclass(frozen=True)
class Rewarding:
    """What the policy is asked, how its responses become text, and who scores them."""

    prompts: Sequence[Prompt]
    rows: Sequence[list[int]]
    """Token ids of each prompt, with the generation prompt."""
    template: CheckedTemplate
    scorer: RewardModel
    decoding: Decoding
    beta: float


class TokenRLOOTrainer(Shares, RLOOTrainer):  # type: ignore[misc]
    """RLOOTrainer whose data set holds places of prompts in its column `prompt`.

    Rows are left out of a batch as soon as they end. Every response is kept in `samples`, with its step, and every step in
    `points`.
    """

    def __init__(self, rewarding: Rewarding, *, reference: Any, **given: Any) -> None:
        """`reference` is a copy of the starting policy; None where an adapter is trained, or beta is 0."""
        self.rewarding = rewarding
        self.points: list[RewardPoint] = []
        self.samples: list[tuple[int, Sampled]] = []
        self._scored: list[Sampled] = []
        self._filler = 0
        # TRL would open the starting policy a second time, by the name in its configuration.
        super().__init__(reward_funcs=self._rewards, **given)
        self._filler = int(self._tokenizer.pad_token_id)
        self.beta = rewarding.beta
        if reference is not None:
            add_fused_lm_head(reference, temperature=self.temperature)
            self.ref_model = self.shared_out(reference)

    def _tokenize_prompts(self, prompts: list[int]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.rewarding.rows[place] for place in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], images: Any, fields: Any) -> Any:
        model = self.accelerator.unwrap_model(self.model)
        with _sampling(model, self.args):
            if not leaves_rows_out(model):
                if is_sharded(model):
                    raise InputError(
                        f"RLOO under {setting('sharding')} samples from models that keep keys and values alone, and this one keeps "
                        f"something else: train it without {setting('sharding')}"
                    )
                return self._by_transformers(prompt_ids, images, fields)
            decoding, ends = self.rewarding.decoding, self.rewarding.template.eos_ids
            longest = max(map(len, prompt_ids))
            size = rows_to_generate(model, longest, longest + decoding.max_new_tokens)
            if is_sharded(model):
                size = extreme(model, size, least=True)
            written: list[list[int]] = []
            with torch.no_grad(), self.accelerator.autocast():
                for start in range(0, len(prompt_ids), size):
                    written += generate_rows(
                        model, prompt_ids[start : start + size], decoding, ends, self._filler, apart=True
                    )
            if is_sharded(model):
                put_away(model)
            return written

    def _by_transformers(self, prompt_ids: list[list[int]], images: Any, fields: Any) -> Any:
        try:
            return super()._generate_single_turn(prompt_ids, images, fields)
        except RuntimeError as error:
            if "probability tensor" not in str(error):
                raise
            raise DivergedError(
                f"the policy's probabilities are not finite at step {self._step_now}: {lower(self.args.learning_rate)}",
                step=self._step_now,
            ) from error

    def _rewards(self, prompts: list[int], completion_ids: list[list[int]], **_: Any) -> list[float]:
        """Scores by the reward model, on the texts that a sampler would store."""
        given, template = self.rewarding, self.rewarding.template
        ended = [ids[-1] in template.eos_ids for ids in completion_ids]
        bare = [ids[:-1] if done else ids for ids, done in zip(completion_ids, ended, strict=True)]
        texts = [template.opened + text for text in template.response_texts(bare)]
        asked = [(given.prompts[place], text) for place, text in zip(prompts, texts, strict=True)]
        scores = given.scorer.score(asked, strict=False)
        fix = f"open the reward model in float32 ({setting('reward_dtype')} float32), or take another one"
        for score in scores:
            check_value("the reward of a response", score, self._step_now, fix)
        self._scored = [
            Sampled(*one) for one in zip(prompts, texts, scores, map(len, completion_ids), ended, strict=True)
        ]
        return scores

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        started = time.perf_counter()
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        sampled: list[Sampled] = gather_object(self._scored)
        fix = lower(self.args.learning_rate)
        for value in output["old_logps"].tolist():
            check_value("the log-probability of a response", value, self._step_now, fix)
        kl = 0.0
        if self.beta:
            each_token = self._metrics["train"]["kl"][-1]
            kl = each_token * sum(one.tokens for one in sampled) / len(sampled)
            check_value("the KL to the starting policy", kl, self._step_now, fix)
        self.points.append(point_of(self._step_now, sampled, kl, time.perf_counter() - started))
        self.samples += [(self._step_now, one) for one in sampled]
        return output

    def kept_beside(self) -> Any:
        return {
            "points": [point.model_dump(mode="json") for point in self.points],
            "samples": [[step, *astuple(one)] for step, one in self.samples],
        }

    def take_up(self, state: Any) -> None:
        self.points = [RewardPoint.model_validate(point) for point in state["points"]]
        self.samples = [(step, Sampled(*one)) for step, *one in state["samples"]]

    @property
    def _step_now(self) -> int:
        """The optimizer step that is being made, from 1."""
        return int(self.state.global_step) + 1

    def _send_telemetry(self) -> None:
        pass


@contextmanager
def _sampling(model: Any, args: Any) -> Iterator[None]:
    """While this holds, nothing is dropped out and nothing is kept for gradients."""
    with disable_gradient_checkpointing(model, args.gradient_checkpointing_kwargs), evaluating(model):
        yield
