"""Attack a model in several ways with the same requests, and count the requests that any of them broke."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backfire.answers.attack import AnyAttackRate, AttackNotRun, AttackRun, Outcomes, SuiteResult
from backfire.errors import InputError
from backfire.evaluation.attacking import GREEDY, check_sets, joined, labelled
from backfire.evaluation.attacks import Answers, Asking, Attack, judged
from backfire.evaluation.counting import (
    Case,
    any_columns,
    any_of,
    shared_behaviours,
    tally,
)
from backfire.judges import Judge, for_policy
from backfire.models import EndpointModel, LocalModel
from backfire.records import Decoding, Prompt
from backfire.store import Ledger

ANY = "any attack"
"""What the row of all attacks together is called."""
NO_BENIGN = (
    "no benign prompts were given, so a model that refuses everything would look best: give some to see over-refusal "
    "beside attack success"
)


def attack_suite(
    model: LocalModel | EndpointModel,
    attacks: Sequence[Attack],
    requests: Mapping[str, Sequence[Prompt]],
    benign: Mapping[str, Sequence[Prompt]],
    *,
    judges: Sequence[Judge],
    ledger: Ledger,
    decoding: Decoding = GREEDY,
    seed: int = 0,
    batch_size: int = 64,
    examples: int = 3,
    system: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SuiteResult:
    """Put every request in every one of these ways, and the benign prompts as they are.

    Every judge reads the plain request beside the response. Everything asked, answered and judged is in the ledger, and
    found there by a second call. Warns where there are no benign prompts.

    Args:
        attacks: such as `open_suite("quick")`; the first judge steers those that go on until something is broken.
        requests: harmful prompts by the set's name; those without a kind are taken as harmful.
        benign: prompts that deserve an answer, by the set's name.
        system: a system turn before every prompt, whatever the attack; the judges do not read it.
        progress: called with (done, total), counting one for each request and attack.

    Raises:
        InputError: no request or attack, two attacks of one name, an attack and a benign set of one name, no attack that
            this model can be asked by, and what `attack` raises.
    """
    check_sets(requests, benign, judges)
    judges = [for_policy(judge, model) for judge in judges]
    _check(attacks, requests, benign)
    harmful = {name: labelled(name, prompts, "harmful") for name, prompts in requests.items()}
    allowed = {name: labelled(name, prompts, "benign") for name, prompts in benign.items()}
    every = joined(harmful)
    plain = joined({**harmful, **allowed})
    unfit = {attack.name: attack.unfit(model) for attack in attacks}
    fit = [attack for attack in attacks if not unfit[attack.name]]
    if not fit:
        raise InputError(f"{model.name} can be asked by none of the attacks: {next(iter(unfit.values()))}")
    if not benign:
        warnings.warn(NO_BENIGN, stacklevel=2)
    total = len(every) * len(fit) + len(plain) - len(every)
    cases: dict[str, Case] = {}
    lost: Counter[str] = Counter()
    done = 0

    def ask(call: Callable[[Asking], Answers], count: int) -> tuple[Answers, dict[str, dict[str, Any]]]:
        nonlocal done
        before = done

        def advance(there: int, _: int) -> None:
            nonlocal done
            done = max(done, before + min(there, count))
            if progress is not None:
                progress(done, total)

        asking = Asking(model, ledger, decoding, seed, batch_size, judges, advance, system, lost)
        answers = call(asking)
        done = before + count
        names = list(answers.responses)
        pairs = [(plain[name], answers.responses[name]) for name in names]
        return answers, {j.name: dict(zip(names, judged(j, pairs, ledger), strict=True)) for j in judges}

    for attack in fit:
        answers, verdicts = ask(lambda asking, one=attack: one.ask(asking, every), len(every))  # type: ignore[misc]
        for name, asked in harmful.items():
            put = {p: answers.put.get(p, prompt) for p, prompt in asked.items()}
            cases[_row(name, attack.name, harmful)] = Case(
                asked, put, answers.responses, answers.failed, verdicts, harm=True, cut=answers.cut
            )
    if allowed:
        ordinary = joined(allowed)
        answers, verdicts = ask(lambda asking: asking.answer(ordinary), len(ordinary))
        for name, asked in allowed.items():
            cases[name] = Case(asked, asked, answers.responses, answers.failed, verdicts, harm=False)
    counted = tally(cases, examples, lost)
    each = _by_attack(harmful, fit, judges, counted.outcomes)
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
                attacks=len(fit),
                **any_columns(seen, shared_behaviours(harmful[name])),
            )
            for name, by in each.items()
            for judge, seen in by.items()
        ],
        attacks=[AttackRun(attack=a.name, source=a.source, parameters=dict(a.parameters)) for a in fit],
        not_run=[AttackNotRun(attack=name, reason=reason) for name, reason in unfit.items() if reason],
    )


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
                for p in asked
            }
            for judge in judges
        }
        for name, asked in harmful.items()
    }
