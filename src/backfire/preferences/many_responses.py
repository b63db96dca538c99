"""Rows of several responses with ranks or scores: the best against the worst, or against each that is worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeGuard

from backfire.preferences.cells import cell, number_of, side_of_value
from backfire.preferences.choices import RULES, choice_of, rule_of
from backfire.preferences.columns import CONVERSATIONS, LISTS
from backfire.preferences.look import NEARLY_ALL, Look
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.prompt_columns import prompt_columns
from backfire.preferences.schema import Format, Unusable
from backfire.preferences.settings import RANKED
from backfire.preferences.splitting import Side, Sides, split
from backfire.preferences.turns import Turn
from backfire.preferences.two_sides import read_prompt

Ranked = Literal["best-worst", "best-rest"]
TEXTS = ("answer", "response", "completion", "text", "content", "output", "generation", "message")
RANKS = ("rank", "ranking", "position")
"""The smaller, the better."""
SCORES = (
    "overall_score",
    "score",
    "rating",
    "reward",
    "overall",
    "fine_grained_score",
    "fine-grained_score",
    "helpfulness",
    "average_rating",
    "preference_score",
    "pm_score",
    "rm_score",
    "reward_score",
    "votes",
    "upvotes",
    "selected",
    "is_best",
    "is_chosen",
)
"""The larger, the better; true is better than false."""
CHOICES = (
    ("chosen_index", "rejected_index"),
    ("chosen_idx", "rejected_idx"),
    ("chosen_id", "rejected_id"),
    ("chosen", "rejected"),
    ("best_index", "worst_index"),
    ("best", "worst"),
    ("choice", ""),
    ("preference", ""),
    ("preferred", ""),
    ("winner", ""),
    ("label", ""),
)
"""Which response of a list is chosen, and which is rejected; without the latter, the list is of two."""
MODELS = ("model", "source", "model_name", "generator", "policy")
RANK_LISTS = ("ranks", "rank", "ranking", "rankings")
SCORE_LISTS = (
    "scores",
    "ratings",
    "rating",
    "rewards",
    "score",
    "overall_scores",
    "all_rm_scores",
    "rm_scores",
    "labels",
)
MODEL_LISTS = ("generation_models", "models", "model_names", "generation_model", "sources", "policies")


def find_ranked(look: Look, ranked: str) -> Recognised | None:
    """The form of rows with a list of ranked or scored responses."""
    for name in LISTS:
        column = look.named.get(name)
        if column and look.mostly(column, lambda value: isinstance(value, list) and len(value) > 1):
            columns = _within(look, column) or _beside(look, column) or _by_choice(look, column)
            if columns is not None:
                return _form_of(look, column, *columns, ranked)
    return None


def _within(look: Look, column: str) -> tuple[dict[str, str], dict[str, str]] | None:
    items = [item for value in look.values(column) if isinstance(value, list) for item in value]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    texts = next((key for key in TEXTS if any(key in item for item in items)), None)
    for better, keys in (("rank", RANKS), ("score", SCORES)):
        for key in keys:
            numbered = sum(_worth(item.get(key)) is not None for item in items)
            if texts and numbered >= len(items) / 2:
                return {"better": better, "text": texts, "number": key}, {}
    return None


def _beside(look: Look, column: str) -> tuple[dict[str, str], dict[str, str]] | None:
    for better, names in (("rank", RANK_LISTS), ("score", SCORE_LISTS)):
        for name in names:
            other = look.named.get(name)
            if other and other != column and look.mostly(other, _may_be_numbers) and _any_number(look, other):
                models = look.column(*MODEL_LISTS)
                more = {"scores": other} | ({"source": models} if models and _are_lists(look, models) else {})
                return {"better": better}, more
    return None


def _may_be_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(item is None or number_of(item) is not None for item in value)


def _any_number(look: Look, column: str) -> bool:
    return any(item is not None for value in look.values(column) if isinstance(value, list) for item in value)


def _by_choice(look: Look, column: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Columns that say by number, or of two by a word, which response of a list is chosen."""
    for one, two in CHOICES:
        chosen, rejected = look.named.get(one), look.named.get(two)
        if chosen is None:
            continue
        numbered = all(look.mostly(name, _is_index) for name in (chosen, rejected) if name)
        if rejected and numbered:
            from_one = _from_one(look, column, chosen, rejected)
            if from_one is not None:
                more = {"preference": chosen, "other_preference": rejected}
                return {"better": "choice", "rule": "from 1" if from_one else "from 0"}, more
        pairs = look.mostly(column, lambda value: isinstance(value, list) and len(value) == 2)
        if rejected or not pairs:
            continue
        rule = rule_of(chosen, look.values(chosen), {})
        if rule is None and numbered and {number_of(value) for value in look.values(chosen)} == {2}:
            rule = "1 the first, 2 the second"
        if rule in _CHOICE_RULES:
            return {"better": "choice", "rule": rule}, {"preference": chosen}
    return None


def _is_index(value: Any) -> TypeGuard[float]:
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def _from_one(look: Look, column: str, *indices: str) -> bool | None:
    """Whether responses are counted from 1: none is number 0, and some number is as large as its list is long. None where
    the numbers are hardly ever places in the list."""
    places: list[tuple[int, int]] = []
    for row in look.rows:
        held = row.get(column)
        if isinstance(held, list):
            places += [(int(n), len(held)) for name in indices if _is_index(n := row.get(name))]
    from_one = all(number != 0 for number, _ in places) and any(number == size for number, size in places)
    fits = sum(from_one <= number < size + from_one for number, size in places)
    return from_one if places and fits >= NEARLY_ALL * len(places) else None


_CHOICE_RULES = ("0 the first, 1 the second", "1 the first, 2 the second", "words")


def _are_lists(look: Look, column: str) -> bool:
    return look.mostly(column, lambda value: isinstance(value, list))


def _form_of(look: Look, column: str, inner: dict[str, str], more: dict[str, str], ranked: str) -> Recognised:
    names = {"responses": column} | more
    prompts = prompt_columns(look, also=look.lists_of_turns(CONVERSATIONS), taken=tuple(names.values()))
    rest = ranked == "best-rest"
    if inner["better"] == "choice":
        by = f"`{names['preference']}`"
        rule = RULES.get(inner["rule"], f"the responses are counted {inner['rule']}")
        note = f"Which response of `{column}` is preferred is read from {by}: {rule}."
        form: Format = "ranked responses, best against worst"
        return Recognised(
            form, names | prompts.names, notes=(*prompts.notes, note), wrapped=prompts.wrapped, inner=inner
        )
    by = f"`{names['scores']}`" if "scores" in names else f"`{inner['number']}` in `{column}`"
    order = "the smallest is the best" if inner["better"] == "rank" else "the largest is the best"
    against = "each other one that is worse" if rest else "the worst"
    other = "best-worst" if rest else "best-rest"
    note = (
        f"The responses in `{column}` are ranked by {by} ({order}): the best one is chosen, against {against}"
        f" (`{RANKED} {other}` for the other way)."
    )
    return Recognised(
        "ranked responses, best against each other" if rest else "ranked responses, best against worst",
        names | prompts.names,
        notes=(*prompts.notes, note),
        wrapped=prompts.wrapped,
        inner=inner,
    )


class Candidate(NamedTuple):
    side: Side
    worth: float
    """The larger, the better."""
    source: Any


class Pair(NamedTuple):
    sides: Sides
    sources: tuple[Any, Any]


def read_ranked(row: Mapping[str, Any], plan: Plan) -> list[Pair]:
    """The pairs of one row.

    Raises:
        Unusable: missing side, for fewer than two responses with a number; tie, where the best and the worst have the
            same; and what makes a row no pair besides.
    """
    prompt_cell = cell(row, plan, "prompt") if "prompt" in plan.names else None
    prompt: list[Turn] = (
        [] if prompt_cell is None and "prompt" not in plan.names else read_prompt(row, plan, prompt_cell)
    )
    pairs = []
    for best, worse in opposed(_candidates(row, plan), plan.ranked):
        sides = split(prompt, best.side, worse.side, loose=isinstance(prompt_cell, str))
        pairs.append(Pair(sides, (best.source, worse.source)))
    return pairs


def opposed(candidates: Sequence[Candidate], ranked: str) -> list[tuple[Candidate, Candidate]]:
    """The best against the worst, or against each worse one, in the order given; of equals the first counts as best.

    Raises:
        Unusable: missing side, for fewer than two; tie, where all are equal.
    """
    if len(candidates) < 2:
        raise Unusable("missing side")
    best = max(candidates, key=lambda one: one.worth)
    worse = [one for one in candidates if one.worth < best.worth]
    if not worse:
        raise Unusable("tie")
    if ranked == "best-rest":
        return [(best, one) for one in worse]
    return [(best, min(worse, key=lambda one: one.worth))]


def _candidates(row: Mapping[str, Any], plan: Plan) -> list[Candidate]:
    items = cell(row, plan, "responses")
    if items is None:
        raise Unusable("missing side")
    if not isinstance(items, list):
        raise Unusable("wrong type")
    better = plan.inner["better"]
    if better == "choice":
        return _picked(row, plan, items)
    if "number" in plan.inner:
        responses = [
            _text_number_model(item, plan.inner["text"], plan.inner["number"])
            for item in items
            if isinstance(item, Mapping)
        ]
    else:
        numbers, models = cell(row, plan, "scores"), cell(row, plan, "source")
        if not isinstance(numbers, list) or len(numbers) != len(items):
            raise Unusable("no preference")
        models = models if isinstance(models, list) and len(models) == len(items) else [None] * len(items)
        responses = [(_plain(item), n, model) for item, n, model in zip(items, numbers, models, strict=True)]
    candidates = []
    if sum(value is not None for value, _, _ in responses) > 1:
        numbered = sum(_worth(number) is not None for _, number, _ in responses)
        if numbered < 2:
            raise Unusable("no preference")
    for value, number, model in responses:
        worth = _worth(number)
        if value is not None and worth is not None:
            candidates.append(Candidate(side_of_value(value), -worth if better == "rank" else worth, model))
    return candidates


def _picked(row: Mapping[str, Any], plan: Plan, items: list[Any]) -> list[Candidate]:
    """The chosen response of a list, and the rejected one."""
    rule = plan.inner["rule"]
    if "other_preference" in plan.names:
        numbers = [number_of(cell(row, plan, part)) for part in ("preference", "other_preference")]
        where = [None if n is None else int(n) - (rule == "from 1") for n in numbers]
    elif len(items) != 2:
        raise Unusable("wrong type" if len(items) > 2 else "missing side")
    else:
        second = choice_of(cell(row, plan, "preference"), rule, {})
        where = [int(second), int(not second)]
    candidates = []
    for worth, at in zip((1.0, 0.0), where, strict=True):
        if at is None or not 0 <= at < len(items):
            raise Unusable("no preference")
        value = _plain(items[at])
        if value is None:
            raise Unusable("missing side")
        candidates.append(Candidate(side_of_value(value), worth, _model(items[at])))
    if where[0] == where[1]:
        raise Unusable("tie")
    return candidates


def _worth(value: Any) -> float | None:
    return float(value) if isinstance(value, bool) else number_of(value)


def _model(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return None
    return next((item[name] for name in MODELS if item.get(name) is not None), None)


def _text_number_model(item: Mapping[str, Any], text: str, key: str) -> tuple[Any, Any, Any]:
    return (
        item.get(text),
        item.get(key),
        _model(item),
    )


def _plain(item: Any) -> Any:
    """A response in a list of its own, which may be an object with its text under one of TEXTS."""
    if isinstance(item, Mapping) and "role" not in item:
        return next((item[key] for key in TEXTS if item.get(key) is not None), None)
    return item
