"""RLHF on a policy's own responses: REINFORCE with a leave-one-out baseline (RLOO), by TRL."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError, TemplateError, setting
from backfire.models.opening import reference_digest
from backfire.models.template import CheckedTemplate
from backfire.models.work import Announce
from backfire.prompts import open_prompts
from backfire.records import Decoding, Prompt, digest
from backfire.training.examples import Prepared
from backfire.training.log import Examples, TrainingLog
from backfire.training.policy import Policy, Tokens, save_policy
from backfire.training.processes import in_processes
from backfire.training.rewarded import Rewarded, ends_of, write_rewards
from backfire.training.run import Progress, lora_config, run
from backfire.training.settings import RLOOSettings, TrainingSettings

if TYPE_CHECKING:
    from datasets import Dataset

    from backfire.models import RewardModel
    from backfire.training.rloo_trainer import Rewarding, TokenRLOOTrainer

ROWS_LISTED = 1_000


def train_rloo(
    policy_folder: str | Path,
    prompts: str | Path | Iterable[Prompt],
    out: str | Path,
    settings: RLOOSettings | None = None,
    *,
    reward_model: str | Path | RewardModel,
    progress: Progress | None = None,
    announce: Announce | None = None,
    **keywords: Any,
) -> TrainingLog:
    """Train a policy on responses that it samples itself, towards those that a reward model scores higher.

    `prompts` are what `open_prompts` reads: a file, a published set, `organism:prompts/NAME`, a hub name; or Prompts.
    `reward_model` is a sequence classifier, such as `train_reward` writes and `score` uses. Each prompt gets several responses;
    one is reinforced as far as its reward, less `beta` times its log-ratio to the starting policy, lies above the mean of the
    others. Keywords are fields of `RLOOSettings` and of its parts.

    `out` becomes a checkpoint folder (or an adapter folder) with `training.json`, `rewards.jsonl` (reward, KL and length over the
    steps) and `samples.jsonl` (every response with its reward), whole or not at all.

    `announce` is called with a sentence that says how long training will take and how much memory, before it begins; not where
    that is a few seconds.

    Raises InputError for the prompts or the settings, ModelError and TemplateError for the policy and the reward model, and
    DivergedError where loss, reward or KL is no finite number any more.
    """
    settings = RLOOSettings.of(settings, **keywords)
    if settings.processes is not None:
        if not isinstance(reward_model, (str, Path)):
            raise InputError(
                f"{setting('processes')} {settings.processes} opens the reward model in each process: give its folder, in the place "
                "of a model that is open"
            )
        listed = prompts if isinstance(prompts, (str, Path)) else list(prompts)
        inputs = (policy_folder, listed, out)
        return in_processes("train_rloo", inputs, settings, progress, reward_model=reward_model)
    given, left_out = _prompts(prompts, settings)
    asked = _Asked(given, left_out, settings, reward_model)

    def build(
        policy: Policy, rows: Dataset, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Any:
        return asked.trainer(policy, rows, tokenizer, arguments, callbacks)

    def save(model: Any, policy: Policy, folder: Path, chosen: TrainingSettings) -> dict[str, Any]:
        return {**save_policy(model, policy, folder, chosen), "rewarded": asked.write(folder)}

    return run(
        "rloo",
        policy_folder,
        asked.prepare,
        out,
        settings,
        build,
        progress,
        announce=announce,
        save=save,
        made_of=lambda: {
            "policy": reference_digest(policy_folder),
            "reward model": asked.scorer.id,
            "prompts": digest("prompts", [prompt.id for prompt in given]),
        },
    )


def _prompts(prompts: Any, settings: RLOOSettings) -> tuple[list[Prompt], dict[str, int]]:
    """The prompts, each once, and the rows that give none, by reason."""
    if isinstance(prompts, (str, Path)):
        read = open_prompts(str(prompts), **settings.reading.model_dump())
        if read.ignored is not None:
            warnings.warn(
                f"{prompts}: the column {read.ignored!r} says neither harmful nor benign, and was not read as the kind",
                stacklevel=3,
            )
        return list(read.prompts), dict(read.left_out)
    listed = list(prompts)
    unique = list({prompt.id: prompt for prompt in listed}.values())
    repeated = len(listed) - len(unique)
    return unique, {"duplicate": repeated} if repeated else {}


class _Asked:
    """The prompts of one training with their reward model, from the first token row to the files that are written."""

    def __init__(
        self, prompts: list[Prompt], left_out: dict[str, int], settings: RLOOSettings, reward_model: Any
    ) -> None:
        self.given = prompts
        self.left_out = left_out
        self.settings = settings
        self._named = reward_model
        self.scorer: RewardModel
        self._rewarding: Rewarding
        self._trainer: TokenRLOOTrainer

    def prepare(self, tokens: Tokens) -> Prepared:
        """Token rows of the prompts that leave space for a response; and the reward model, opened and found to read them."""
        from datasets import Dataset

        from backfire.training.rloo_trainer import Rewarding

        template, settings = tokens.how, self.settings
        assert isinstance(template, CheckedTemplate)
        try:
            template.check_prompts(self.given)
        except TemplateError as error:
            raise TemplateError(f"policy {tokens.reference}: {error.marked}") from error
        rows = template.prompt_ids(self.given)
        limit = None if tokens.max_length is None else tokens.max_length - settings.max_new_tokens
        fits = [limit is None or len(row) <= limit for row in rows]
        places = [place for place, fit in enumerate(fits) if fit]
        if not places:
            raise InputError(
                f"no prompt leaves space for {settings.max_new_tokens} new tokens within {tokens.max_length}: lower "
                f"{setting('max_new_tokens')}, or raise {setting('max_length')} within the model's context"
            )
        self._enough(len(places))
        self.scorer = self._opened()
        self.scorer.check_prompts([self.given[place] for place in places])
        self._rewarding = Rewarding(
            [self.given[place] for place in places],
            [rows[place] for place in places],
            template,
            self.scorer,
            Decoding(max_new_tokens=settings.max_new_tokens, temperature=settings.temperature),
            settings.beta,
        )
        dropped = [place + 1 for place, fit in enumerate(fits) if not fit]
        reason = "prompt_fills_max_length"
        examples = Examples(
            given=len(self.given) + sum(self.left_out.values()),
            left_out=self.left_out,
            examples=len(self.given),
            trained=len(places),
            dropped={reason: len(dropped)} if dropped else {},
            dropped_rows={reason: tuple(dropped[:ROWS_LISTED])} if dropped else {},
            truncated={},
            max_length=tokens.max_length,
            boundary_merged=0,
            tokens=sum(len(rows[place]) for place in places),
            longest=max(len(rows[place]) for place in places) + settings.max_new_tokens,
            form="prompts",
            template=tokens.template,
        )
        columns = {"prompt": list(range(len(places))), "prompt_ids": list(self._rewarding.rows)}
        return Prepared(Dataset.from_dict(columns), examples)

    def _enough(self, count: int) -> None:
        needed = self.settings.batch_size * self.settings.gradient_accumulation
        if count < needed:
            raise InputError(
                f"{count} prompts are fewer than the {needed} of one step: lower {setting('batch_size')} "
                f"{self.settings.batch_size}, or give more prompts"
            )

    def _opened(self) -> RewardModel:
        from backfire.models import open_reward_model

        if not isinstance(self._named, (str, Path)):
            return self._named  # type: ignore[no-any-return]
        opening = self.settings.reward
        if opening.device is None and self.settings.opening.device is not None:
            opening = opening.of(opening, device=self.settings.opening.device)
        return open_reward_model(self._named, **opening.options())

    def trainer(
        self, policy: Policy, rows: Dataset, tokenizer: Any, arguments: dict[str, Any], callbacks: list[Any]
    ) -> Any:
        from trl import RLOOConfig

        from backfire.training.rloo_trainer import TokenRLOOTrainer

        settings = self.settings
        adapter = lora_config(policy.settings)
        arguments = {name: value for name, value in arguments.items() if name != "max_length"}
        if settings.steps is not None:
            arguments["max_steps"] = settings.steps
        self._trainer = TokenRLOOTrainer(
            self._rewarding,
            reference=deepcopy(policy.model) if settings.beta and adapter is None else None,
            model=policy.model,
            args=RLOOConfig(
                beta=0.0,  # set by the trainer, which has the starting policy
                num_generations=settings.generations,
                max_completion_length=settings.max_new_tokens,
                temperature=settings.temperature,
                disable_dropout=True,
                **arguments,
            ),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=callbacks,
        )
        return self._trainer

    def write(self, folder: Path) -> Rewarded:
        """Write rewards and samples; what the log says of them."""
        points, samples = self._trainer.points, self._trainer.samples
        write_rewards(folder, points, samples, self._rewarding.prompts)
        first, last = ends_of(points)
        return Rewarded(
            reward_model=self.scorer.name,
            reward_model_id=self.scorer.id,
            prompts=len({one.place for _, one in samples}),
            responses=len(samples),
            tokens=sum(one.tokens for _, one in samples),
            seconds=sum(point.seconds for point in points),
            scored_cut=self.scorer.truncated,
            first=first,
            last=last,
        )
