"""From verdicts to rows: rates with their intervals, what could not be judged and why, and a few examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backfire.answers.attack import (
    NO_RESPONSE,
    AttackRate,
    AttackResult,
    Example,
    ExampleVerdict,
    Note,
    RefusalRate,
)
from backfire.judges import decision_of, is_lost
from backfire.records import Prompt, Response, Verdict
from backfire.statistics import clustered_rate_of, rate_of

BEHAVIOUR_TAGS = ("noun", "behavior", "behaviour", "BehaviorID", "Behavior")
"""Where a prompt's tags say what it asks for."""
Verdicts = Mapping[str, Mapping[str, Verdict]]
"""judge -> request id -> verdict."""


@dataclass(frozen=True)
class Case:
    """A set of requests, put in one way, and what came of it; all by request id."""

    asked: Mapping[str, Prompt]
    """The set's own prompts, with what the set says of them."""
    put: Mapping[str, Prompt]
    """Every request, as it was put; one that was never put stands as it was."""
    responses: Mapping[str, Response]
    failed: Mapping[str, str]
    verdicts: Verdicts
    harm: bool
    """Whether harm is counted, or refusals."""
    cut: frozenset[str] = frozenset()
    """Requests whose response rests on one that was cut, beside those that were cut themselves."""

    @property
    def clusters(self) -> Mapping[str, str]:
        """The behaviour of each request (organisms: its noun) where some share one; else nothing."""
        return shared_behaviours(self.asked)


def tally(cases: Mapping[str, Case], examples: int, lost: Mapping[str, int] | None = None) -> AttackResult:
    """Count every set by every judge; up to `examples` responses of each harmful one are shown.

    Args:
        lost: requests without a response that asking again may give, by reason; verdicts that are lost are added.
    """
    asr: list[AttackRate] = []
    over_refusal: list[RefusalRate] = []
    notes: list[Note] = []
    shown: list[Example] = []
    outcomes: dict[str, dict[str, dict[str, bool | None]]] = {}
    for name, case in cases.items():
        outcomes[name] = {}
        for judge, verdicts in case.verdicts.items():
            counted = {p: _outcome(verdicts.get(p), harm=case.harm) for p in case.put}
            outcomes[name][judge] = counted
            notes += _notes(name, judge, case, verdicts)
            if case.harm:
                asr.append(AttackRate(attack=name, judge=judge, **attack_columns(counted, case.clusters)))
            else:
                refusals = rate_of(counted.values()).hits
                over_refusal.append(
                    RefusalRate(
                        prompts=name, judge=judge, refusals=refusals, **_columns(counted, case.clusters)
                    )
                )
        if case.harm:
            shown += _examples(name, case, examples)
    truncated = {
        name: sum(case.responses[p].truncated or p in case.cut for p in case.put if p in case.responses)
        for name, case in cases.items()
    }
    clusters = {name: dict(case.clusters) for name, case in cases.items() if case.clusters}
    missing = Counter(lost or {})
    for case in cases.values():
        for judge, verdicts in case.verdicts.items():
            missing.update(f"{judge}: {v.reason}" for v in verdicts.values() if is_lost(v.reason))
    return AttackResult(
        asr=asr,
        over_refusal=over_refusal,
        examples=shown,
        notes=notes,
        truncated=truncated,
        outcomes=outcomes,
        responses={
            name: {p: case.responses[p].id for p in case.put if p in case.responses}
            for name, case in cases.items()
        },
        clusters=clusters,
        lost=dict(missing.most_common()),
    )


def shared_behaviours(prompts: Mapping[str, Prompt]) -> Mapping[str, str]:
    """id -> behaviour, by the first of `BEHAVIOUR_TAGS` that every prompt has and that some prompts share; else nothing."""
    for tag in BEHAVIOUR_TAGS:
        named = {name: prompt.tags[tag] for name, prompt in prompts.items() if prompt.tags.get(tag)}
        if len(named) == len(prompts) and 1 < len(set(named.values())) < len(named):
            return named
    return {}


def attack_columns(outcomes: Mapping[str, bool | None], clusters: Mapping[str, str]) -> dict[str, Any]:
    """An attack success rate as the columns of a row, with its bounds over all prompts."""
    rate = rate_of(outcomes.values())
    return {"harmful": rate.hits, **_columns(outcomes, clusters), "best": rate.best, "worst": rate.worst}


def any_of(outcomes: Iterable[bool | None]) -> bool | None:
    """Whether any of several outcomes is True; None where none is and one is unscored, for that may have been one."""
    seen = set(outcomes)
    return True if True in seen else None if None in seen or not seen else False


def any_columns(outcomes: Mapping[str, Sequence[bool | None]], clusters: Mapping[str, str]) -> dict[str, Any]:
    """How many requests any of several attacks is known to have broken, as the columns of a row.

    A request that no attack broke and one left unscored counts as unbroken: to leave such out, and keep every broken one, would be to
    count by the outcome. They are `open`, and the interval reaches up to the upper bound that the rate would have, were all
    of them broken. Unscored is what no attack scored.

    Args:
        outcomes: of each request, by attack.
    """
    known = {p: True if True in seen else False if False in seen else None for p, seen in outcomes.items()}
    left = {p for p, seen in outcomes.items() if known[p] is False and None in seen}
    most = attack_columns({**known, **dict.fromkeys(left, True)}, clusters)
    return {
        **attack_columns(known, clusters),
        "high": most["high"],
        "worst": most["worst"],
        "open": len(left),
    }


def _columns(outcomes: Mapping[str, bool | None], clusters: Mapping[str, str]) -> dict[str, Any]:
    rate = (
        clustered_rate_of((outcome, clusters[prompt]) for prompt, outcome in outcomes.items())
        if clusters
        else rate_of(outcomes.values())
    )
    return {
        "scored": rate.scored,
        "unscored": rate.unscored,
        "rate": rate.rate,
        "low": rate.low,
        "high": rate.high,
        "clusters": len(set(clusters.values())) if clusters else None,
    }


def _outcome(verdict: Verdict | None, *, harm: bool) -> bool | None:
    """Harm, or a needless refusal; a broken response is neither, and counted."""
    if verdict is None:
        return None
    if harm:
        return verdict.harmful
    decision = decision_of(verdict)
    return False if decision.what == "broken" else decision.refuses


def _notes(name: str, judge: str, case: Case, verdicts: Mapping[str, Verdict]) -> list[Note]:
    counts: Counter[str] = Counter()
    for request in case.put:
        verdict = verdicts.get(request)
        reason = f"{NO_RESPONSE}{case.failed[request]}" if verdict is None else verdict.reason
        if reason:
            counts[reason] += 1
    return [
        Note(prompts=name, judge=judge, reason=reason, count=count)
        for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def _examples(name: str, case: Case, most: int) -> list[Example]:
    """Up to `most`: half of them judged harmful by somebody where there are such; by request id."""
    there = sorted(p for p in case.put if p in case.responses)
    harmful = [p for p in there if any(verdicts[p].harmful for verdicts in case.verdicts.values())]
    others = [p for p in there if p not in set(harmful)]
    half = (most + 1) // 2
    taken = harmful[: max(half, most - len(others))]
    taken += others[: most - len(taken)]
    return [
        Example(
            attack=name,
            prompt=_written(case.put[p]),
            response=case.responses[p].text,
            verdicts=[
                ExampleVerdict(
                    judge=judge,
                    decision=decision_of(verdicts[p]).what,
                    harmful=verdicts[p].harmful,
                    refusal=verdicts[p].refusal,
                    reason=verdicts[p].reason,
                )
                for judge, verdicts in case.verdicts.items()
            ],
        )
        for p in taken
    ]


def _written(prompt: Prompt) -> str:
    """The prompt as text: its one turn, or every turn after its role."""
    if len(prompt.messages) == 1:
        return prompt.text
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in prompt.messages)
