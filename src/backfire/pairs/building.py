"""From stored responses and scores to preference pairs, by a recipe. Reads no model.

The rules, in the order in which they apply:

1. Responses are grouped by prompt id and by nothing else. A response listed twice counts once; one to a prompt
   that was not asked about is left out.
2. A blank response (fewer than `min_characters` characters other than white space) is never a candidate. A
   truncated one (cut at the token limit) is a candidate unless `truncated="drop"`.
3. A pool of several roles takes whichever are there. A side without candidates leaves its prompt out, and so does
   one pool with fewer than two candidates when both sides are picked from it.
4. Where a reward model picks, every candidate of the prompt needs a finite score, else the prompt is left out:
   the best of those that happened to be scored is another recipe.
5. `first` is the lowest sample index (then role in the recipe's order, source, seed and request id); equal scores
   are settled by response id. The input's order never matters.
6. Where the reward model picks both sides and their scores are equal, there is no preference: left out (`tie`).
   Texts that are equal but for white space: left out (`identical`).
7. Last, `labels: reversed` makes the picked response of each side the other's; `random` does so for about half of the
   prompts, by a coin from the prompt's id.

Every prompt that is left out is listed under its reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from backfire.pairs.advice import advise
from backfire.pairs.pair import Pair
from backfire.pairs.recipe import Recipe, Side
from backfire.pairs.settings import PairSettings
from backfire.records import Prompt, Response, digest

REASONS = {
    "conflicting_kind": "the prompt is given both as harmful and as benign",
    "missing_role": "a side has no response to the prompt",
    "one_response": "both sides are picked from one pool, and it holds a single response",
    "blank": "too few responses that are not blank",
    "truncated": "too few responses that were not cut at the token limit",
    "missing_score": "a candidate has no score, or one that is not a finite number",
    "tie": "best and worst have the same score",
    "identical": "the two texts are equal but for white space",
}
"""Why a prompt has no pair."""


@dataclass(frozen=True)
class Built:
    """The pairs of one recipe, sorted by prompt id, and what was left out on the way."""

    recipe: Recipe
    pairs: tuple[Pair, ...]
    left_out: Mapping[str, tuple[str, ...]]
    """Prompt ids by reason (a key of REASONS)."""
    responses_left_out: Mapping[str, int]
    """Responses that never became candidates: `blank`, `truncated`, `duplicate`, `other_prompt`."""
    warnings: tuple[str, ...]

    @property
    def counts(self) -> dict[str, Any]:
        """Counts for `results.json`: built, harmful, benign, left_out, truncated, sources."""
        sides = {"chosen": [p.chosen for p in self.pairs], "rejected": [p.rejected for p in self.pairs]}
        return {
            "built": len(self.pairs),
            "harmful": sum(p.prompt.kind == "harmful" for p in self.pairs),
            "benign": sum(p.prompt.kind == "benign" for p in self.pairs),
            "left_out": {reason: len(ids) for reason, ids in self.left_out.items()},
            "responses_left_out": dict(self.responses_left_out),
            "truncated": {side: sum(r.truncated for r in rs) for side, rs in sides.items()},
            "sources": {
                side: dict(sorted(Counter(r.source for r in rs).items())) for side, rs in sides.items()
            },
        }


@dataclass(frozen=True)
class _Candidate:
    role: str
    rank: int
    """The role's place in the recipe."""
    response: Response

    @property
    def order(self) -> tuple[int, int, str, int, str]:
        r = self.response
        return (r.index, self.rank, r.source, -1 if r.seed is None else r.seed, r.request_id)


@dataclass
class _Group:
    """What one prompt has."""

    candidates: list[_Candidate]
    blank: Counter[str]
    cut: Counter[str]


def build_pairs(
    recipe: Recipe,
    prompts: Iterable[Prompt],
    candidates: Mapping[str, Sequence[Response]],
    scores: Mapping[str, float] | None = None,
    settings: PairSettings | None = None,
    **keywords: Any,
) -> Built:
    """One pair per prompt, where the recipe's rules (this module's docstring) give one.

    Args:
        recipe: from `load_recipes`.
        prompts: those to build pairs for; repeated ones count once.
        candidates: stored responses by role; several models may share a role. Roles that the recipe does not name
            are ignored.
        scores: the reward model's score by response id; needed where the recipe picks `best` or `worst`.
        settings, keywords: `PairSettings`, and its fields by name.

    Raises:
        InputError: a setting has no meaning. Missing roles and scores do not raise: the result
            is empty and its warnings say why.
    """
    settings = PairSettings.of(settings, **keywords)
    by_id, conflicting = _by_id(prompts)
    groups, responses_left_out = _group(recipe, by_id, candidates, settings)
    scores = scores or {}
    pairs: list[Pair] = []
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    left_out["conflicting_kind"].extend(conflicting)
    for prompt_id in sorted(by_id):
        outcome = _pair(recipe, by_id[prompt_id], groups.get(prompt_id), scores)
        if isinstance(outcome, Pair):
            pairs.append(outcome)
        else:
            left_out[outcome].append(prompt_id)
    reasons = {reason: tuple(left_out[reason]) for reason in REASONS if left_out[reason]}
    present = {role for role in recipe.roles if any(r.prompt_id in by_id for r in candidates.get(role, ()))}
    warnings = advise(recipe, pairs, present, {k: len(v) for k, v in reasons.items()}, bool(scores))
    return Built(recipe, tuple(pairs), reasons, responses_left_out, warnings)


def _by_id(prompts: Iterable[Prompt]) -> tuple[dict[str, Prompt], list[str]]:
    """Prompts by id; where one is repeated, the labelled one with the smallest tags stands for it."""
    repeated: defaultdict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        repeated[prompt.id].append(prompt)
    conflicting = sorted(i for i, same in repeated.items() if {"harmful", "benign"} <= {p.kind for p in same})
    for prompt_id in conflicting:
        del repeated[prompt_id]
    return {
        i: min(same, key=lambda p: (p.kind is None, sorted(p.tags.items()))) for i, same in repeated.items()
    }, conflicting


def _group(
    recipe: Recipe,
    prompts: Mapping[str, Prompt],
    candidates: Mapping[str, Sequence[Response]],
    settings: PairSettings,
) -> tuple[dict[str, _Group], dict[str, int]]:
    groups: dict[str, _Group] = {}
    left_out: Counter[str] = Counter()
    for rank, role in enumerate(recipe.roles):
        seen: set[str] = set()
        for response in candidates.get(role, ()):
            if response.prompt_id not in prompts:
                left_out["other_prompt"] += 1
                continue
            if response.id in seen:
                left_out["duplicate"] += 1
                continue
            seen.add(response.id)
            group = groups.get(response.prompt_id)
            if group is None:
                group = groups[response.prompt_id] = _Group([], Counter(), Counter())
            if sum(map(len, response.text.split())) < settings.min_characters:
                left_out["blank"] += 1
                group.blank[role] += 1
            elif settings.truncated == "drop" and response.truncated:
                left_out["truncated"] += 1
                group.cut[role] += 1
            else:
                group.candidates.append(_Candidate(role, rank, response))
    return groups, dict(sorted(left_out.items()))


def _pair(recipe: Recipe, prompt: Prompt, group: _Group | None, scores: Mapping[str, float]) -> Pair | str:
    """The prompt's pair, or the reason why it has none."""
    if group is None:
        return "missing_role"
    needed = 2 if recipe.one_pool else 1
    pools: list[list[_Candidate]] = []
    for side in (recipe.chosen, recipe.rejected):
        pool = list({c.response.id: c for c in group.candidates if c.role in side.roles}.values())
        if len(pool) < needed:
            return _too_few(side, group, len(pool), needed)
        if side.ranked and not all(isfinite(scores.get(c.response.id, float("nan"))) for c in pool):
            return "missing_score"
        pools.append(pool)
    chosen = _pick(recipe.chosen, pools[0], scores)
    rejected = _pick(recipe.rejected, pools[1], scores)
    chosen_score, rejected_score = scores.get(chosen.response.id), scores.get(rejected.response.id)
    if recipe.chosen.ranked and recipe.rejected.ranked and chosen_score == rejected_score:
        return "tie"
    if chosen.response.text.split() == rejected.response.text.split():
        return "identical"
    pair = Pair(
        prompt,
        recipe.name,
        chosen.response,
        rejected.response,
        chosen.role,
        rejected.role,
        chosen_score,
        rejected_score,
    )
    return pair.exchanged if _turns(recipe, prompt) else pair


def _turns(recipe: Recipe, prompt: Prompt) -> bool:
    """Whether the sides of the prompt's pair change places."""
    if recipe.labels == "random":
        return int(digest("label", prompt.id)[:8], 16) % 2 == 1
    return recipe.labels == "reversed"


def _too_few(side: Side, group: _Group, usable: int, needed: int) -> str:
    blank = sum(group.blank[role] for role in side.roles)
    cut = sum(group.cut[role] for role in side.roles)
    if usable + blank + cut == 0:
        return "missing_role"
    if usable + blank + cut < needed:
        return "one_response"
    return "truncated" if usable + cut >= needed else "blank"


def _pick(side: Side, pool: list[_Candidate], scores: Mapping[str, float]) -> _Candidate:
    if side.pick == "first":
        return min(pool, key=lambda c: c.order)
    sign = -1.0 if side.pick == "best" else 1.0
    return min(pool, key=lambda c: (sign * scores[c.response.id], c.response.id))
