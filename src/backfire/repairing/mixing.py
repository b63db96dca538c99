"""`mix`: self-ranked pairs in place of given ones, or beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.records import digest
from backfire.repairing.filtering import Values, checked, lowest_first
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of
from backfire.repairing.strata import divide, kind_of, places_by


def mix_pairs(
    pairs: Sequence[Pair],
    added: Sequence[Pair],
    share: float,
    *,
    values: Values | None = None,
    grow: bool = False,
    seed: int = 0,
) -> Outcome:
    """Put in pairs of another set until they are a share of the whole.

    The total stays the same: each added pair takes the place of one of the same kind of prompt, those of lowest value
    first, or, without values, those drawn by the hash of the seed. A pair about the same prompt takes its place where
    there is one. With `grow` nothing is taken out. Each kind of prompt gets its share of the added pairs.

    Args:
        added: such as those of recipe self+rm, built by a reward model from the policy's own responses.
        share: of added pairs in the result, from 0 to 1 (below 1 with `grow`).
        values: [pairs] of the given ones, such as safety influence.

    Raises:
        InputError: a share out of range, or too few pairs to add of a kind (the message says how far they reach).
    """
    if not 0 <= share <= 1 or (grow and share == 1):
        raise InputError(f"share {share:g}: from 0 to 1, and below 1 where the set grows")
    if values is None:
        numbers = np.array([int(digest("mix", seed, p.id)[:12], 16) for p in pairs], dtype=np.float64)
    else:
        checked(pairs, values, "safety influence")
        numbers = values
    known = {p.id for p in pairs}
    fresh = sorted({p.id: p for p in added if p.id not in known}.values(), key=lambda p: p.id)
    total = round(len(pairs) * share / (1 - share)) if grow else round(len(pairs) * share)
    strata = places_by(map(kind_of, pairs))
    sizes = {name: len(places) for name, places in strata.items()}
    there = {name: [p for p in fresh if kind_of(p) == name] for name in strata}
    quota = divide(total, {k: v * (1 + total // len(pairs)) for k, v in sizes.items()}) if pairs else {}
    for name, wanted in quota.items():
        if wanted > len(there[name]):
            raise InputError(
                f"a share of {share:g} needs {wanted} pairs to add on {name} prompts, and there are "
                f"{len(there[name])}: lower the share, or build more pairs"
            )
    repaired_pairs: list[RepairedPair] = []
    left_out: list[tuple[str, int]] = []
    for name, places in strata.items():
        order = lowest_first(pairs, numbers, places)
        taken = [] if grow else order[: quota[name]]
        put_in = _for_prompts(
            [pairs[p].prompt.id for p in (order if grow else taken)], there[name], quota[name]
        )
        repaired_pairs += [
            RepairedPair(p, "added", "a pair of the policy's own, ranked responses", None) for p in put_in
        ]
        repaired_pairs += [
            RepairedPair(
                pairs[p], "kept", "beside the added pairs" if grow else "not among those replaced", p
            )
            for p in order[len(taken) :]
        ]
        what = "drawn at random" if values is None else "lowest safety influence of its kind of prompt"
        left_out += [(f"replaced by an added pair: {what}", p) for p in taken]
    return outcome_of(repaired_pairs, left_out)


def _for_prompts(prompt_ids: Sequence[str], there: Sequence[Pair], count: int) -> list[Pair]:
    """So many pairs: those about these prompts first, in this order, then others in their own."""
    rank = {prompt_id: k for k, prompt_id in reversed(list(enumerate(prompt_ids)))}
    return sorted(there, key=lambda p: (rank.get(p.prompt.id, len(rank) + len(prompt_ids)), p.id))[:count]
