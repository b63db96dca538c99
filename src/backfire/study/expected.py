"""How long the stages of a study take: by arithmetic before they run, set right by those that have ended.

The unit of work is that of `models.work`. What differs between kinds of stages beyond the arithmetic shows once stages of that
kind have ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from backfire.errors import BackfireError
from backfire.influence.pilot import ANSWER_TOKENS
from backfire.influence.probes import SAMPLES
from backfire.models.settings import LoRASettings, Opening
from backfire.models.weight_count import saved_bytes, weight_count
from backfire.models.work import OF_LONGEST, TRAINED, WRITTEN, machine_speed, prompt_tokens
from backfire.study.artifacts import ProbesArtifact
from backfire.study.inputs import Artifact, Input, ModelInput, PromptsInput, SuiteInput, TasksInput
from backfire.study.stage import Stage
from backfire.training.expected import training_tokens
from backfire.training.fitting import trains_all
from backfire.training.settings import RLOOSettings, TrainingSettings

READ = 1.5
"""Times that a prediction by hidden states reads the pairs."""
ANSWERS, QUESTION, ITEMS = 4, 60, 1000
"""Of a general task: answers to an item, tokens of each, and the items of a task that cannot be counted."""


@dataclass(frozen=True)
class Planned:
    """What the arithmetic needs to know of a study's stages."""

    by_folder: Mapping[Path, Stage[Any]]

    @classmethod
    def of(cls, stages: Sequence[Stage[Any]]) -> Planned:
        return cls({stage.folder: stage for stage in stages})

    def work(self, stage: Stage[Any]) -> float:
        """Of one stage; 0 where it computes with no model, or nothing can be known of it."""
        of_verb = WORK.get(stage.verb)
        try:
            return 0.0 if of_verb is None else float(of_verb(self, stage))
        except (BackfireError, OSError, ValueError, KeyError, AttributeError):
            return 0.0

    def makers(self, stage: Stage[Any]) -> Iterator[Stage[Any]]:
        """A stage, and those that make what it is made from, and so on."""
        yield stage
        for one in stage.inputs:
            if isinstance(one, Artifact) and one.folder in self.by_folder:
                yield from self.makers(self.by_folder[one.folder])

    def prompts(self, stage: Stage[Any]) -> tuple[int, float]:
        """How many prompts its data answer, and their mean length in tokens."""
        opened = (
            one for maker in self.makers(stage) for one in maker.inputs if isinstance(one, PromptsInput)
        )
        first = next(opened, None)
        return (0, 0.0) if first is None else _prompts(first.reference)

    def written(self, stage: Stage[Any]) -> tuple[int, float]:
        """Responses to each prompt, and their mean tokens, of the stages that sample what a stage is made from."""
        of_samples = [maker.settings for maker in self.makers(stage) if maker.verb == "sample"]
        sampled = [one for one in of_samples if hasattr(one, "decoding")]
        if not sampled:
            return 1, 100.0
        return sampled[0].n, OF_LONGEST * max(one.decoding.max_new_tokens for one in sampled)

    def parameters(self, stage: Stage[Any], *roles: str) -> int:
        """Numbers of the model in the first of these roles."""
        by_role = {one.role: one for one in stage.inputs}
        return next((self._numbers(by_role[role]) for role in roles if role in by_role), 0)

    def _numbers(self, one: Input) -> int:
        if isinstance(one, ModelInput):
            return _weights(one.reference)
        if isinstance(one, Artifact) and one.folder in self.by_folder:
            return self.parameters(self.by_folder[one.folder], "policy", "model")
        return 0

    def probes(self, stage: Stage[Any]) -> tuple[int, float]:
        """Prompts that the probes are sampled for, and their mean tokens."""
        for one in stage.inputs:
            if isinstance(one, ProbesArtifact):
                return self.probes(self.by_folder[one.folder])
        named = [
            one for one in stage.inputs if isinstance(one, PromptsInput) and one.role in ("harmful", "benign")
        ]
        counts = [_prompts(one.reference) for one in named]
        total = sum(count for count, _ in counts)
        return total, sum(count * length for count, length in counts) / max(1, total)


def _sample(study: Planned, stage: Stage[Any]) -> float:
    count, length = study.prompts(stage)
    n, tokens = study.written(stage)
    return study.parameters(stage, "model") * count * (length + n * WRITTEN * tokens)


def _score(study: Planned, stage: Stage[Any]) -> float:
    count, length = study.prompts(stage)
    n, tokens = study.written(stage)
    return study.parameters(stage, "reward model") * count * n * (length + tokens)


def _pair_tokens(study: Planned, stage: Stage[Any]) -> tuple[int, float]:
    count, length = study.prompts(stage)
    return count, length + 2 * study.written(stage)[1]


def _probes(study: Planned, stage: Stage[Any]) -> float:
    count, length = study.probes(stage)
    tokens = OF_LONGEST * stage.settings.decoding.max_new_tokens
    return float(study.parameters(stage, "policy") * count * (length + SAMPLES * WRITTEN * tokens))


def _influence(study: Planned, stage: Stage[Any]) -> float:
    count, length = _pair_tokens(study, stage)
    passes = READ if stage.settings["parameters"] == "none" else READ + 2 * TRAINED
    probes, probe_length = study.probes(stage)
    return (
        study.parameters(stage, "policy")
        * passes
        * (count * length + probes * (probe_length + ANSWER_TOKENS))
    )


def _pilot(study: Planned, stage: Stage[Any]) -> float:
    _, length = _pair_tokens(study, stage)
    training = stage.settings.training
    pairs = stage.settings.steps * training.batch_size * training.gradient_accumulation
    probes, probe_length = study.probes(stage)
    asked = probes * (2 * (probe_length + ANSWER_TOKENS) + 2 * WRITTEN * OF_LONGEST * ANSWER_TOKENS)
    return float(study.parameters(stage, "policy") * (pairs * length * (TRAINED + 1) + asked))


def _train(study: Planned, stage: Stage[Any]) -> float:
    settings: Any = getattr(stage.settings, "training", stage.settings)
    count, length = _pair_tokens(study, stage)
    each = settings.batch_size * settings.gradient_accumulation
    if isinstance(settings, RLOOSettings):
        length = study.prompts(stage)[1]
        steps = settings.steps or -(-count // each)
    else:
        steps = max(1, round(count * settings.epochs / each))
    work = training_tokens(settings, count, length)
    return float(study.parameters(stage, "policy", "model") * (work + _watching(stage, settings, steps)))


def _watching(stage: Stage[Any], settings: TrainingSettings, steps: int) -> float:
    watch = settings.watch
    if not watch.on:
        return 0.0
    named = [one for one in stage.inputs if isinstance(one, PromptsInput) and one.role.startswith("watch/")]
    asked = [(min(watch.most, count), length) for count, length in (_prompts(one.reference) for one in named)]
    tokens = OF_LONGEST * watch.max_new_tokens
    measurements = 1 + -(-steps // (watch.every or max(1, steps // 20)))
    once = sum(count * watch.samples * WRITTEN * tokens for count, _ in asked)
    return once + measurements * sum(
        count * (2 * length + WRITTEN * tokens + 2 * tokens) for count, length in asked
    )


def _attack(study: Planned, stage: Stage[Any]) -> float:
    from backfire.evaluation.attacks.building import Means, open_suite

    attack = stage.settings.attack
    sets = [
        one
        for one in stage.inputs
        if isinstance(one, PromptsInput) and one.role.startswith(("harmful", "benign"))
    ]
    suites = [one for one in stage.inputs if isinstance(one, SuiteInput)]
    wordings = sum(len(open_suite(one.reference, Means(**one.means))) for one in suites) or 1
    tokens = OF_LONGEST * (attack.get("decoding") or attack).get("max_new_tokens", 256)
    counts = [_prompts(one.reference) for one in sets]
    asked = sum(count * (length + WRITTEN * tokens) for count, length in counts)
    return float(study.parameters(stage, "policy") * wordings * asked)


def _general(study: Planned, stage: Stage[Any]) -> float:
    tasks, data = next(one for one in stage.inputs if isinstance(one, TasksInput)).resolve()
    if isinstance(tasks, Path):
        folder = (data or tasks) if (data or tasks).is_dir() else tasks.parent
        items = [_lines(file) for file in sorted(folder.glob("*.jsonl"))]
    else:
        items = [ITEMS] * len(tasks)
    limit = stage.settings.get("limit")
    total = sum(items if limit is None else (min(limit, count) for count in items))
    return study.parameters(stage, "policy") * total * ANSWERS * QUESTION


def _audit(study: Planned, stage: Stage[Any]) -> float:
    if not any(one.role == "policy" for one in stage.inputs):
        return 0.0
    count, length = _pair_tokens(study, stage)
    return study.parameters(stage, "policy") * count * length


def _margin(study: Planned, stage: Stage[Any]) -> float:
    count, length = study.probes(stage)
    return study.parameters(stage, "untrained policy") * count * 4 * (length + ANSWER_TOKENS)


WORK: Mapping[str, Callable[[Planned, Stage[Any]], float]] = {
    "sample": _sample,
    "score": _score,
    "probes": _probes,
    "influence": _influence,
    "pilot": _pilot,
    "train": _train,
    "attack": _attack,
    "general": _general,
    "audit": _audit,
    "margin": _margin,
}
"""What a verb costs; of others it is not known."""


@dataclass
class TimeLeft:
    """How long the stages that wait will take."""

    work: Mapping[str, float]
    """Of every stage, by its name."""
    machine: Callable[[], float]
    """Work a second of one process by a measurement of this machine, for the time before any stage has ended."""
    done: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By verb: work and seconds of the stages that have ended."""

    def ended(self, stage: Stage[Any], seconds: float) -> None:
        self.done[stage.verb].append((self.work.get(stage.name, 0.0), seconds))

    def of(self, waiting: Sequence[Stage[Any]]) -> float:
        """Seconds of one process."""
        return sum(self._seconds(stage) for stage in waiting)

    def _seconds(self, stage: Stage[Any]) -> float:
        work = self.work.get(stage.name, 0.0)
        of_verb = self.done.get(stage.verb, [])
        if work == 0:
            return sum(seconds for _, seconds in of_verb) / len(of_verb) if of_verb else 0.0
        computed = [one for one in of_verb if one[0] > 0]
        if not computed:
            return work * self._pace()
        return work * sum(seconds for _, seconds in computed) / sum(one for one, _ in computed)

    def _pace(self) -> float:
        """Seconds that a unit of work takes in a verb none of whose stages has ended: the geometric mean of what it takes in each
        other verb and, once, what the measurement of this machine says. One verb that is far off counts as one of many so."""
        paces = [1 / self.machine()]
        for ended in self.done.values():
            computed = [one for one in ended if min(one) > 0]
            if computed:
                paces.append(sum(seconds for _, seconds in computed) / sum(work for work, _ in computed))
        return geometric_mean(paces)


def disk_needed(stages: Sequence[Stage[Any]]) -> int:
    """Bytes that these stages will write: trained policies, which are nearly all of it. What is not known counts as nothing."""
    return sum(_written_bytes(stage) for stage in stages if stage.verb in ("train", "reward"))


def _written_bytes(stage: Stage[Any]) -> int:
    settings: Any = getattr(stage.settings, "training", stage.settings)
    model = next(
        (one for one in stage.inputs if isinstance(one, ModelInput) and one.role in ("policy", "model")), None
    )
    try:
        if model is None:
            return 0
        whole = stage.verb == "reward" or trains_all(settings, _weights(model.reference))
        return saved_bytes(model.reference, None if whole else (settings.adapter or LoRASettings()).r)
    except (BackfireError, OSError, ValueError):
        return 0


def time_left(stages: Sequence[Stage[Any]], workers: int) -> TimeLeft:
    """Of a study's stages, which so many processes run."""
    study = Planned.of(stages)
    work = {stage.name: study.work(stage) for stage in stages}
    return TimeLeft(work, lambda: machine_speed(Opening().device) / workers)


@cache
def _prompts(reference: str) -> tuple[int, float]:
    from backfire.prompts import open_prompts

    prompts = open_prompts(reference).prompts
    return len(prompts), sum(prompt_tokens(prompt.text) for prompt in prompts) / max(1, len(prompts))


@cache
def _weights(reference: str) -> int:
    return weight_count(reference)


@cache
def _lines(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(1 for line in opened if line.strip())
