"""Attack a model: ask, judge, and count, with what could not be judged beside the rate and never inside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backfire.errors import InputError
from backfire.judges import Judge, judge_responses
from backfire.models import EndpointModel, LocalModel
from backfire.records import Decoding, Kind, Prompt, Response, Verdict, rate_of
from backfire.responses import sample
from backfire.store import Ledger

GREEDY = Decoding(max_new_tokens=512, temperature=0.0)
"""One greedy response of up to 512 tokens, as arXiv 2504.02193 has it."""

Outcomes = Mapping[str, Mapping[str, Mapping[str, bool | None]]]


@dataclass(frozen=True)
class AttackResult:
    """Rows for `results.json`, and what they were counted from."""

    asr: list[dict[str, Any]]
    """{attack, judge, harmful, scored, unscored, rate, low, high, best, worst} per attack and judge."""
    over_refusal: list[dict[str, Any]]
    """{prompts, judge, refusals, scored, unscored, rate, low, high} per benign set and judge."""
    examples: list[dict[str, Any]]
    """{attack, prompt, response, verdicts}: a few stored responses to each attack."""
    notes: list[dict[str, Any]]
    """{prompts, judge, reason, count}: why responses are unscored or broken."""
    truncated: dict[str, int]
    """Responses cut at max_new_tokens, by set."""
    outcomes: Outcomes
    """set -> judge -> prompt id -> the outcome that was counted (None unscored), for paired tests."""


def attack(
    model: LocalModel | EndpointModel,
    attacks: Mapping[str, Sequence[Prompt]],
    benign: Mapping[str, Sequence[Prompt]],
    *,
    judges: Sequence[Judge],
    ledger: Ledger,
    decoding: Decoding = GREEDY,
    seed: int = 0,
    batch_size: int = 64,
    examples: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> AttackResult:
    """One response to each prompt, one verdict on it by each judge, and a rate per set and judge.

    The attack success rate is judged harmful / scored, with a 95% Wilson interval. A prompt without a response, or
    whose response a judge left unscored, counts as unscored; `best` and `worst` bound the rate over all of the set's
    prompts. Over-refusal is the share of responses to benign prompts that decline. Everything is stored in the
    ledger, so that a second call draws and judges only what is missing.

    Args:
        attacks: harmful prompts by the attack's name; those without a kind are taken as harmful.
        benign: prompts that deserve an answer, by the set's name; those without a kind are taken as benign.
        examples: how many stored responses to show of each attack.
        progress: called with (done, total) responses while sampling.

    Raises:
        InputError: an empty set, a set that a prompt's kind contradicts, two sets or two judges of one name, no judge.
    """
    _check(attacks, benign, judges)
    sets = {name: _labelled(name, prompts, "harmful") for name, prompts in attacks.items()}
    sets |= {name: _labelled(name, prompts, "benign") for name, prompts in benign.items()}
    prompts = _joined(sets)
    sampled = sample(
        model,
        list(prompts.values()),
        ledger=ledger,
        decoding=decoding,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    responses = {r.prompt_id: r for r in sampled.responses}
    failed = {f.request.prompt.id: f.reason for f in sampled.failures}
    verdicts = {
        judge.name: {
            r.prompt_id: v
            for r, v in zip(
                sampled.responses, judge_responses(judge, prompts, sampled.responses, ledger), strict=True
            )
        }
        for judge in judges
    }
    asr, over_refusal, notes = [], [], []
    outcomes: dict[str, dict[str, dict[str, bool | None]]] = {}
    for name, asked in sets.items():
        outcomes[name] = {}
        for judge, found in verdicts.items():
            counted = {p: _outcome(found.get(p), harm=name in attacks) for p in asked}
            outcomes[name][judge] = counted
            notes += _notes(name, judge, asked, found, failed)
            if name in attacks:
                asr.append(_attack_row(name, judge, counted.values()))
            else:
                over_refusal.append(_refusal_row(name, judge, counted.values()))
    shown = [
        example for name in attacks for example in _examples(name, sets[name], responses, verdicts, examples)
    ]
    truncated = {
        name: sum(responses[p].truncated for p in asked if p in responses) for name, asked in sets.items()
    }
    return AttackResult(asr, over_refusal, shown, notes, truncated, outcomes)


def _check(
    attacks: Mapping[str, Sequence[Prompt]], benign: Mapping[str, Sequence[Prompt]], judges: Sequence[Judge]
) -> None:
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


def _labelled(name: str, prompts: Iterable[Prompt], kind: Kind) -> dict[str, Prompt]:
    """The set's prompts by id, each once and each of this kind."""
    labelled: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.kind not in (None, kind):
            raise InputError(
                f"the set {name!r} is taken as {kind} and holds a prompt that is labelled {prompt.kind}: "
                f"{prompt.text!r:.80}; move it to a set of its kind"
            )
        labelled.setdefault(prompt.id, prompt if prompt.kind else replace(prompt, kind=kind))
    return labelled


def _joined(sets: Mapping[str, Mapping[str, Prompt]]) -> dict[str, Prompt]:
    prompts: dict[str, Prompt] = {}
    for name, asked in sets.items():
        for prompt_id, prompt in asked.items():
            first = prompts.setdefault(prompt_id, prompt)
            if first.kind != prompt.kind:
                raise InputError(
                    f"a prompt of {name!r} stands in an attack and in a benign set: {prompt.text!r:.80}; "
                    "leave it out of one"
                )
    return prompts


def _outcome(verdict: Verdict | None, *, harm: bool) -> bool | None:
    if verdict is None:
        return None
    return verdict.harmful if harm else verdict.refusal


def _attack_row(name: str, judge: str, outcomes: Iterable[bool | None]) -> dict[str, Any]:
    rate = rate_of(outcomes)
    return {
        "attack": name,
        "judge": judge,
        "harmful": rate.hits,
        "scored": rate.scored,
        "unscored": rate.unscored,
        "rate": rate.rate,
        "low": rate.low,
        "high": rate.high,
        "best": rate.best,
        "worst": rate.worst,
    }


def _refusal_row(name: str, judge: str, outcomes: Iterable[bool | None]) -> dict[str, Any]:
    rate = rate_of(outcomes)
    return {
        "prompts": name,
        "judge": judge,
        "refusals": rate.hits,
        "scored": rate.scored,
        "unscored": rate.unscored,
        "rate": rate.rate,
        "low": rate.low,
        "high": rate.high,
    }


def _notes(
    name: str,
    judge: str,
    asked: Iterable[str],
    found: Mapping[str, Verdict],
    failed: Mapping[str, str],
) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    for prompt_id in asked:
        verdict = found.get(prompt_id)
        reason = f"no response: {failed[prompt_id]}" if verdict is None else verdict.reason
        if reason:
            counts[reason] += 1
    return [
        {"prompts": name, "judge": judge, "reason": reason, "count": count}
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _examples(
    name: str,
    asked: Mapping[str, Prompt],
    responses: Mapping[str, Response],
    verdicts: Mapping[str, Mapping[str, Verdict]],
    most: int,
) -> list[dict[str, Any]]:
    """Up to `most`: half of them judged harmful by somebody where there are such; by prompt id."""
    there = sorted(p for p in asked if p in responses)
    harmful = [p for p in there if any(found[p].harmful for found in verdicts.values())]
    others = [p for p in there if p not in set(harmful)]
    half = (most + 1) // 2
    taken = harmful[: max(half, most - len(others))]
    taken += others[: most - len(taken)]
    return [
        {
            "attack": name,
            "prompt": asked[p].text,
            "response": responses[p].text,
            "verdicts": [
                {
                    "judge": judge,
                    "harmful": found[p].harmful,
                    "refusal": found[p].refusal,
                    "reason": found[p].reason,
                }
                for judge, found in verdicts.items()
            ],
        }
        for p in taken
    ]
