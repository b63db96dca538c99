"""Pairs of the responses that a ledger holds: a recipe's roles are played by sources, or by people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.pairs.building import Built, build_pairs
from backfire.pairs.human import open_human
from backfire.pairs.recipe import Recipe, find_recipe, load_recipes
from backfire.pairs.settings import HUMAN_ROLES, StoredPairSettings
from backfire.pairs.stored import one_sampling, stored_scores
from backfire.records import Prompt, Response
from backfire.store import Ledger

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PairedFromLedger:
    """The pairs of a recipe, and what its roles lacked."""

    built: Built
    notes: tuple[str, ...]
    """Sentences on what is probably not meant: a source that answered nothing, a role that the recipe has not, rows of the
    human-labelled data that were left out."""


def pair_stored(
    recipe: str | Recipe,
    ledger: Ledger | str | Path,
    settings: StoredPairSettings | None = None,
    *,
    progress: Progress | None = None,
    **keywords: Any,
) -> PairedFromLedger:
    """Build the pairs of a recipe from stored responses; `write_pairs` writes them.

    Args:
        recipe: its name, or the recipe.
        ledger: the file that `sample` filled, or the open ledger.
        settings, keywords: `StoredPairSettings`, and its fields by name, such as `role=[("self", "./my-sft")]`.
        progress: called with (done, total) responses, where a reward model scores.

    Raises:
        InputError: no such recipe or source, human-labelled data that cannot be read, or responses or scores of which it is
            not clear which are meant.
        ModelError: a reward model that cannot be opened.
    """
    settings = StoredPairSettings.of(settings, **keywords)
    if isinstance(recipe, str):
        recipe = find_recipe(recipe, load_recipes(settings.recipes))
    if isinstance(ledger, Ledger):
        return _paired(recipe, ledger, settings, progress)
    with Ledger(ledger) as store:
        return _paired(recipe, store, settings, progress)


def _paired(
    recipe: Recipe, store: Ledger, settings: StoredPairSettings, progress: Progress | None
) -> PairedFromLedger:
    prompts, notes = _prompts(settings), list[str]()
    candidates = _candidates(store, prompts, settings, notes)
    others = [name for name in candidates if name not in (*recipe.roles, *HUMAN_ROLES)]
    if others:
        roles = ", ".join(recipe.roles)
        notes.append(f"{recipe.name} has no role {', '.join(others)}: its roles are {roles}")
    used = {name: responses for name, responses in candidates.items() if name in recipe.roles}
    if prompts is None:
        ids = sorted({one.prompt_id for responses in used.values() for one in responses})
        prompts = list(store.prompts(ids).values())
    scores = _scores(store, recipe, used, {prompt.id for prompt in prompts}, settings, progress)
    return PairedFromLedger(build_pairs(recipe, prompts, used, scores, settings.building), tuple(notes))


def _prompts(settings: StoredPairSettings) -> list[Prompt] | None:
    from backfire.prompts import prompts_of

    if settings.prompts is None:
        return None
    return list(prompts_of(settings.prompts, **settings.reading.model_dump()))


def _candidates(
    store: Ledger, prompts: Iterable[Prompt] | None, settings: StoredPairSettings, notes: list[str]
) -> dict[str, list[Response]]:
    """The responses of each role's sources, and those of people."""
    ids = None if prompts is None else [prompt.id for prompt in prompts]
    candidates: defaultdict[str, list[Response]] = defaultdict(list)
    if settings.role:
        store.sources_named([source for _, source in settings.role])
    for name, source in settings.role:
        responses = one_sampling(source, store.responses_of(source, ids), settings.choice)
        if not responses:
            notes.append(f"{source!r} answered none of the prompts")
        candidates[name] += responses
    if settings.human is not None:
        human = open_human(str(settings.human), **settings.human_reading.options())
        if human.left_out:
            rows = ", ".join(f"{reason} {count}" for reason, count in human.left_out.items())
            notes.append(f"{settings.human}: rows left out: {rows}")
        store.put_prompts(human.prompts)
        store.put_responses([*human.chosen, *human.rejected])
        candidates.update(human.by_role())
    return dict(candidates)


def _scores(
    store: Ledger,
    recipe: Recipe,
    candidates: Mapping[str, Sequence[Response]],
    prompt_ids: set[str],
    settings: StoredPairSettings,
    progress: Progress | None,
) -> dict[str, float]:
    """The scores to rank by; what the reward model has not scored yet is scored now."""
    responses = [r for given in candidates.values() for r in given if r.prompt_id in prompt_ids]
    if settings.reward_model is None or not responses:
        return stored_scores(store, recipe, [r.id for r in responses], settings.scorer)
    from backfire.models import open_reward_model
    from backfire.responses import score_stored

    model = settings.reward_model
    opened = open_reward_model(model) if isinstance(model, (str, Path)) else model
    return score_stored(opened, responses, ledger=store, progress=progress)
