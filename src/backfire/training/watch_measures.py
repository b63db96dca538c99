"""What a watch measures of a model in training: margins of probes, greedy answers to prompts, and pairs.

Nothing of the training is touched by a measurement: the modes of the modules, the generation defaults and the random numbers
are what they were before.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.errors import InputError, setting
from backfire.influence.answering import greedy_answers
from backfire.influence.margins import Encoded, encode, margins, probe_contrasts
from backfire.influence.probe_files import probe_lines, probes_of_lines, read_probes
from backfire.influence.probe_sets import ProbeSet, ProbeSets
from backfire.influence.probes import sample_probes
from backfire.models.local import LocalModel
from backfire.models.logps import inner_model
from backfire.models.modes import evaluating
from backfire.models.opening import local_model
from backfire.models.sharded import of_the_first
from backfire.records import Decoding, PairBody, Prompt, Response, Verdict, digest
from backfire.statistics import rate_of
from backfire.training.watch_points import WatchedShare
from backfire.training.watched_examples import (
    Examples,
    examples_of_training,
    measured,
    rendered_examples,
    trained_prompts,
)

if TYPE_CHECKING:
    from backfire.judges import Judge

ABSENT: Any = object()
IN_CHECKPOINT = "what a resumed training measures"


class Measures:
    """The probes, prompts and pairs of one watch; what they are made of is read at once, and rendered at the first measurement."""

    def __init__(
        self,
        probes: Any,
        pairs: Any,
        *,
        most: int,
        samples: int,
        per_side: int,
        max_new_tokens: int,
        judge: str | Judge,
        seed: int,
        max_length: int | None,
        plain: bool,
    ) -> None:
        """Raises InputError for probes or pairs that cannot be read."""
        from backfire.judges import open_judge

        self.most = most
        self.samples = samples
        self.per_side = per_side
        self.max_new_tokens = max_new_tokens
        self.judge: Judge = open_judge(judge) if isinstance(judge, str) else judge
        self.seed = seed
        self.max_length = max_length
        self.plain = plain
        self.held_out_rows: list[tuple[list[int], list[int]]] | None = None
        """Of a reward model: the token rows of pairs that are held out already."""
        given = not isinstance(probes, (str, Sequence)) or len(probes) > 0
        self._given = read_probes(probes) if given else None
        self._pairs = _pairs_of(pairs, most, seed, plain) if pairs is not None else []
        self.sets: ProbeSets | None = None
        self.encoded: dict[str, Encoded] = {}
        self.prompts: dict[str, list[Prompt]] = {}
        self.in_training = 0
        self._examples: dict[str, Examples] = {}
        self._tokenizer: Any = None
        self.together = False
        """Whether all processes measure the same, since they share the model."""
        self._begun = False
        self._count = 0

    @property
    def about(self) -> str:
        """Digest of what is measured and how, which a resumed training compares."""
        source = self._given
        if isinstance(source, ProbeSets):
            names = [one.digest for one in (source.refusal, source.benign) if one is not None]
        else:
            names = [prompt.id for prompt in source or ()]
        how = [
            self.most,
            self.samples,
            self.per_side,
            self.max_new_tokens,
            self.judge.id,
            self.seed,
            self.max_length,
        ]
        return digest("watched", names, [body.prompt.id for body in self._pairs], how, self.plain)

    def state(self) -> dict[str, Any]:
        """What a resumed training needs to measure the same: the sampled probes, and the first margins of the pairs."""
        if not self._begun:
            return {}
        return {
            "about": self.about,
            "probes": None if self.sets is None else probe_lines(self.sets),
            "first": {
                name: one.first.tolist() for name, one in self._examples.items() if one.first is not None
            },
        }

    def measure(
        self, model: Any, processing_class: Any, dataset: Any, *, answers: bool, resumed: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The fields of a `WatchPoint`.

        answers: whether prompts are answered, too. resumed: the `state` of an earlier part of the training, at the first call.
        """
        if self.together and not isinstance(self.judge, FirstJudge):
            self.judge = FirstJudge(self.judge)
        if self._tokenizer is None:
            self._tokenizer = deepcopy(getattr(processing_class, "tokenizer", processing_class))
        if hasattr(inner_model(model), "score"):
            return self._of_classifier(model, dataset)
        return self._of_policy(model, dataset, answers, resumed)

    def _of_policy(
        self, model: Any, dataset: Any, answers: bool, resumed: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._count += 1
        policy = local_model(
            model,
            self._tokenizer,
            name="the model in training",
            id=digest("watched", self.seed, self._count),
        )
        if not self._begun:
            self._begin(policy, dataset, resumed)
        values: dict[str, Any] = {}
        for name, encoded in self.encoded.items():
            known = margins(policy, encoded)
            known = known[~np.isnan(known)]
            values[f"{name}_margin"] = float(known.mean()) if len(known) else None
        cut = 0
        for kind, field in (("harmful", "refused"), ("benign", "needless_refusals")):
            if answers and (prompts := self.prompts.get(kind)):
                answered = greedy_answers(policy, prompts, self.judge, self.max_new_tokens)
                tokens = [answer.tokens for answer in answered if answer.tokens is not None]
                values[field] = WatchedShare.of(rate_of(answer.refused for answer in answered))
                values[f"tokens_{kind}"] = sum(tokens) / len(tokens) if tokens else None
                cut += sum(answer.cut for answer in answered)
        examples = {name: measured(policy, one) for name, one in self._examples.items()}
        return {**values, "cut": cut, **examples}

    def _begin(self, policy: LocalModel, dataset: Any, resumed: Mapping[str, Any]) -> None:
        """Sample the probes' responses, and make the rows of everything that is measured again and again."""
        if self._given is not None:
            source = self._not_trained_on(policy, self._given, dataset)
            known = probes_of_lines(resumed["probes"], IN_CHECKPOINT) if resumed.get("probes") else None
            self.sets = self._sampled(policy, source, known)
            for name, probes in (("refusal", self.sets.refusal), ("benign", self.sets.benign)):
                if probes is not None and probes.probes:
                    self.encoded[name] = encode(policy, probe_contrasts(probes))
        self._examples = examples_of_training(dataset, self.most, self.seed)
        if self._pairs:
            self._examples["held_out"] = rendered_examples(
                policy.rendering(self.plain), self._pairs, policy.limit(self.max_length)
            )
        for name, first in resumed.get("first", {}).items():
            if name in self._examples and len(self._examples[name].chosen) == len(first):
                self._examples[name].first = np.array(first)
        self._begun = True

    def _not_trained_on(
        self, policy: LocalModel, source: list[Prompt] | ProbeSets, dataset: Any
    ) -> list[Prompt] | ProbeSets:
        """The probe prompts, or finished probes, without those whose prompt is trained on."""
        parts = (source.refusal, source.benign) if isinstance(source, ProbeSets) else ()
        prompts = [p.prompt for one in parts if one is not None for p in one.probes]
        if not isinstance(source, ProbeSets):
            prompts = list(source)
        known = trained_prompts(dataset, policy.rendering(self.plain), prompts, plain=self.plain)
        self.in_training = len(known)
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

    def _sampled(
        self, policy: LocalModel, source: list[Prompt] | ProbeSets, known: ProbeSets | None
    ) -> ProbeSets:
        """The probes; `known` are those that an earlier part of the training sampled."""
        if isinstance(source, ProbeSets):
            self.prompts = self._fitting(policy, [p.prompt for p in source.refusal.probes], "harmful")
            if source.benign is not None:
                self.prompts |= self._fitting(policy, [p.prompt for p in source.benign.probes], "benign")
            return self._at_most(source)
        prompts = list({prompt.id: prompt for prompt in source}.values())
        for kind in ("harmful", "benign"):
            of_kind = [p for p in prompts if (p.kind or "harmful") == kind]
            if of_kind:
                self.prompts |= self._fitting(policy, of_kind, kind)
        asked = [prompt for some in self.prompts.values() for prompt in some]
        if not any((prompt.kind or "harmful") == "harmful" for prompt in asked):
            raise InputError(
                f"no prompt of {setting('watch_prompts')} fits the context of the model with "
                f"{self.max_new_tokens} tokens of a response: give shorter ones"
            )
        if known is not None:
            return known
        decoding = Decoding(max_new_tokens=self.max_new_tokens, temperature=1.0)
        return sample_probes(
            policy,
            asked,
            judge=self.judge,
            n=self.samples,
            decoding=decoding,
            seed=self.seed,
            most=self.per_side,
        )

    def _at_most(self, source: ProbeSets) -> ProbeSets:
        """At most `most` finished probes of each kind, those whose prompts are answered first."""

        def some(one: ProbeSet) -> ProbeSet:
            order = sorted(one.probes, key=lambda probe: digest("watched", self.seed, probe.prompt.id))
            return replace(one, probes=tuple(order[: self.most]))

        return ProbeSets(some(source.refusal), source.benign and some(source.benign), source.placebo)

    def _fitting(self, policy: LocalModel, prompts: Sequence[Prompt], kind: str) -> dict[str, list[Prompt]]:
        """At most `most` of the prompts, in an order made of their contents; those that leave no space for a response are
        not among them."""
        most_tokens = None if policy.context is None else policy.context - self.max_new_tokens
        lengths = policy.prompt_lengths(prompts)
        fitting = [
            p for p, n in zip(prompts, lengths, strict=True) if most_tokens is None or n <= most_tokens
        ]
        return {kind: sorted(fitting, key=lambda p: digest("watched", self.seed, p.id))[: self.most]}

    def _of_classifier(self, model: Any, dataset: Any) -> dict[str, Any]:
        from backfire.models.reward import RewardModel, agree_on_pad
        from backfire.models.template import check_template

        if not self._begun:
            if self._given is not None:
                raise InputError(
                    f"a reward model answers no prompts: leave out {setting('watch_prompts')}, or watch a policy"
                )
            self._examples = examples_of_training(dataset, self.most, self.seed)
            if self._pairs:
                how = check_template(self._tokenizer)
                self._examples["held_out"] = rendered_examples(how, self._pairs, self.max_length, whole=True)
            elif self.held_out_rows:
                rows = self.held_out_rows[: self.most]
                self._examples["held_out"] = Examples(
                    [(chosen, 0) for chosen, _ in rows], [(rejected, 0) for _, rejected in rows]
                )
            self._begun = True
        agree_on_pad(self._tokenizer, inner_model(model).config)
        scorer = RewardModel(
            model, self._tokenizer, name="the model in training", id="", label=0, max_length=self.max_length
        )
        return {name: measured(scorer, examples) for name, examples in self._examples.items()}


@dataclass(frozen=True)
class FirstJudge:
    """A judge that is asked in the first process alone, whose verdicts all processes get."""

    asked: Judge

    @property
    def name(self) -> str:
        return self.asked.name

    @property
    def id(self) -> str:
        return self.asked.id

    def judge(self, prompt: Prompt, response: Response) -> Verdict:
        return of_the_first(lambda: self.asked.judge(prompt, response))


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
