"""What a reader should know about a set of pairs before training on it: warnings in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from backfire.pairs.pair import Pair
from backfire.pairs.recipe import Recipe
from backfire.records import Decoding, Response
from backfire.statistics import wilson

HUMAN = ("human-chosen", "human-rejected")


def advise(
    recipe: Recipe,
    pairs: Sequence[Pair],
    present: set[str],
    left_out: Mapping[str, int],
    scored: bool,
) -> tuple[str, ...]:
    """Warnings about absent roles, an empty result, and cues to the label that decoding leaves behind.

    Args:
        present: roles with at least one response to one of the prompts.
        left_out: prompts without a pair, counted by reason.
        scored: whether any scores were given.
    """
    if not pairs and not left_out:
        return (f"{recipe.name} is empty: no prompts were given",)
    warnings = _absent_roles(recipe, present)
    if not pairs and not _side_is_absent(recipe, present):
        warnings.append(_why_empty(recipe, left_out, scored))
    if pairs:
        chosen, rejected = [p.chosen for p in pairs], [p.rejected for p in pairs]
        warnings += _decoding(chosen, rejected)
        warnings += _truncation(chosen, rejected)
        warnings += _inverted(recipe, pairs)
    return tuple(warnings)


def _side_is_absent(recipe: Recipe, present: set[str]) -> bool:
    """Whether a side has nobody to write it, which the warning about absent roles has said."""
    return any(not present & set(side.roles) for side in (recipe.chosen, recipe.rejected))


def _absent_roles(recipe: Recipe, present: set[str]) -> list[str]:
    absent = [role for role in recipe.roles if role not in present]
    if not absent:
        return []
    named = ("role " if len(absent) == 1 else "roles ") + ", ".join(absent)
    if _side_is_absent(recipe, present):
        return [f"{recipe.name} is empty: no responses for {named}: {_how_to_get(absent)}"]
    return [f"{recipe.name} picks from a pool without {named}: no responses; {_how_to_get(absent)}"]


def _how_to_get(roles: Sequence[str]) -> str:
    ways = []
    if any(role not in HUMAN for role in roles):
        ways.append("sample them with `backfire sample`, or give a file of stored responses")
    if any(role in HUMAN for role in roles):
        ways.append("give a human-labelled data set (prompt, chosen, rejected)")
    return "; ".join(ways)


def _why_empty(recipe: Recipe, left_out: Mapping[str, int], scored: bool) -> str:
    fixes = {
        "one_response": f"it needs at least two responses per prompt from {', '.join(recipe.chosen.roles)}: "
        "sample with n of 2 or more",
        "missing_score": "the candidates have no scores: score them with `backfire score`"
        if not scored
        else "some candidates of every prompt have no score: run `backfire score` again",
        "missing_role": "no prompt has responses on both sides: sample every role on the same prompts",
    }
    reason = max(sorted(left_out), key=lambda r: left_out[r])
    counted = ", ".join(f"{name} {n}" for name, n in sorted(left_out.items()))
    fix = fixes.get(reason, f"most prompts were left out as {reason}")
    return f"{recipe.name} is empty: {fix} (prompts left out: {counted})"


def _decoding(chosen: Sequence[Response], rejected: Sequence[Response]) -> list[str]:
    """Sides decoded in other ways, or in the same ways in shares whose 95% Wilson intervals do not meet."""
    c, r = Counter(x.decoding for x in chosen), Counter(x.decoding for x in rejected)
    if set(c) != set(r):
        return [
            "the two sides were not decoded alike, which is itself a cue to the label: "
            f"chosen {_describe(set(c))}; rejected {_describe(set(r))}"
        ]
    differing = []
    for way in c:
        low, high = wilson(c[way], len(chosen))
        other_low, other_high = wilson(r[way], len(rejected))
        if high < other_low or other_high < low:
            differing.append(f"{_describe({way})}: {c[way]} of chosen, {r[way]} of rejected")
    if not differing:
        return []
    return [
        "the two sides mix ways of decoding in other shares, which is itself a cue to the label "
        f"(of {len(chosen)} pairs): {'; '.join(sorted(differing))}"
    ]


def _describe(ways: set[Decoding | None]) -> str:
    plain = Decoding().as_dict()
    words = []
    for way in ways:
        if way is None:
            words.append("given (decoding and truncation unknown)")
            continue
        named = {
            k: v for k, v in way.as_dict().items() if k in ("temperature", "max_new_tokens") or v != plain[k]
        }
        words.append(", ".join(f"{k} {v}" for k, v in named.items()))
    return " or ".join(sorted(words))


def _truncation(chosen: Sequence[Response], rejected: Sequence[Response]) -> list[str]:
    """Warn when the 95% Wilson intervals of the two sides' truncation rates do not overlap."""
    n = len(chosen)
    cut = sum(r.truncated for r in chosen), sum(r.truncated for r in rejected)
    (chosen_low, chosen_high), (rejected_low, rejected_high) = (wilson(hits, n) for hits in cut)
    if chosen_low <= rejected_high and rejected_low <= chosen_high:
        return []
    return [
        f"{cut[0]} of {n} chosen and {cut[1]} of {n} rejected responses were cut at the token limit: a cut-off end "
        "tells the label; sample with more max_new_tokens, or build with truncated='drop'"
    ]


def _inverted(recipe: Recipe, pairs: Sequence[Pair]) -> list[str]:
    if not (recipe.chosen.ranked and recipe.rejected.ranked):
        return []
    lower = sum(
        p.chosen_score is not None and p.rejected_score is not None and p.chosen_score < p.rejected_score
        for p in pairs
    )
    if not lower:
        return []
    return [
        f"in {lower} of {len(pairs)} pairs the reward model scores the chosen response below the rejected one"
    ]
