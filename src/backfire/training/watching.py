"""A callback that measures what training does to refusals, every so many steps: in backfire's trainings and in any of TRL's.

Imports transformers, so it is imported only while training. Nothing of the training is touched by a measurement: the modes of
the modules, the generation defaults and the random numbers are what they were before.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import Trainer, TrainerCallback

from backfire.errors import InputError, setting
from backfire.influence.answering import greedy_answers
from backfire.influence.margins import Encoded, encode, margins, probe_contrasts
from backfire.influence.probe_files import read_probes
from backfire.influence.probe_sets import ProbeSet, ProbeSets
from backfire.influence.probes import sample_probes
from backfire.models.local import LocalModel
from backfire.models.logps import inner_model
from backfire.models.modes import evaluating
from backfire.models.opening import local_model
from backfire.records import Decoding, PairBody, Prompt, digest
from backfire.statistics import rate_of
from backfire.training.diverging import check_finite
from backfire.training.watch_points import (
    Watched,
    WatchedShare,
    WatchPoint,
    write_points,
)
from backfire.training.watched_examples import (
    Examples,
    examples_of_training,
    measured,
    rendered_examples,
    trained_prompts,
)

if TYPE_CHECKING:
    from backfire.judges import Judge

PARTS = 20
"""Measurements of a run where it was not said how often."""
ABSENT: Any = object()


class SafetyWatch(TrainerCallback):  # type: ignore[misc]
    """Measures refusals, and what becomes of chosen and rejected responses, while a model is trained.

    It is a callback of transformers' Trainer, and works with TRL's DPO, SFT, RLOO and reward trainers, under LoRA and gradient
    accumulation. No reference model is needed: the first measurement, before the first step, is what later ones are compared
    with.

        trainer = DPOTrainer(..., callbacks=[SafetyWatch("probes.jsonl", every=50)])

    `points` are the measurements (`WatchPoint`). They also stand in `trainer.state.log_history`. Set `watch.trainer = trainer`,
    and they are logged to whatever the trainer reports to.
    """

    def __init__(
        self,
        probes: Any = (),
        *,
        every: int | None = 50,
        stop_below: float | None = None,
        pairs: Any = None,
        most: int = 48,
        samples: int = 4,
        max_new_tokens: int = 48,
        judge: str | Judge = "phrases",
        seed: int = 0,
        max_length: int | None = 1024,
        plain: bool = False,
        folder: str | Path | None = None,
    ) -> None:
        """What is measured; `training.WatchSettings` describes each.

        Args:
            probes: what `read_probes` reads: prompts, finished probes, or what names them.
            every: steps between two measurements; None is a twentieth of the run.
            pairs: preference data that are not trained on, in any form, or (prompt, chosen, rejected).
            max_length: tokens at which these are cut.
            plain: whether pairs are raw text, without the chat template.
            folder: where watch.jsonl is written anew after each measurement.

        Raises InputError for probes or pairs that cannot be read.
        """
        from backfire.judges import open_judge

        if every is not None and every < 1:
            raise InputError(f"every {every}: measure after 1 step at the least, or after every 50")
        self.every = every
        self.stop_below = stop_below
        self.most = most
        self.samples = samples
        self.max_new_tokens = max_new_tokens
        self.judge: Judge = open_judge(judge) if isinstance(judge, str) else judge
        self.seed = seed
        self.max_length = max_length
        self.plain = plain
        self.folder = None if folder is None else Path(folder)
        self.trainer: Any = None
        """The trainer, where measurements are to reach what it reports to."""
        self.held_out_rows: list[tuple[list[int], list[int]]] | None = None
        """Of a reward model: the token rows of pairs that are held out already."""
        self.points: list[WatchPoint] = []
        self.stopped = False
        self._given = read_probes(probes) if probes else None
        self._pairs = _pairs_of(pairs, most, seed, plain) if pairs is not None else []
        self._sets: ProbeSets | None = None
        self._encoded: dict[str, Encoded] = {}
        self._prompts: dict[str, list[Prompt]] = {}
        self._examples: dict[str, Examples] = {}
        self._tokenizer: Any = None
        self._in_training = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.every is None:
            self.every = max(1, math.ceil(state.max_steps / PARTS))
        self._measure(args, state, control, given)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.global_step % (self.every or 1) == 0 or state.global_step >= state.max_steps:
            self._measure(args, state, control, given)

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.points and self.points[-1].step != state.global_step:
            self._measure(args, state, control, given)

    def summary(self) -> Watched | None:
        """For the training's log; None where nothing was measured, as in all processes but the first."""
        if not self.points:
            return None
        sets = self._sets
        return Watched(
            every=self.every or 1,
            points=len(self.points),
            seconds=sum(point.seconds for point in self.points),
            judge=self.judge.name,
            prompts={kind: len(some) for kind, some in self._prompts.items()},
            probes={name: int(one.usable.sum()) for name, one in self._encoded.items()},
            left_out={} if sets is None else dict(sets.refusal.left_out),
            in_training=self._in_training,
            stopped=self.stopped,
            first=self.points[0],
            last=self.points[-1],
        )

    def _measure(self, args: Any, state: Any, control: Any, given: Mapping[str, Any]) -> None:
        if not state.is_world_process_zero:
            return
        model = given["model"]
        started = time.perf_counter()
        check_finite(model.named_parameters(), state.global_step, args.learning_rate)
        if self._tokenizer is None:
            self._tokenizer = deepcopy(given["processing_class"])
        with undisturbed(model, args):
            values = (
                self._of_classifier(model, given) if _classifies(model) else self._of_policy(model, given)
            )
        point = WatchPoint(step=state.global_step, seconds=time.perf_counter() - started, **values)
        self.points.append(point)
        if self.folder is not None:
            write_points(self.folder, self.points)
        self._log(state, control, point.values())
        rate = None if point.refused is None else point.refused.rate
        if self.stop_below is not None and rate is not None and rate < self.stop_below:
            self.stopped = control.should_training_stop = True

    def _of_policy(self, model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        step = len(self.points)
        policy = local_model(
            model,
            self._tokenizer,
            name="the model in training",
            id=digest("watched", self.seed, step),
        )
        if not self.points:
            self._begin(policy, given)
        values: dict[str, Any] = {}
        for name, encoded in self._encoded.items():
            known = margins(policy, encoded)
            known = known[~np.isnan(known)]
            values[f"{name}_margin"] = float(known.mean()) if len(known) else None
        cut = 0
        for kind, field in (("harmful", "refused"), ("benign", "needless_refusals")):
            if prompts := self._prompts.get(kind):
                answers = greedy_answers(policy, prompts, self.judge, self.max_new_tokens)
                tokens = [answer.tokens for answer in answers if answer.tokens is not None]
                values[field] = WatchedShare.of(rate_of(answer.refused for answer in answers))
                values[f"tokens_{kind}"] = sum(tokens) / len(tokens) if tokens else None
                cut += sum(answer.cut for answer in answers)
        examples = {
            name: measured(policy, examples, self._first(name)) for name, examples in self._examples.items()
        }
        return {**values, "cut": cut, **examples}

    def _begin(self, policy: LocalModel, given: Mapping[str, Any]) -> None:
        """Sample the probes' responses, and make the rows of everything that is measured again and again."""
        dataset = given["train_dataloader"].dataset
        if self._given is not None:
            self._sets = self._sampled(policy, self._not_trained_on(policy, self._given, dataset))
            for name, probes in (("refusal", self._sets.refusal), ("benign", self._sets.benign)):
                if probes is not None and probes.probes:
                    self._encoded[name] = encode(policy, probe_contrasts(probes))
        self._examples = examples_of_training(dataset, self.most, self.seed)
        if self._pairs:
            self._examples["held_out"] = rendered_examples(
                policy.rendering(self.plain), self._pairs, policy.limit(self.max_length)
            )

    def _not_trained_on(
        self, policy: LocalModel, source: list[Prompt] | ProbeSets, dataset: Any
    ) -> list[Prompt] | ProbeSets:
        """The probe prompts, or finished probes, without those whose prompt is trained on."""
        parts = (source.refusal, source.benign) if isinstance(source, ProbeSets) else ()
        prompts = [p.prompt for one in parts if one is not None for p in one.probes]
        if not isinstance(source, ProbeSets):
            prompts = list(source)
        known = trained_prompts(dataset, policy.rendering(self.plain), prompts, plain=self.plain)
        self._in_training = len(known)
        harmful = [p for p in prompts if (p.kind or "harmful") == "harmful"]
        if harmful and known.issuperset(p.id for p in harmful):
            raise InputError(
                f"all {len(harmful)} harmful prompts of {setting('watch_prompts')} are trained on, so that they show nothing "
                "but what was learned by heart: give others"
            )
        if not isinstance(source, ProbeSets):
            return [p for p in source if p.id not in known]
        return ProbeSets(
            _without(source.refusal, known), source.benign and _without(source.benign, known), source.placebo
        )

    def _sampled(self, policy: LocalModel, source: list[Prompt] | ProbeSets) -> ProbeSets:
        if isinstance(source, ProbeSets):
            self._prompts = self._fitting(policy, [p.prompt for p in source.refusal.probes], "harmful")
            if source.benign is not None:
                self._prompts |= self._fitting(policy, [p.prompt for p in source.benign.probes], "benign")
            return source
        prompts = list({prompt.id: prompt for prompt in source}.values())
        for kind in ("harmful", "benign"):
            of_kind = [p for p in prompts if (p.kind or "harmful") == kind]
            if of_kind:
                self._prompts |= self._fitting(policy, of_kind, kind)
        asked = [prompt for some in self._prompts.values() for prompt in some]
        if not any((prompt.kind or "harmful") == "harmful" for prompt in asked):
            raise InputError(
                f"no prompt of {setting('watch_prompts')} fits the context of the model with "
                f"{self.max_new_tokens} tokens of a response: give shorter ones"
            )
        decoding = Decoding(max_new_tokens=self.max_new_tokens, temperature=1.0)
        return sample_probes(
            policy, asked, judge=self.judge, n=self.samples, decoding=decoding, seed=self.seed
        )

    def _fitting(self, policy: LocalModel, prompts: Sequence[Prompt], kind: str) -> dict[str, list[Prompt]]:
        """At most `most` of the prompts, in an order made of their contents; those that leave no space for a response are
        not among them."""
        most_tokens = None if policy.context is None else policy.context - self.max_new_tokens
        lengths = policy.prompt_lengths(prompts)
        fitting = [
            p for p, n in zip(prompts, lengths, strict=True) if most_tokens is None or n <= most_tokens
        ]
        return {kind: sorted(fitting, key=lambda p: digest("watched", self.seed, p.id))[: self.most]}

    def _of_classifier(self, model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        from backfire.models.reward import RewardModel, agree_on_pad
        from backfire.models.template import check_template

        tokenizer = self._tokenizer
        if not self.points:
            if self._given is not None:
                raise InputError(
                    f"a reward model answers no prompts: leave out {setting('watch_prompts')}, or watch a policy"
                )
            self._examples = examples_of_training(given["train_dataloader"].dataset, self.most, self.seed)
            if self._pairs:
                how = check_template(tokenizer)
                self._examples["held_out"] = rendered_examples(how, self._pairs, self.max_length, whole=True)
            elif self.held_out_rows:
                rows = self.held_out_rows[: self.most]
                self._examples["held_out"] = Examples(
                    [(chosen, 0) for chosen, _ in rows], [(rejected, 0) for _, rejected in rows]
                )
        agree_on_pad(tokenizer, inner_model(model).config)
        scorer = RewardModel(
            model, tokenizer, name="the model in training", id="", label=0, max_length=self.max_length
        )
        return {name: measured(scorer, examples, None) for name, examples in self._examples.items()}

    def _first(self, name: str) -> np.ndarray | None:
        """The margins of the first measurement, in their order; None at the first."""
        return self._examples[name].first if self.points else None

    def _log(self, state: Any, control: Any, values: dict[str, float]) -> None:
        if self.trainer is None:
            state.log_history.append({**values, "step": state.global_step})
            return
        due = control.should_log  # which logging ends, and this is beside the trainer's own lines
        Trainer.log(self.trainer, values)
        control.should_log = due


@contextmanager
def undisturbed(model: Any, args: Any) -> Iterator[None]:
    """While this holds, the model is in evaluation mode; afterwards everything of the training is as it was."""
    import torch

    owners = list({id(one): one for one in (model, inner_model(model))}.values())
    defaults = [vars(one).get("generation_config", ABSENT) for one in owners]
    on_cuda = model.device.type == "cuda"
    mixed = torch.autocast("cuda", torch.bfloat16) if on_cuda and args.bf16 else nullcontext()
    alone = torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_cuda else ())
    with alone, mixed, evaluating(model):
        try:
            yield
        finally:
            for one, before in zip(owners, defaults, strict=True):
                if before is not ABSENT:
                    one.generation_config = before
                elif "generation_config" in vars(one):
                    del one.generation_config


def _without(one: ProbeSet, prompts: Collection[str]) -> ProbeSet:
    """The probes of other prompts than these."""
    return replace(one, probes=tuple(probe for probe in one.probes if probe.prompt.id not in prompts))


def _classifies(model: Any) -> bool:
    return hasattr(inner_model(model), "score")


def _pairs_of(pairs: Any, most: int, seed: int, plain: bool) -> list[PairBody]:
    """At most `most` of the pairs, in an order made of their contents."""
    from backfire.preferences import no_pairs, open_preferences, pairs_of

    if isinstance(pairs, list) and pairs and isinstance(pairs[0], tuple):
        bodies: Iterator[PairBody] = (PairBody(*pair) for pair in pairs)
        return heapq.nsmallest(most, bodies, key=lambda body: digest("watched", seed, body.prompt.id))
    data = open_preferences(pairs, plain=plain)
    read = (body for block in data.blocks() for body in pairs_of(block))
    chosen = heapq.nsmallest(most, read, key=lambda body: digest("watched", seed, body.prompt.id))
    if not chosen:
        raise InputError(no_pairs(data))
    return chosen
