"""`repair`: a data set in, a better one out, with the audit before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from backfire.errors import InputError
from backfire.models.settings import MAX_LENGTH
from backfire.records import Decoding
from backfire.repairing.automatic import Inputs, Trial, automatic, mean_influence, needed
from backfire.repairing.balancing import balance_pairs
from backfire.repairing.choosing import Choice, Prediction
from backfire.repairing.ends import Ends
from backfire.repairing.filtering import filter_pairs, matched_at_random
from backfire.repairing.given import read_given
from backfire.repairing.mixing import mix_pairs
from backfire.repairing.pool import open_ledger, opened_reward_model, pool_of
from backfire.repairing.restyling import TEMPLATE, Changed, Mode, restyle_pairs
from backfire.repairing.strata import decisions_of
from backfire.repairing.values import (
    EASE,
    INFLUENCE,
    measured_ease,
    measured_influence,
    probes_for,
    values_of,
)
from backfire.repairing.writing import with_ends, written

if TYPE_CHECKING:
    from backfire.answers import AuditReport
    from backfire.influence import ProbeSet
    from backfire.judges import Judge
    from backfire.models import LocalModel, RewardModel
    from backfire.preferences import ReadOptions

Method = Literal["filter", "balance", "restyle", "mix", "auto"]
By = Literal["influence", "ease", "pilot"]
METHODS: tuple[Method, ...] = ("filter", "balance", "restyle", "mix", "auto")


@dataclass(frozen=True)
class Repaired:
    """What was written, and what it was before and after."""

    folder: Path
    pairs: int
    changed: Mapping[str, int]
    """Pairs by what happened to them: kept, response rewritten, response cut, re-paired, added, left out."""
    influence: tuple[Prediction, Prediction] | None
    """Mean influence before and after, where values are known of both; rewritten pairs have none."""
    choice: Choice | None
    """Of `auto`: the ladder and the step taken."""
    before: AuditReport | None
    after: AuditReport | None
    without_pair: Mapping[str, int]
    """Rows of the given data set that gave no pair, by what is wrong with them."""


def repair(
    dataset: Any,
    *,
    method: Method,
    out: str | Path,
    policy: LocalModel | str | Path | None = None,
    by: By = "influence",
    keep: float | None = None,
    above: float | None = None,
    stratify: bool = True,
    control: bool = False,
    influence: Any = None,
    probe_prompts: Any = None,
    ease: Any = None,
    pool: str | Path | None = None,
    reward_model: RewardModel | str | None = None,
    mode: Mode = "auto",
    tries: int = 8,
    template: str = TEMPLATE,
    when_changed: Changed = "keep",
    self_pairs: str | Path | None = None,
    self_influence: Any = None,
    share: float | None = None,
    grow: bool = False,
    target: float = 0.0,
    pilot: Mapping[str, Any] | None = None,
    ends: Ends | None = None,
    judge: Judge | None = None,
    ledger: str | Path | None = None,
    decoding: Decoding | None = None,
    audit: bool = True,
    max_length: int | None = MAX_LENGTH,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **reading: Unpack[ReadOptions],
) -> Repaired:
    """Make a better data set of a given one and write it as a folder of pairs, whole or not at all.

    The folder is what `write_pairs` writes (TRL reads it as it is) with columns `repair` (the method), `repair_change`
    (kept, response rewritten, response cut, re-paired, added), `repair_why`, and `row`, the given row that a pair comes
    from. Every further column of that row is kept beside it. `repair.json` says which rows were left out, and why.
    docs/guides/repair.md describes the methods.

    Args:
        dataset: a folder of pairs, or any preference data that `backfire.audit` reads (`reading` as there:
            columns, source_columns, config, split, revision, plain). With `plain` the repaired set is written as plain
            text, too, and influence and the pilot read it without the policy's chat template.
        method: `filter` (by, keep or above, stratify, control), `balance` (pool, reward_model), `restyle` (policy, mode,
            tries, template, when_changed, reward_model, ledger, decoding), `mix` (self_pairs, share, grow), or `auto`
            (by influence or pilot, target; fills up with self_pairs where they are given, else filters).
        policy: the model that is to be trained, or its reference.
        control: keep pairs drawn at random instead, matching the filtered ones in number, kind and decisions.
        influence: a value a pair: an array, or the audit's per-pair file; else it is measured from `probe_prompts`.
        ease: V-information a pair, likewise; else an audit measures it.
        pool: a ledger with more responses to the same prompts, and scores.
        self_pairs: a folder of pairs to add, such as of recipe self+rm; self_influence: their values.
        share: of added pairs in the result.
        pilot: for `auto` by pilot: settings of `influence.run_pilot`, such as steps, lr, beta, batch_size and parameters of the
            training that is meant.
        ends: make both sides of every pair end alike as well: `drop` or `cut` (`match_ends`).
        judge: says which responses refuse; by default the refusal phrases.
        audit: audit before and after, by text alone.
        max_length: tokens of prompt and response together in the training that is meant; influence and the pilot read the
            pairs cut at it.

    Raises:
        InputError: what is missing for the method, by name; for `auto`, when no step of the ladder is predicted to reach
            the target.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}: choose one of {', '.join(METHODS)}")
    from backfire.judges import PhraseJudge

    decider: Judge = PhraseJudge() if judge is None else judge
    plain = bool(reading.get("plain"))
    if plain and method == "restyle":
        raise InputError(
            "plain: restyle asks the policy through its chat template, so that there is nothing to rewrite by in raw "
            "text: leave plain out, or choose another method"
        )
    given = read_given(dataset, **reading)
    if by == "pilot" and (method != "auto" or probe_prompts is None):
        raise InputError("by pilot: that is for method auto, with a policy and probe prompts to try steps on")
    needs_model = probe_prompts is not None or method == "restyle"
    model = _opened(policy) if needs_model else None
    values = None if influence is None else values_of(influence, given.rows, INFLUENCE)
    added = () if self_pairs is None else read_given(self_pairs).pairs
    added_values = (
        None if self_influence is None else values_of(self_influence, range(1, len(added) + 1), INFLUENCE)
    )
    probes: ProbeSet | None = None
    how: dict[str, Any] = {"seed": seed, "plain": plain, "max_length": max_length, "progress": progress}
    if probe_prompts is not None:
        if model is None or not hasattr(model, "template"):
            raise InputError("influence is measured on a local model: name the one to be trained as policy")
        probes = probes_for(model, given.pairs, probe_prompts, judge=decider, seed=seed)
        if values is None:
            values = measured_influence(model, given.pairs, probes, **how)
        if added and added_values is None and by != "pilot":
            added_values = measured_influence(model, added, probes, **how)
    inputs = Inputs(given, values, added, added_values, seed)
    choice: Choice | None = None
    if method == "filter":
        if by not in ("influence", "ease"):
            raise InputError(f"filter by {by!r}: use influence or ease")
        what, ranking = ("safety influence", values) if by == "influence" else ("difficulty", None)
        if by == "ease":
            bits = (
                measured_ease(dataset, given.rows, judge=judge, seed=seed, **reading)
                if ease is None
                else None
            )
            ranking = -(values_of(ease, given.rows, EASE) if bits is None else bits)
        outcome = filter_pairs(
            given.pairs, needed(ranking), keep=keep, above=above, stratify=stratify, what=what
        )
        if control:
            kept = [m.place for m in outcome.pairs if m.place is not None]
            outcome = matched_at_random(given.pairs, decisions_of(decider, given.pairs), kept, seed=seed)
    elif method == "balance":
        stored, scores = pool_of(given, pool, reward_model)
        outcome = balance_pairs(given.pairs, stored, scores)
    elif method == "restyle":
        if model is None:
            raise InputError("restyle: name the model that is to be trained as policy: it does the rewriting")
        with ExitStack() as stack:
            store = None if ledger is None else stack.enter_context(open_ledger(ledger))
            outcome = restyle_pairs(
                given.pairs,
                model,
                judge=decider,
                mode=mode,
                tries=tries,
                template=template,
                when_changed=when_changed,
                reward_model=opened_reward_model(reward_model),
                ledger=store,
                decoding=decoding,
                seed=seed,
                progress=progress,
            )
    elif method == "mix":
        if share is None or not added:
            raise InputError(
                "mix: say which share of the result is added, and give a folder of pairs to add (self pairs)"
            )
        outcome = mix_pairs(given.pairs, added, share, values=values, grow=grow, seed=seed)
    else:
        trial = None
        if model is not None and probes is not None and by == "pilot":
            trial = Trial(model, probes, dict(pilot or {}), seed, plain, max_length)
        outcome, choice = automatic(inputs, target, stratify, grow, trial)
    outcome.account_for(len(given.pairs))
    if ends is not None:
        outcome = with_ends(outcome, ends)
        outcome.account_for(len(given.pairs))
    if not outcome.pairs:
        raise InputError(f"{method} leaves no pair of {len(given.pairs)}: {outcome.counts}")
    means = mean_influence(inputs, outcome)
    asked: dict[str, Any] = {
        "method": method,
        "by": by,
        "keep": keep,
        "above": above,
        "stratify": stratify,
        "control": control,
        "mode": mode,
        "tries": tries,
        "when_changed": when_changed,
        "share": share,
        "grow": grow,
        "target": target,
        "pilot": None if pilot is None else dict(pilot),
        "ends": ends,
        "plain": plain,
        "max_length": max_length,
        "seed": seed,
        "judge": decider.name,
    }
    folder = written(Path(out), given, outcome, method, asked, choice, means, plain)
    before = after = None
    if audit:
        from backfire.auditing import audit as audit_dataset

        before, after = (
            audit_dataset(dataset, judge=judge, seed=seed, **reading),
            audit_dataset(folder, judge=judge, seed=seed, plain=plain),
        )
    return Repaired(folder, len(outcome.pairs), outcome.counts, means, choice, before, after, given.defects)


def _opened(policy: Any) -> Any:
    if not isinstance(policy, (str, Path)):
        return policy
    from backfire.models import open_model

    return open_model(str(policy))
