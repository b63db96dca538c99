"""The grid unrolled: which responses are sampled, which cells are trained, and where each artifact lies."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from backfire.models.settings import Opening
from backfire.organisms.catalog import SHIPPED
from backfire.pairs.settings import HUMAN_ROLES
from backfire.records import Decoding, digest
from backfire.study.openings import AS_IT_IS, merged, opened_as_spec
from backfire.study.plan import StudyFile
from backfire.study.sections import (
    GivenSection,
    HumanSettings,
    OpeningSection,
    ResponderSettings,
    TargetSettings,
)
from backfire.study.worlds import in_world

SFT, RLOO = "sft", "rloo"
"""Cells without pairs: the target itself, and the target trained by RLOO."""


@dataclass(frozen=True)
class ResponseSet:
    """The responses of one responder to the study's prompts, with one seed. Cells share it."""

    responder: str
    """The model, or the file with responses that somebody has written; whatever its role is."""
    prompts: str
    n: int
    """Responses to each prompt."""
    decoding: Decoding
    seed: int
    given: bool
    """Whether the responder is a file."""
    reading: GivenSection | None = None
    """How that file is read, where the study says so."""
    opening: Opening = AS_IT_IS
    """How the model is opened."""

    @cached_property
    def spec(self) -> dict[str, Any]:
        spec = {
            "stage": "sample",
            "responder": self.responder,
            "prompts": self.prompts,
            "n": self.n,
            "decoding": None if self.given else self.decoding.as_dict(),
            "seed": self.seed,
        }
        if self.reading is not None:
            spec["reading"] = self.reading.model_dump(mode="json", exclude_unset=True)
        return spec | opened_as_spec(self.opening)

    @cached_property
    def slug(self) -> str:
        """What its folder is called."""
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.responder.removeprefix("organism:"))[-40:].strip("-")
        return f"{name}-s{self.seed}-{digest(self.spec)[:8]}"


class Candidates(NamedTuple):
    """Responses that a recipe may choose from: the first n of a set to each prompt, in a role."""

    role: str
    responses: ResponseSet
    n: int


@dataclass(frozen=True)
class Cell:
    """One recipe applied to one target, in one world, with one seed. Recipe `sft` is the target itself.

    Cells that differ only in their training share the data that they are trained on.
    """

    study: StudyFile
    target: TargetSettings
    recipe: str
    seed: int
    world: str | None
    training_name: str | None = None
    """Which of the study's `trainings`; None where it lists none."""
    repair: str | None = None
    """Which of the study's `repairs` the recipe's pairs went through."""

    @property
    def name(self) -> str:
        """Recipe, repair and training: `gpt4o+self~filter@lora`."""
        repaired = self.recipe if self.repair is None else f"{self.recipe}~{self.repair}"
        return repaired if self.training_name is None else f"{repaired}@{self.training_name}"

    @property
    def training(self) -> dict[str, Any]:
        """What the study file says of its training."""
        return self.study.training_of(self.training_name)

    def of_recipe(self, recipe: str) -> Cell:
        """The cell of this target, world and seed whose pairs another recipe gives, unrepaired."""
        return replace(self, recipe=recipe, repair=None)

    @property
    def policy(self) -> str:
        return in_world(self.target.policy, self.world)

    @property
    def prompts(self) -> str:
        return in_world(self.target.prompts or self.study.prompts, self.world)

    @property
    def has_pairs(self) -> bool:
        """Whether it is trained on preference pairs."""
        return self.recipe not in (SFT, RLOO)

    @property
    def reward_model(self) -> str | dict[str, Any] | None:
        """What decides the reward model: its reference, or what the study trains it of, on and how."""
        named = self.study.reward_model
        if named is None or isinstance(named, str):
            return None if named is None else in_world(named, self.world)
        return named.spec(self.world, self.human_set, self.seed) | opened_as_spec(self.other_opening)

    @property
    def _human(self) -> HumanSettings | str | None:
        return self.study.human if self.target.human is None else self.target.human

    @property
    def human(self) -> str | None:
        given = self._human
        return (
            None if given is None else in_world(given if isinstance(given, str) else given.data, self.world)
        )

    @property
    def human_reading(self) -> dict[str, Any]:
        """How the human-labelled data are read, where the study says so."""
        given = self._human
        return {} if given is None or isinstance(given, str) else given.reading()

    @property
    def human_set(self) -> Any:
        """What decides the human-labelled responses: the reference, and how it is read."""
        return [self.human, self.human_reading] if self.human_reading else self.human

    @property
    def organisms_world(self) -> str:
        """The world that judge `exact` and the organisms' tasks read."""
        return self.world or SHIPPED

    @property
    def decision_judge(self) -> str:
        """The judge that reads decisions before training: `exact` where the study uses it on organisms, else `phrases`."""
        return "exact" if self.world is not None and "exact" in self.study.attacks.judges else "phrases"

    @property
    def label(self) -> str:
        """Its name in progress lines: family, world where there are several, recipe, seed where there are several."""
        parts = [self.target.family]
        if len(self.study.world_names()) > 1:
            parts.append(str(self.world))
        parts.append(self.name)
        if len(self.study.seeds) > 1:
            parts.append(f"s{self.seed}")
        return " ".join(parts)

    def candidates(self) -> list[Candidates]:
        """What every responder of the target gives."""
        return [Candidates(r.role, self._responses(r), r.n) for r in self.target.responders]

    def recipe_candidates(self) -> dict[str, Candidates]:
        """What the recipe chooses from, by role; a second responder of the role `peer` goes by `peer 2`."""
        by_role: dict[str, Candidates] = {}
        for one in self.candidates():
            if one.role in self.recipe_roles:
                number = sum(other.role == one.role for other in by_role.values()) + 1
                by_role[one.role if number == 1 else f"{one.role} {number}"] = one
        return by_role

    @property
    def recipe_roles(self) -> tuple[str, ...]:
        return self.study.recipe_table()[self.recipe].roles

    @property
    def uses_human(self) -> bool:
        """Whether the recipe chooses from the human-labelled set."""
        return not set(HUMAN_ROLES).isdisjoint(self.recipe_roles)

    def _responses(self, responder: ResponderSettings) -> ResponseSet:
        """A responder that several targets ask (one's own policy, another's peer) is sampled once, as often as the target
        that asks most needs, so that what is stored does not depend on who comes first."""
        most = max(
            other.n
            for target in self.study.targets
            for other in target.responders
            if (other.model, other.file, other.reading)
            == (responder.model, responder.file, responder.reading)
            and self._decoding(other) == self._decoding(responder)
            and self._opening_of(target, other) == self._opening_of(self.target, responder)
        )
        decoding, opening = self._decoding(responder), self._opening_of(self.target, responder)
        if responder.file is not None:
            return ResponseSet(
                responder.file,
                self.prompts,
                most,
                decoding,
                self.seed,
                given=True,
                reading=responder.reading,
            )
        model = in_world(str(responder.model), self.world)
        return ResponseSet(model, self.prompts, most, decoding, self.seed, given=False, opening=opening)

    @property
    def opening(self) -> Opening:
        """How the policy is opened, before training."""
        return merged(self.study.opening, self.target.opening)

    @property
    def trained_opening(self) -> Opening:
        """How the trained policy is opened. Its chat template was saved with it."""
        return merged(self.opening, OpeningSection(chat_template=None))

    @property
    def other_opening(self) -> Opening:
        """How a model is opened that is not the target: in the study's dtype, on its device, with its own template."""
        return merged(self.study.opening, OpeningSection(chat_template=None))

    @property
    def reward_opening(self) -> Opening:
        """How the reward model is opened."""
        own = self.study.scoring.opening
        given = {name: getattr(own, name) for name in own.model_fields_set & {"dtype", "device"}}
        return merged(self.other_opening, OpeningSection(**given))

    @property
    def scoring(self) -> dict[str, Any]:
        """What the study says of scoring, beside dtype and device."""
        scoring = self.study.scoring
        given: dict[str, Any] = scoring.model_dump(
            mode="json", exclude_unset=True, exclude={"opening": {"dtype", "device"}}
        )
        opening = given.pop("opening", {})
        return {**given, **opening}

    def _opening_of(self, target: TargetSettings, responder: ResponderSettings) -> Opening:
        if responder.opening is None and responder.model == target.policy:
            return merged(self.study.opening, target.opening)
        return merged(self.other_opening, responder.opening)

    def _decoding(self, responder: ResponderSettings) -> Decoding:
        return (responder.decoding or self.study.decoding).decoding()

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Everything that training the cell depends on, but for the contents of what the references name."""
        if self.recipe == SFT:
            return {"policy": self.policy, "recipe": SFT, "seed": self.seed} | opened_as_spec(self.opening)
        if self.recipe == RLOO and self.study.rloo is not None:
            return {
                "policy": self.policy,
                "recipe": RLOO,
                "seed": self.seed,
                "prompts": self.prompts,
                "reward_model": self.reward_model,
                "scoring": self.scoring,
                "training": self.study.rloo.model_dump(mode="json"),
            } | opened_as_spec(self.opening)
        recipe = self.study.recipe_table()[self.recipe]
        spec = {
            "policy": self.policy,
            "recipe": recipe.as_dict(),
            "seed": self.seed,
            "prompts": self.prompts,
            "responders": [
                [role, {**responses.spec, "n": n}] for role, responses, n in self.recipe_candidates().values()
            ],
            "human": self.human_set if self.uses_human else None,
            "reward_model": self.reward_model if recipe.needs_scores else None,
            "truncated": self.study.truncated,
            "training": self.training,
        } | opened_as_spec(self.opening)
        if self.study.min_characters > 1:
            spec["min_characters"] = self.study.min_characters
        if self.repair is not None:
            settings = self.study.repairs[self.repair]
            spec["repair"] = settings.given()
            if settings.added is not None:
                spec["added"] = self.of_recipe(settings.added).data_name
        return spec

    @cached_property
    def folder_name(self) -> str:
        return f"{self.target.family}-{self.name}-s{self.seed}-{digest(self.spec)[:8]}"

    @cached_property
    def data_name(self) -> str:
        """What the cell's pairs, their audit and their influence are called: the same for every training."""
        if self.training_name is None:
            return self.folder_name
        untrained = {key: value for key, value in self.spec.items() if key != "training"}
        name = replace(self, training_name=None).name
        return f"{self.target.family}-{name}-s{self.seed}-{digest(untrained)[:8]}"


@dataclass(frozen=True)
class RunFolder:
    """Where a study's results lie."""

    root: Path
    ledger_path: Path

    def samples(self, responses: ResponseSet) -> Path:
        return self.root / "samples" / responses.slug

    def scores(self, responses: ResponseSet, reward_model: Any) -> Path:
        return self.root / "scores" / f"{responses.slug}-{digest(reward_model)[:8]}"

    def human(self, cell: Cell) -> Path:
        return self.root / "samples" / f"human-{digest(cell.human_set, cell.prompts)[:8]}"

    def human_scores(self, cell: Cell) -> Path:
        name = f"human-{digest(cell.human_set, cell.prompts, cell.reward_model)[:8]}"
        return self.root / "scores" / name

    def reward(self, cell: Cell) -> Path:
        """The reward model that the study trains."""
        return self.root / "reward" / f"s{cell.seed}-{digest(cell.reward_model)[:8]}"

    def data(self, cell: Cell) -> Path:
        """Where the cell's pairs and what is measured on them lie: its own folder, or one that its trainings share."""
        return self.root / ("cells" if cell.training_name is None else "data") / cell.data_name

    def pairs(self, cell: Cell) -> Path:
        return self.data(cell) / "pairs"

    def audit(self, cell: Cell) -> Path:
        return self.data(cell) / "audit"

    def influence(self, cell: Cell) -> Path:
        return self.data(cell) / "influence"

    def cell(self, cell: Cell) -> Path:
        return self.root / "cells" / cell.folder_name

    def policy(self, cell: Cell) -> Path:
        return self.cell(cell) / "policy"

    def pilot(self, cell: Cell) -> Path:
        return self.cell(cell) / "pilot"

    def margin(self, cell: Cell) -> Path:
        return self.cell(cell) / "margin"

    def attack(self, cell: Cell) -> Path:
        return self.cell(cell) / "attack"

    def general(self, cell: Cell) -> Path:
        return self.cell(cell) / "general"

    def probes(self, cell: Cell) -> Path:
        spec = {"policy": cell.policy, "seed": cell.seed, "prompts": cell.prompts} | opened_as_spec(
            cell.opening
        )
        return self.root / "probes" / f"{cell.target.family}-s{cell.seed}-{digest(spec)[:8]}"

    @property
    def gradients(self) -> Path:
        """Where the probes' gradients lie while the study runs, so that a policy's data sets share them."""
        return self.root / ".gradients"

    @property
    def results(self) -> Path:
        return self.root / "results.json"


def grid(study: StudyFile) -> list[Cell]:
    """All cells in the page's order: by world, target and seed, `sft` first, then the recipes as listed, each with its
    repairs after it and in each training; `rloo` last."""
    trainings = tuple(study.trainings) or (None,)
    recipes = (SFT, *study.recipes, *((RLOO,) if study.rloo is not None else ()))
    return [
        Cell(study, target, recipe, seed, world, training, repair)
        for world in study.world_names()
        for target in study.targets
        if not target.worlds or world in target.worlds
        for seed in study.seeds
        for recipe in recipes
        for repair in (None, *(name for name, how in study.repairs.items() if recipe in how.recipes))
        for training in ((None,) if recipe in (SFT, RLOO) else trainings)
    ]
