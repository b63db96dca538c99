"""The grid unrolled: which responses are drawn, and which cells are trained, with where each stage's result lies."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from backfire.records import Decoding, digest
from backfire.study.plan import ResponderSettings, StudyFile, TargetSettings, in_world

SFT = "sft"


@dataclass(frozen=True)
class Draw:
    """Responses of one responder to the study's prompts with one seed; cells share it."""

    role_free_name: str
    """Model reference or file: who writes, whatever its role."""
    prompts: str
    n: int
    decoding: Decoding
    seed: int
    given: bool

    @cached_property
    def spec(self) -> dict[str, Any]:
        return {
            "stage": "sample",
            "responder": self.role_free_name,
            "prompts": self.prompts,
            "n": self.n,
            "decoding": None if self.given else self.decoding.as_dict(),
            "seed": self.seed,
        }

    @cached_property
    def slug(self) -> str:
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.role_free_name.removeprefix("organism:"))[-40:].strip("-")
        return f"{name}-s{self.seed}-{digest(self.spec)[:8]}"


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
        """Settings of DPO, without the seed."""
        return self.study.training_of(self.training_name)

    def of_recipe(self, recipe: str) -> Cell:
        """The cell of this target, world and seed whose pairs another recipe gives, unrepaired."""
        return replace(self, recipe=recipe, repair=None)

    @property
    def policy(self) -> str:
        return in_world(self.target.policy, self.world)

    @property
    def prompts(self) -> str:
        return in_world(self.study.prompts, self.world)

    @property
    def reward_model(self) -> str | None:
        return None if self.study.reward_model is None else in_world(self.study.reward_model, self.world)

    @property
    def human(self) -> str | None:
        given = self.study.human
        return (
            None if given is None else in_world(given if isinstance(given, str) else given.data, self.world)
        )

    @property
    def human_reading(self) -> dict[str, Any]:
        """How the human-labelled data are read, where the study says so."""
        given = self.study.human
        return {} if given is None or isinstance(given, str) else given.reading()

    @property
    def human_set(self) -> Any:
        """What decides the human-labelled responses: the reference, and how it is read."""
        return [self.human, self.human_reading] if self.human_reading else self.human

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

    def draws(self) -> list[tuple[str, Draw, int]]:
        """(role, draw, n) of every responder of the target: it uses the first n responses of the draw.

        A responder that several targets ask (one's own policy, another's peer) is drawn once, as often as the one
        that asks most needs, so that what is stored does not depend on who comes first.
        """
        return [(r.role, self._draw(r), r.n) for r in self.target.responders]

    def _draw(self, responder: ResponderSettings) -> Draw:
        most = max(
            other.n
            for target in self.study.targets
            for other in target.responders
            if (other.model, other.file) == (responder.model, responder.file)
            and self._decoding(other) == self._decoding(responder)
        )
        source = responder.file or in_world(str(responder.model), self.world)
        given = responder.file is not None
        return Draw(source, self.prompts, most, self._decoding(responder), self.seed, given)

    def _decoding(self, responder: ResponderSettings) -> Decoding:
        return (responder.decoding or self.study.decoding).decoding()

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Everything that training the cell depends on, but for the contents of what the references name."""
        if self.recipe == SFT:
            return {"policy": self.policy, "recipe": SFT, "seed": self.seed}
        recipe = self.study.recipe_table()[self.recipe]
        asked = [(role, draw, n) for role, draw, n in self.draws() if role in recipe.roles]
        with_human = bool({"human-chosen", "human-rejected"} & set(recipe.roles))
        spec = {
            "policy": self.policy,
            "recipe": recipe.as_dict(),
            "seed": self.seed,
            "prompts": self.prompts,
            "responders": [[role, {**draw.spec, "n": n}] for role, draw, n in asked],
            "human": self.human_set if with_human else None,
            "reward_model": self.reward_model if recipe.needs_scores else None,
            "truncated": self.study.truncated,
            "training": self.training,
        }
        if self.repair is not None:
            settings = self.study.repairs[self.repair]
            spec["repair"] = settings.asked()
            if settings.self_pairs is not None:
                spec["added"] = self.of_recipe(settings.self_pairs).data_name
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

    def samples(self, draw: Draw) -> Path:
        return self.root / "samples" / draw.slug

    def scores(self, draw: Draw, reward_model: str) -> Path:
        return self.root / "scores" / f"{draw.slug}-{digest(reward_model)[:8]}"

    def human(self, cell: Cell) -> Path:
        return self.root / "samples" / f"human-{digest(cell.human_set, cell.prompts)[:8]}"

    def human_scores(self, cell: Cell) -> Path:
        name = f"human-{digest(cell.human_set, cell.prompts, cell.reward_model)[:8]}"
        return self.root / "scores" / name

    def cell(self, cell: Cell) -> Path:
        return self.root / "cells" / cell.folder_name

    def data(self, cell: Cell) -> Path:
        """Where the cell's pairs and what is measured on them lie: its own folder, or one that its trainings share."""
        return self.root / ("cells" if cell.training_name is None else "data") / cell.data_name

    def probes(self, cell: Cell) -> Path:
        spec = {"policy": cell.policy, "seed": cell.seed, "prompts": cell.prompts}
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
    repairs after it and in each training."""
    trainings = tuple(study.trainings) or (None,)
    return [
        Cell(study, target, recipe, seed, world, training, repair)
        for world in study.world_names()
        for target in study.targets
        if not target.worlds or world in target.worlds
        for seed in study.seeds
        for recipe in (SFT, *study.recipes)
        for repair in (None, *(name for name, how in study.repairs.items() if recipe in how.of))
        for training in ((None,) if recipe == SFT else trainings)
    ]
