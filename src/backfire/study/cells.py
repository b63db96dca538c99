"""The grid unrolled: which responses are drawn, and which cells are trained, with where each stage's result lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    """One recipe applied to one target, in one world, with one seed. Recipe `sft` is the target itself."""

    study: StudyFile
    target: TargetSettings
    recipe: str
    seed: int
    world: str | None

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
        return None if self.study.human is None else in_world(self.study.human, self.world)

    @property
    def label(self) -> str:
        """Its name in progress lines: family, world where there are several, recipe, seed where there are several."""
        parts = [self.target.family]
        if len(self.study.world_names()) > 1:
            parts.append(str(self.world))
        parts.append(self.recipe)
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
        return {
            "policy": self.policy,
            "recipe": recipe.as_dict(),
            "seed": self.seed,
            "prompts": self.prompts,
            "responders": [[role, {**draw.spec, "n": n}] for role, draw, n in asked],
            "human": self.human if with_human else None,
            "reward_model": self.reward_model if recipe.needs_scores else None,
            "truncated": self.study.truncated,
            "training": self.study.training,
        }

    @cached_property
    def folder_name(self) -> str:
        return f"{self.target.family}-{self.recipe}-s{self.seed}-{digest(self.spec)[:8]}"


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
        return self.root / "samples" / f"human-{digest(cell.human, cell.prompts)[:8]}"

    def human_scores(self, cell: Cell) -> Path:
        name = f"human-{digest(cell.human, cell.prompts, cell.reward_model)[:8]}"
        return self.root / "scores" / name

    def cell(self, cell: Cell) -> Path:
        return self.root / "cells" / cell.folder_name

    @property
    def results(self) -> Path:
        return self.root / "results.json"


def grid(study: StudyFile) -> list[Cell]:
    """All cells in the page's order: by world, target and seed, `sft` first, then the recipes as listed."""
    return [
        Cell(study, target, recipe, seed, world)
        for world in study.world_names()
        for target in study.targets
        if not target.worlds or world in target.worlds
        for seed in study.seeds
        for recipe in (SFT, *study.recipes)
    ]
