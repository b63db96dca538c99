"""Attack a model: ask, judge, and count, with what could not be judged beside the rate and never inside it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backfire.answers.attack import (
    AnyAttackRate,
    AttackNotRun,
    AttackResult,
    AttackRun,
    Outcomes,
    SuiteResult,
)
from backfire.errors import InputError
from backfire.evaluation.attack_inputs import AttackInputs, Model, open_attack
from backfire.evaluation.attacks import Answers, Asking, Attack, judged
from backfire.evaluation.attacks.asking import Requests
from backfire.evaluation.counting import Case, any_columns, any_of, shared_behaviours, tally
from backfire.evaluation.settings import PAPER_TOKENS, AttackSettings
from backfire.judges import Judge, for_policy
from backfire.models import LocalModel, Opening
from backfire.models.work import Announce, Expected, answered, prompt_tokens
from backfire.records import Decoding, Kind, Prompt
from backfire.store import Ledger

GREEDY = Decoding(max_new_tokens=PAPER_TOKENS, temperature=0.0)
"""One greedy response of up to 512 tokens, as arXiv 2504.02193 has it."""
ANY = "any attack"
"""What the row of all attacks together is called."""
NO_BENIGN = (
    "no benign prompts were given, so a model that refuses everything would look best: give some to see over-refusal "
    "beside attack success"
)
Progress = Callable[[int, int], None]


def attack(
    model: Model | str | Path,
    harmful: Mapping[str, Any] | None = None,
    benign: Mapping[str, Any] | None = None,
    settings: AttackSettings | None = None,
    *,
    ledger: Ledger | str | Path,
    opening: Opening | None = None,
    progress: Progress | None = None,
    **keywords: Any,
) -> AttackResult:
    """Ask a model harmful and benign requests, let judges read the answers, and give a rate per set and judge.

    The attack success rate is judged harmful / scored, with a 95% Wilson interval. A prompt without a response, or
    whose response a judge left unscored, counts as unscored; `best` and `worst` bound the rate over all of the set's
    prompts. Over-refusal is the share of responses to benign prompts that decline. Everything is stored in the
    ledger, so that a second call samples and judges only what is missing.

    Every harmful request is put as it is, once. With `suite` it is put in each of the suite's ways, and the answer is a
    `SuiteResult`: then judges read the plain request beside the response, whatever wording drew it.

    Args:
        model: an open model, or its reference.
        harmful: prompts by the set's name, or references to them; those without a kind are taken as harmful.
        benign: prompts that deserve an answer, by the set's name; those without a kind are taken as benign.
        settings: the same and everything else, which may also be given by keywords, such as `judges=["phrases"]`.
        ledger: an open ledger, or its path.
        opening: how models are opened that are named by references.
        progress: called with (done, total), counting one for each request and way of asking.

    Raises:
        InputError: an empty set, a set that a prompt's kind contradicts, two sets, attacks or judges of one name, no judge,
            a prompt with a system turn of its own beside `system`, or no attack that this model can be asked by.
    """
    sets = {"harmful": harmful, "benign": benign}
    keywords |= {name: value for name, value in sets.items() if value is not None}
    return _attacked(model, AttackSettings.of(settings, **keywords), opening, ledger, progress)


def attack_suite(
    model: Model | str | Path,
    attacks: Sequence[Attack] | str,
    harmful: Mapping[str, Any] | None = None,
    benign: Mapping[str, Any] | None = None,
    settings: AttackSettings | None = None,
    *,
    ledger: Ledger | str | Path,
    opening: Opening | None = None,
    progress: Progress | None = None,
    **keywords: Any,
) -> SuiteResult:
    """`attack` with a suite of attacks, such as `open_suite("quick")`: every harmful request is put in each of these ways.

    The first judge steers those attacks that go on until something is broken. Warns where there are no benign prompts.
    """
    sets = {"harmful": harmful, "benign": benign, "suite": attacks}
    keywords |= {name: value for name, value in sets.items() if value is not None}
    result = _attacked(model, AttackSettings.of(settings, **keywords), opening, ledger, progress)
    assert isinstance(result, SuiteResult)
    return result


def _attacked(
    model: Model | str | Path,
    settings: AttackSettings,
    opening: Opening | None,
    ledger: Ledger | str | Path,
    progress: Progress | None,
) -> AttackResult:
    """What both functions do. Its warning is of the line that called them."""
    inputs = open_attack(model, settings, opening)
    with _opened(ledger) as store:
        result = run_attack(inputs, store, progress=progress)
    if inputs.ways is not None and not inputs.benign:
        warnings.warn(NO_BENIGN, stacklevel=3)
    return result


@contextmanager
def _opened(ledger: Ledger | str | Path) -> Iterator[Ledger]:
    if isinstance(ledger, Ledger):
        yield ledger
        return
    with Ledger(Path(ledger)) as store:
        yield store


@dataclass(frozen=True)
class Round:
    """Requests that are put in one way."""

    ask: Callable[[Asking, Requests], Answers]
    requests: Requests
    rows: Mapping[str, Mapping[str, Prompt]]
    """Name of the row -> the set's prompts, by id."""


def run_attack(
    inputs: AttackInputs,
    ledger: Ledger,
    *,
    progress: Progress | None = None,
    announce: Announce | None = None,
) -> AttackResult:
    """Ask, judge and count; a `SuiteResult` where the inputs have several ways of asking.

    Requests that are put as they are stand in one round with the benign ones; every attack of a suite is a round of its own.
    `announce` is called with a sentence that says how long a local model will take at most and how much memory, before it begins;
    not where that is a few seconds.
    """
    check_sets(inputs.harmful, inputs.benign, inputs.judges)
    judges = [for_policy(judge, inputs.model) for judge in inputs.judges]
    if inputs.ways is not None:
        _check(inputs.ways, inputs.harmful, inputs.benign)
    harmful = {name: labelled(name, prompts, "harmful") for name, prompts in inputs.harmful.items()}
    benign = {name: labelled(name, prompts, "benign") for name, prompts in inputs.benign.items()}
    plain = joined({**harmful, **benign})
    if inputs.ways is None:
        rounds = [Round(Asking.answer, plain, {**harmful, **benign})]
        _announce(rounds, inputs, announce)
        cases, lost = _ask(rounds, inputs, judges, ledger, plain, progress)
        return tally(cases, inputs.settings.examples, lost)
    unfit = {way.name: way.unfit(inputs.model) for way in inputs.ways}
    fit = [way for way in inputs.ways if not unfit[way.name]]
    if not fit:
        raise InputError(
            f"{inputs.model.name} can be asked by none of the attacks: {next(iter(unfit.values()))}"
        )
    every = joined(harmful)
    rounds = [
        Round(way.ask, every, {_row(name, way.name, harmful): requests for name, requests in harmful.items()})
        for way in fit
    ]
    if benign:
        rounds.append(Round(Asking.answer, joined(benign), benign))
    _announce(rounds, inputs, announce)
    cases, lost = _ask(rounds, inputs, judges, ledger, plain, progress)
    counted = tally(cases, inputs.settings.examples, lost)
    return _together(counted, harmful, fit, judges, unfit)


def _announce(rounds: Sequence[Round], inputs: AttackInputs, announce: Announce | None) -> None:
    """Say how long the rounds will take, where every request of each is put once."""
    if announce is None or not isinstance(inputs.model, LocalModel):
        return
    most = inputs.decoding.max_new_tokens
    tokens = sum(answered((prompt_tokens(p.text) for p in one.requests.values()), most) for one in rounds)
    count = sum(len(one.requests) for one in rounds)
    stored = "what is stored already is not asked again, and attacks that ask in turns take longer"
    Expected.of(inputs.model, tokens).announce(f"asking {count:,} requests ({stored})", announce)


def rows_of(inputs: AttackInputs) -> list[str]:
    """What the rows of the attacks will be called, those of any attack included."""
    if inputs.ways is None:
        return list(inputs.harmful)
    names = [*(way.name for way in inputs.ways), ANY]
    return [_row(name, attack, inputs.harmful) for name in inputs.harmful for attack in names]


def _ask(
    rounds: Sequence[Round],
    inputs: AttackInputs,
    judges: Sequence[Judge],
    ledger: Ledger,
    plain: Requests,
    progress: Progress | None,
) -> tuple[dict[str, Case], Counter[str]]:
    """What came of every row, and the requests that were lost, by reason."""
    settings = inputs.settings
    total = sum(len(one.requests) for one in rounds)
    cases: dict[str, Case] = {}
    lost: Counter[str] = Counter()
    before = 0
    for one in rounds:
        counting = _counting(progress, before, len(one.requests), total)
        asking = Asking(
            inputs.model,
            ledger,
            inputs.decoding,
            settings.seed,
            settings.batch_size,
            judges,
            counting,
            settings.system,
            lost,
        )
        answers = one.ask(asking, one.requests)
        before += len(one.requests)
        names = list(answers.responses)
        pairs = [(plain[name], answers.responses[name]) for name in names]
        verdicts = {j.name: dict(zip(names, judged(j, pairs, ledger), strict=True)) for j in judges}
        for row, requests in one.rows.items():
            put = {p: answers.put.get(p, prompt) for p, prompt in requests.items()}
            harm = all(prompt.kind == "harmful" for prompt in requests.values())
            cases[row] = Case(requests, put, answers.responses, answers.failed, verdicts, harm, answers.cut)
    return cases, lost


def _counting(progress: Progress | None, before: int, size: int, total: int) -> Progress:
    """What a round calls with its own progress, as progress of all rounds; an attack that asks in turns never steps back."""
    done = before

    def advance(there: int, _: int) -> None:
        nonlocal done
        done = max(done, before + min(there, size))
        if progress is not None:
            progress(done, total)

    return advance


def _together(
    counted: AttackResult,
    harmful: Mapping[str, Mapping[str, Prompt]],
    ways: Sequence[Attack],
    judges: Sequence[Judge],
    unfit: Mapping[str, str],
) -> SuiteResult:
    """The rows, with what the attacks broke together."""
    each = _by_attack(harmful, ways, judges, counted.outcomes)
    together = {
        _row(name, ANY, harmful): {
            judge: {p: any_of(seen) for p, seen in of.items()} for judge, of in by.items()
        }
        for name, by in each.items()
    }
    return SuiteResult(
        **{**dict(counted), "outcomes": {**counted.outcomes, **together}},
        any_attack=[
            AnyAttackRate(
                attack=_row(name, ANY, harmful),
                prompts=name,
                judge=judge,
                attacks=len(ways),
                **any_columns(seen, shared_behaviours(harmful[name])),
            )
            for name, by in each.items()
            for judge, seen in by.items()
        ],
        attacks=[AttackRun(attack=a.name, source=a.source, parameters=dict(a.parameters)) for a in ways],
        not_run=[AttackNotRun(attack=name, reason=reason) for name, reason in unfit.items() if reason],
    )


def check_sets(
    attacks: Mapping[str, Sequence[Prompt]], benign: Mapping[str, Sequence[Prompt]], judges: Sequence[Judge]
) -> None:
    """Raise InputError for an empty or doubly named set, no judge, or two judges of one name."""
    if not attacks and not benign:
        raise InputError("nothing to ask: give at least one attack or one benign set of prompts")
    for name, prompts in [*attacks.items(), *benign.items()]:
        if not prompts:
            raise InputError(
                f"the prompt set {name!r} is empty: a rate over nothing is undefined; leave it out"
            )
    if both := sorted(attacks.keys() & benign.keys()):
        raise InputError(f"{both[0]!r} names an attack and a benign set: give one of them another name")
    names = [judge.name for judge in judges]
    if not names:
        raise InputError("no judge: give at least one, such as `phrases`")
    if twice := sorted(n for n, count in Counter(names).items() if count > 1):
        raise InputError(f"two judges are named {twice[0]!r}: their verdicts could not be told apart")


def labelled(name: str, prompts: Iterable[Prompt], kind: Kind) -> dict[str, Prompt]:
    """The set's prompts by id, each once and each of this kind."""
    by_id: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.kind not in (None, kind):
            raise InputError(
                f"the set {name!r} is taken as {kind} and holds a prompt that is labelled {prompt.kind}: "
                f"{prompt.text!r:.80}; move it to a set of its kind"
            )
        by_id.setdefault(prompt.id, prompt if prompt.kind else replace(prompt, kind=kind))
    return by_id


def joined(sets: Mapping[str, Mapping[str, Prompt]]) -> dict[str, Prompt]:
    """All sets' prompts by id, each with the tags of all its sets, an earlier set's first.

    Raises InputError for one that is harmful in one set and benign in another.
    """
    prompts: dict[str, Prompt] = {}
    for name, requests in sets.items():
        for prompt_id, prompt in requests.items():
            first = prompts.setdefault(prompt_id, prompt)
            if first.kind != prompt.kind:
                raise InputError(
                    f"a prompt of {name!r} stands in an attack and in a benign set: {prompt.text!r:.80}; "
                    "leave it out of one"
                )
            if not prompt.tags.items() <= first.tags.items():
                prompts[prompt_id] = replace(first, tags={**prompt.tags, **first.tags})
    return prompts


def _check(
    attacks: Sequence[Attack],
    requests: Mapping[str, Sequence[Prompt]],
    benign: Mapping[str, Sequence[Prompt]],
) -> None:
    if not requests:
        raise InputError("no requests to attack with: give at least one set of harmful prompts")
    if not attacks:
        raise InputError("no attack: give at least one, such as open_suite('quick')")
    names = [attack.name for attack in attacks]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two attacks are named {twice[0]!r}: give one of them another name")
    if ANY in names:
        raise InputError(f"an attack is named {ANY!r}, as all of them together are: give it another name")
    rows = [_row(name, attack, requests) for name in requests for attack in (*names, ANY)]
    if twice := [row for row in rows if rows.count(row) > 1]:
        raise InputError(f"two rows would be named {twice[0]!r}: give a set or an attack another name")
    if both := [row for row in rows if row in benign]:
        raise InputError(f"{both[0]!r} names an attack and a benign set: give one of them another name")


def _row(name: str, attack: str, requests: Mapping[str, object]) -> str:
    return attack if len(requests) == 1 else f"{name}/{attack}"


def _by_attack(
    harmful: Mapping[str, Mapping[str, Prompt]],
    attacks: Sequence[Attack],
    judges: Sequence[Judge],
    outcomes: Outcomes,
) -> dict[str, dict[str, dict[str, list[bool | None]]]]:
    """set -> judge -> request -> what came of it, by attack."""
    return {
        name: {
            judge.name: {
                p: [outcomes[_row(name, attack.name, harmful)][judge.name][p] for attack in attacks]
                for p in requests
            }
            for judge in judges
        }
        for name, requests in harmful.items()
    }
