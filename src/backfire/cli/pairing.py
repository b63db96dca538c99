"""`pair` and `recipes`: from stored responses to preference pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, field_validator, model_validator

from backfire.cli.collecting import chosen_sources, score_stored
from backfire.cli.command import Command, LedgerFile, OutputFolder
from backfire.cli.exits import PARTLY
from backfire.cli.terminal import counted, say, show, table, warn
from backfire.pairs.settings import PairSettings, StoredChoice
from backfire.preferences.settings import Reading, roles_of
from backfire.settings import (
    Commas,
    DatasetReference,
    FileReference,
    Metavar,
    PromptsReference,
    RewardModelReference,
)
from backfire.store.settings import PromptReading

if TYPE_CHECKING:
    from backfire.pairs import Built, Recipe
    from backfire.records import Prompt, Response
    from backfire.store import Ledger

HUMAN_ROLES = ("human-chosen", "human-rejected")


def _role_and_source(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    role, equals, source = value.strip().partition("=")
    if not (role and equals and source):
        raise ValueError("this is not of the form ROLE=SOURCE, such as self=./my-sft")
    return role, source


def _of_pairs(folder: Path) -> Path:
    if folder.is_file():
        raise ValueError("this is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "pairs.json").is_file():
        raise ValueError("this folder holds something that is not pairs: name a new folder")
    return folder


class Pair(Command):
    """Build preference pairs from stored responses by a recipe.

    Roles are sources in the ledger: the names that `sample`, `import` and `score` print. Prompts that give no
    pair are counted by reason. Exit code 1 where there is no pair at all.
    """

    recipe: Annotated[str, Metavar("NAME")]
    """The recipe's name. `backfire recipes` lists those that there are."""
    ledger: LedgerFile
    """The SQLite file that holds responses, scores and verdicts."""
    out: Annotated[OutputFolder, AfterValidator(_of_pairs)]
    """The folder that the pairs are written to, in place of pairs that stand there. TRL and datasets read it."""
    role: Annotated[
        tuple[Annotated[tuple[str, str], BeforeValidator(_role_and_source)], ...], Metavar("ROLE=SOURCE")
    ] = ()
    """Whose responses play a role of the recipe, such as self=./my-sft. A role may be given several sources."""
    prompts: Annotated[PromptsReference | None, Metavar("FILE")] = None
    """The prompts to build pairs for: a file, or organism:prompts/NAME. Where it is not given, all that were answered."""
    reading: PromptReading = PromptReading()
    human: Annotated[DatasetReference | None, Metavar("FILE")] = None
    """Human-labelled preference data in any form that `backfire audit` reads, or organism:human, for the roles human-chosen
    and human-rejected."""
    human_columns: Annotated[dict[str, str] | None, Commas(), Metavar("ROLE=NAME,...")] = None
    """Which column of the human-labelled data holds what, as --columns of `backfire audit` has it."""
    human_split: Annotated[str | None, Metavar("NAME")] = None
    """The split of the human-labelled data, where they have several."""
    reward_model: Annotated[RewardModelReference | None, Metavar("MODEL")] = None
    """The reward model to rank by. Responses that it has not scored yet are scored now."""
    scorer: Annotated[str | None, Metavar("ID")] = None
    """The reward model whose stored scores to rank by, by its id; no model is opened. It is not needed where only one has
    scored."""
    recipes: Annotated[FileReference | None, Metavar("FILE")] = None
    """A YAML file with recipes of your own."""
    settings: PairSettings = PairSettings()
    choice: StoredChoice = StoredChoice()

    _columns = field_validator("human_columns", mode="before")(roles_of)

    @field_validator("role")
    @classmethod
    def _not_of_people(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if any(role in HUMAN_ROLES for role, _ in value):
            raise ValueError("people's responses come from {human} FILE")
        return value

    @model_validator(mode="after")
    def _one_scorer(self) -> Pair:
        if self.reward_model is not None and self.scorer is not None:
            raise ValueError("{reward_model} and {scorer} both say whose scores to use: give one of them")
        return self

    def run(self) -> int | None:
        from backfire.pairs import build_pairs, find_recipe, load_recipes, write_pairs
        from backfire.store import Ledger

        recipe = find_recipe(self.recipe, load_recipes(self.recipes))
        with Ledger(self.ledger) as store:
            prompts = self._prompts()
            candidates = self._candidates(store, prompts)
            if self.human is not None:
                candidates |= self._human_responses(store, str(self.human))
            _note_roles(recipe, candidates)
            used = {name: given for name, given in candidates.items() if name in recipe.roles}
            if prompts is None:
                ids = sorted({one.prompt_id for given in used.values() for one in given})
                prompts = list(store.prompts(ids).values())
            scores = self._scores(store, recipe, used, {prompt.id for prompt in prompts})
        built = build_pairs(recipe, prompts, used, scores, self.settings)
        write_pairs(self.out, built)
        say_built(built, self.out)
        return None if built.pairs else PARTLY

    def _prompts(self) -> list[Prompt] | None:
        from backfire.prompts import prompts_of

        return None if self.prompts is None else list(prompts_of(self.prompts, **self.reading.model_dump()))

    def _candidates(self, store: Ledger, prompts: Iterable[Prompt] | None) -> dict[str, list[Response]]:
        """The responses of each role's sources."""
        from backfire.pairs import one_sampling

        ids = None if prompts is None else [prompt.id for prompt in prompts]
        candidates: defaultdict[str, list[Response]] = defaultdict(list)
        if self.role:
            chosen_sources(store, [source for _, source in self.role])
        for name, source in self.role:
            responses = one_sampling(source, store.responses_of(source, ids), self.choice)
            if not responses:
                warn(f"{source!r} answered none of the prompts")
            candidates[name] += responses
        return dict(candidates)

    def _human_responses(self, store: Ledger, reference: str) -> dict[str, list[Response]]:
        from backfire.study.human import open_human

        reading = Reading.of(columns=self.human_columns, split=self.human_split)
        human = open_human(reference, **reading.options())
        if human.left_out:
            warn(f"{reference}: rows left out: {counted(human.left_out)}")
        store.put_prompts(human.prompts)
        store.put_responses([*human.chosen, *human.rejected])
        return {"human-chosen": human.chosen, "human-rejected": human.rejected}

    def _scores(
        self,
        store: Ledger,
        recipe: Recipe,
        candidates: Mapping[str, Sequence[Response]],
        prompt_ids: set[str],
    ) -> dict[str, float]:
        from backfire.models import open_reward_model
        from backfire.pairs import stored_scores

        responses = [r for given in candidates.values() for r in given if r.prompt_id in prompt_ids]
        if self.reward_model is not None and responses:
            return score_stored(open_reward_model(self.reward_model), responses, store)
        return stored_scores(store, recipe, [r.id for r in responses], self.scorer)


def _note_roles(recipe: Recipe, candidates: Mapping[str, object]) -> None:
    others = [name for name in candidates if name not in recipe.roles and name not in HUMAN_ROLES]
    if others:
        warn(f"{recipe.name} has no role {', '.join(others)}: its roles are {', '.join(recipe.roles)}")


def say_built(built: Built, out: Path) -> None:
    """What was built, from whom, and what was left out and why."""
    from backfire.pairs import REASONS

    counts = built.counts
    kinds = {kind: counts[kind] for kind in ("harmful", "benign")}
    unknown = counts["built"] - sum(kinds.values())
    say(f"{built.recipe.name}: {counts['built']} pairs ({counted({**kinds, 'of unknown kind': unknown})})")
    for side in ("chosen", "rejected"):
        say(f"  {side} from: {counted(counts['sources'][side])}; truncated {counts['truncated'][side]}")
    for reason, count in counts["left_out"].items():
        say(f"  prompts left out: {count} {reason} ({REASONS[reason]})")
    if counts["responses_left_out"]:
        say(f"  responses that were no candidates: {counted(counts['responses_left_out'])}")
    for warning in built.warnings:
        warn(warning)
    say(f"in {out}: train.parquet, pairs.json")


class Recipes(Command):
    """List the recipes: who writes each side, and how one response is picked."""

    recipes: Annotated[FileReference | None, Metavar("FILE")] = None
    """A YAML file with recipes of your own."""

    def run(self) -> None:
        from backfire.pairs import load_recipes

        shown = table("recipe", "chosen", "rejected", "about", left=4)
        for recipe in load_recipes(self.recipes).values():
            sides = [f"{side.pick} of {', '.join(side.roles)}" for side in (recipe.chosen, recipe.rejected)]
            shown.add_row(recipe.name, *sides, recipe.about)
        show(shown)
        say(
            "first: the first sample; best, worst: by the reward model's score. Add your own by --recipes FILE."
        )
