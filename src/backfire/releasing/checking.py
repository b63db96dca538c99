"""The check itself: both models are asked and scored, one after the other, and held against the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from backfire.answers.general import GeneralResult
from backfire.answers.release import (
    Binding,
    ReleaseReport,
    TestedJudge,
    TestedModel,
    TestedPrompts,
    sealed,
)
from backfire.errors import InputError, ModelError
from backfire.evaluation.attack_inputs import AttackInputs, Model, open_attack
from backfire.evaluation.attacking import run_attack
from backfire.evaluation.general_tasks import general
from backfire.evaluation.settings import GeneralSettings
from backfire.judges import Judge, judge_digest
from backfire.models import EndpointModel, Opening, open_model
from backfire.organisms.catalog import world_named_by
from backfire.records import Prompt, digest
from backfire.releasing.deciding import decide, overall
from backfire.releasing.evidence import Answered, evidence_of
from backfire.releasing.power import check_names, check_power, check_tasks
from backfire.releasing.rules_file import read_rules
from backfire.releasing.settings import ReleaseRules, ReleaseSettings
from backfire.releasing.source_code import tested_code
from backfire.store import Ledger

LEDGER, GENERAL = "ledger.db", "general.json"
Progress = Callable[[str, int, int], None]
"""Called with what is asked, how much of it is done, and how much there is."""


def release(
    base: Model | str | Path,
    candidate: Model | str | Path,
    settings: ReleaseSettings | None = None,
    *,
    out: str | Path,
    progress: Progress | None = None,
    **keywords: Any,
) -> ReleaseReport:
    """Ask a base and a candidate the same, and hold the candidate against the written rules.

    Responses and verdicts are stored in a ledger, and the numbers of general tasks in a file, both in the folder `out`: a check
    that was interrupted goes on, and a second one asks nothing again. One model is open at a time.

    Args:
        base: the model that is in use, or its reference.
        candidate: the model that may replace it, or its reference.
        settings: the rules file and the rest, which may also be given by keywords, such as `policy_file="release.yaml"`.
        out: a folder for what is stored.
        progress: called with what is asked, what is done of it, and all there is.

    Raises:
        InputError: a rules file that does not fit, or rules that the number of prompts can never decide.
        ModelError: a model that cannot be opened, or an endpoint where general tasks are asked.
    """
    settings = ReleaseSettings.of(settings, **keywords)
    rules = read_rules(settings.policy_file)
    return release_by(rules, base, candidate, settings, out=Path(out), progress=progress)


def release_by(
    rules: ReleaseRules,
    base: Model | str | Path,
    candidate: Model | str | Path,
    settings: ReleaseSettings,
    *,
    out: Path,
    progress: Progress | None = None,
) -> ReleaseReport:
    """`release`, by rules that were read already."""
    sides = {"base": base, "candidate": candidate}
    for side, model in sides.items():
        _check_kind(side, model, rules)
    out.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Measured] = {}
    with _opened(settings.ledger, out / LEDGER) as ledger:
        for side, model in sides.items():
            before = next(iter(measured.values()), None)
            measured[side] = _measure(side, model, rules, settings.opening, ledger, out, progress, before)
    first, second = measured["base"], measured["candidate"]
    evidence = evidence_of(first.answered, second.answered, first.judge_names, first.tags, rules.attacks.seed)
    results = decide(rules, evidence)
    return sealed(
        {
            "backfire": version("backfire"),
            "name": rules.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "verdict": overall(results),
            "results": [one.model_dump() for one in results],
            "rules": rules.model_dump(mode="json", exclude_unset=True),
            "binding": _binding(rules, first, second).model_dump(),
            "evidence": evidence.model_dump(),
        }
    )


@dataclass(frozen=True)
class Measured:
    """One model, what it was asked, and what it answered."""

    model: TestedModel
    inputs: AttackInputs | None
    answered: Answered

    @property
    def judge_names(self) -> list[str]:
        return [] if self.inputs is None else [judge.name for judge in self.inputs.judges]

    @property
    def tags(self) -> dict[str, Mapping[str, str]]:
        """By prompt id, what is known of a prompt."""
        if self.inputs is None:
            return {}
        sets = [*self.inputs.harmful.values(), *self.inputs.benign.values()]
        return {prompt.id: prompt.tags for prompts in sets for prompt in prompts}


def _check_kind(side: str, model: object, rules: ReleaseRules) -> None:
    endpoint = isinstance(model, EndpointModel) or str(model).startswith("openai:")
    if endpoint and rules.general is not None:
        raise ModelError(
            f"the {side} {getattr(model, 'name', model)} is an endpoint, and general tasks need log-probabilities of given answers: "
            "name a checkpoint folder, or leave `general` and its rules out of the rules file"
        )


@contextmanager
def _opened(ledger: Ledger | str | Path | None, default: Path) -> Iterator[Ledger]:
    if isinstance(ledger, Ledger):
        yield ledger
        return
    with Ledger(default if ledger is None else Path(ledger)) as store:
        yield store


def _measure(
    side: str,
    model: Model | str | Path,
    rules: ReleaseRules,
    opening: Opening,
    ledger: Ledger,
    out: Path,
    progress: Progress | None,
    before: Measured | None,
) -> Measured:
    """Attacks, benign prompts and general tasks of one model."""
    inputs = None
    if rules.attacks.harmful or rules.attacks.benign:
        inputs = open_attack(model, rules.attacks, opening)
        if before is None:
            check_names(rules, inputs)
            check_power(rules, inputs)
            check_tasks(rules, world_of(inputs))
        else:
            _same_prompts(before, inputs)
        model = inputs.model
    elif isinstance(model, (str, Path)):
        model = open_model(model, **opening.options())
    attacked = None
    if inputs is not None:
        asking = None if progress is None else lambda done, total: progress(f"asking the {side}", done, total)
        attacked = run_attack(inputs, ledger, progress=asking)
    scored = None if rules.general is None else _scores(side, model, rules.general, out, progress)
    return Measured(_tested(model), inputs, Answered(attacked, scored))


def _scores(
    side: str, model: Any, settings: GeneralSettings, out: Path, progress: Progress | None
) -> GeneralResult:
    world = settings.world or world_named_by(str(model.name))
    asking = None if progress is None else lambda task, done, total: progress(f"{task}, {side}", done, total)
    return general(
        model, settings=GeneralSettings.of(settings, world=world), resume=out / GENERAL, progress=asking
    )


def _same_prompts(before: Measured, inputs: AttackInputs) -> None:
    first = before.inputs
    assert first is not None
    for kind in ("harmful", "benign"):
        for name, prompts in getattr(inputs, kind).items():
            if _ids(prompts) != _ids(getattr(first, kind)[name]):
                raise InputError(
                    f"the prompts of {name!r} changed while the check ran: leave their file as it is, and run it again"
                )
    if first.decoding != inputs.decoding:
        raise InputError(
            f"the candidate would be decoded otherwise than the base ({inputs.decoding.as_dict()}, {first.decoding.as_dict()}), "
            "since their contexts differ: set attacks.decoding.max_new_tokens in the rules file"
        )


def _ids(prompts: Sequence[Prompt]) -> list[str]:
    return [prompt.id for prompt in prompts]


def _tested(model: Model) -> TestedModel:
    local = None if isinstance(model, EndpointModel) else model
    return TestedModel(
        model=model.name,
        model_id=model.id,
        template=model.template_digest,
        dtype=None if local is None else str(local.model.dtype).removeprefix("torch."),
        device=None if local is None else str(local.device),
    )


def _binding(rules: ReleaseRules, first: Measured, second: Measured) -> Binding:
    inputs, scored = first.inputs, first.answered.general
    attacked = first.answered.attacked
    about = {} if inputs is None else inputs.as_dict()
    return Binding(
        base=first.model,
        candidate=second.model,
        prompts={} if inputs is None else _tested_prompts(inputs),
        judges=[] if inputs is None else _tested_judges(inputs),
        attacks={
            one.attack: {"source": one.source, "parameters": one.parameters}
            for one in getattr(attacked, "attacks", ())
        },
        decoding=about.get("decoding", {}),
        asked={key: about.get(key) for key in ("seed", "batch_size", "wrapper", "suite", "system")},
        tasks={} if scored is None else scored.definitions,
        tasks_asked={}
        if scored is None or rules.general is None
        else {**scored.settings, "limit": rules.general.limit},
        code=tested_code(),
    )


def _tested_prompts(inputs: AttackInputs) -> dict[str, TestedPrompts]:
    by_kind: dict[Literal["harmful", "benign"], Mapping[str, Sequence[Prompt]]] = {
        "harmful": inputs.harmful,
        "benign": inputs.benign,
    }
    return {
        name: TestedPrompts(
            reference=inputs.references.get(name),
            kind=kind,
            prompts=len(prompts),
            digest=prompts_digest(prompts),
        )
        for kind, sets in by_kind.items()
        for name, prompts in sets.items()
    }


def prompts_digest(prompts: Sequence[Prompt]) -> str:
    """A digest of prompts by their ids, in their order."""
    return digest("prompts", _ids(prompts))


def _tested_judges(inputs: AttackInputs) -> list[TestedJudge]:
    references = inputs.settings.judges
    given: Sequence[Any] = [judge.name for judge in inputs.judges] if references is None else references
    return [
        _tested_judge(reference, judge, world_of(inputs))
        for reference, judge in zip(given, inputs.judges, strict=True)
    ]


def _tested_judge(reference: Any, judge: Judge, world: str | None) -> TestedJudge:
    named = str(reference) if isinstance(reference, (str, Path)) else None
    return TestedJudge(
        reference=named,
        judge=judge.name,
        judge_id=judge.id,
        digest=None if named is None else judge_digest(named, world=world),
    )


def world_of(inputs: AttackInputs) -> str | None:
    """The world of organisms whose facts the judge `exact` reads: the rules file's, or that of the prompts."""
    worlds = [world_named_by(reference) for reference in inputs.references.values()]
    return inputs.settings.world or world_named_by(inputs.model.name) or next((w for w in worlds if w), None)
