"""The study file: what a study asks for, typed, with a docstring under every field."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from backfire.influence.settings import PilotSettings
from backfire.organisms.catalog import PREFIX
from backfire.pairs import Recipe, find_recipe, load_recipes
from backfire.records.settings import DecodingSettings
from backfire.responses.settings import ScoreSettings
from backfire.settings import FileReference, PromptsReference, Settings
from backfire.study.repair_sections import RepairOfStudy
from backfire.study.reward_sections import RLOOSection, TrainedReward
from backfire.study.sections import (
    AttackSection,
    AuditSection,
    CellTraining,
    GeneralSection,
    HumanSettings,
    InfluenceSection,
    Name,
    OpeningSection,
    TargetSettings,
    TrainingSection,
)
from backfire.study.worlds import worlds_named


class StudyFile(Settings):
    """A whole study: targets x recipes (and repairs) x trainings x seeds (x worlds, for organisms)."""

    sections = True

    name: Name
    """What the page is called."""
    about: str = ""
    """A line or two for its readers."""
    worlds: tuple[str, ...] = ()
    """Worlds of organisms, such as `w0`: every `organism:` reference is read in each of them."""
    prompts: PromptsReference
    """The prompts that preference pairs are built for: a file, or `organism:prompts/train`."""
    human: HumanSettings | str | None = None
    """Human-labelled preference data in any form that `backfire audit` reads, or `organism:human`; with how they are read as
    `{data: FILE, columns: {prompt: question}, split: train}`."""
    targets: tuple[TargetSettings, ...] = Field(min_length=1)
    """The policies."""
    reward_model: TrainedReward | str | None = None
    """A sequence classifier, which recipes that pick `best` or `worst` need, and RLOO: a folder, a hub name, `organism:NAME`, or
    one that the study trains itself, `{train: {model: MODEL, ...}}`."""
    scoring: ScoreSettings = ScoreSettings()
    """How it scores: the settings of `backfire score`. Its dtype and device are the study's, where it names none."""
    recipes: tuple[str, ...] = Field(min_length=1)
    """The names of recipes, in the order in which the page lists them."""
    recipes_file: FileReference | None = None
    """A file with recipes of your own."""
    seeds: tuple[int, ...] = (0,)
    """Each seed drives sampling and training of a grid of its own."""
    opening: OpeningSection = OpeningSection()
    """How models are opened, in every stage: the dtype that they compute in, and the device. Training computes in this
    dtype, too, where `training` names none, and on a GPU or on the CPU as the device says. The chat template is put on the
    targets. Targets and responders may say otherwise."""
    decoding: DecodingSettings = DecodingSettings()
    """How every responder without its own decoding is sampled."""
    truncated: Literal["keep", "drop"] = "keep"
    """Whether responses that were cut at max_new_tokens may enter a pair."""
    min_characters: int = Field(default=1, ge=1)
    """A response with fewer characters other than white space counts as blank, and enters no pair."""
    audit: AuditSection | None = AuditSection()
    """How pairs are audited before training. null: they are not."""
    influence: InfluenceSection | None = None
    """How safety influence is measured. Left out, it is not."""
    repairs: dict[Name, RepairOfStudy] = Field(default_factory=dict)
    """Repairs by name: what is done to which recipes' pairs."""
    training: TrainingSection = TrainingSection()
    """How policies are trained, as `backfire train dpo` does it. The seed comes from `seeds`."""
    trainings: dict[Name, TrainingSection] = Field(default_factory=dict)
    """Settings that replace those of `training`, by name: every recipe is trained in each of these ways, on the same pairs,
    as a cell named `recipe@name`. Left out, policies are trained once, by `training` alone."""
    rloo: RLOOSection | None = None
    """RLHF beside the recipes, as a cell named `rloo`. Left out, there is none."""
    attacks: AttackSection
    """What the trained policies are asked, and who judges the answers."""
    general: GeneralSection | None = None
    """The general tasks. Left out, there are none."""
    workers: int = Field(default=1, ge=1)
    """How many stages run at a time, each on its share of the cores."""
    ledger: str | None = None
    """Another place for ledger.db, to share it between studies. It must be on a local disk."""

    @model_validator(mode="after")
    def _fits(self) -> StudyFile:
        for name in self.trainings:
            self.dpo(name)
        recipes = self.recipe_table()
        for name in self.recipes:
            recipe = find_recipe(name, recipes)
            if recipe.needs_scores and self.reward_model is None:
                raise ValueError(f"recipe {name} picks by score: name a {{reward_model}}")
        self._rewards_fit()
        self._repairs_fit()
        for values, what in ((self.recipes, "recipe"), (self.seeds, "seed"), (self.worlds, "world")):
            if len(set(values)) < len(values):
                raise ValueError(f"a {what} is listed twice: {values}")
        families = [t.family for t in self.targets]
        if len(set(families)) < len(families):
            raise ValueError(f"two targets share a family name: {families}")
        for target in self.targets:
            if strange := set(target.worlds) - set(self.worlds):
                raise ValueError(
                    f"target {target.family} names world {min(strange)}, which {{worlds}} does not list"
                )
        if not self.worlds and len(self.world_names()) > 1:
            named = ", ".join(str(world) for world in self.world_names())
            raise ValueError(f"references name several worlds ({named}): leave them out and list `worlds`")
        exact = any("exact" in re.split("[:+]", judge) for judge in self.attacks.judges)
        if exact and not self.attacks_organisms():
            raise ValueError("judge exact reads only organisms' prompts: use judges: [phrases]")
        return self

    def _rewards_fit(self) -> None:
        if strange := {"sft", "rloo"} & set(self.recipes):
            raise ValueError(f"recipe {min(strange)} has the name of a cell without pairs: call it otherwise")
        if self.rloo is not None and self.reward_model is None:
            raise ValueError("{rloo} is rewarded by a reward model: name a {reward_model}")
        if isinstance(self.reward_model, TrainedReward) and self.reward_model.train.data is None:
            without = [t.family for t in self.targets if t.human is None]
            if self.human is None and without:
                raise ValueError(
                    "{reward_model} is trained on human-labelled pairs: give {human}, or reward_model.train its `data`"
                )

    def _repairs_fit(self) -> None:
        for name, repair in self.repairs.items():
            named = (*repair.recipes, *([repair.added] if repair.added else []))
            if strange := set(named) - set(self.recipes):
                raise ValueError(f"repair {name} names {min(strange)}, which {{recipes}} does not list")
            if repair.by_influence and self.influence is None:
                raise ValueError(f"repair {name} goes by influence: give {{influence}} its probe prompts")

    def dpo(self, name: str | None = None, *, seed: int = 0) -> CellTraining:
        """The settings of one of the trainings; None is `training` alone."""
        return CellTraining.of(**{**self.training_of(name), "seed": seed})

    def pilot(self, name: str | None = None, *, seed: int = 0) -> tuple[int, CellTraining]:
        """How many steps the pilot takes, and at which settings: those of the training, where it says nothing else."""
        pilot = (None if self.influence is None else self.influence.pilot) or PilotSettings()
        own = {name: getattr(pilot, name) for name in pilot.model_fields_set - {"steps", "lora"}}
        if pilot.lora is not None:
            own["adapter"] = pilot.lora
        if "batch_size" in own:
            own["gradient_accumulation"] = 1
        return pilot.steps, CellTraining.of(self.dpo(name, seed=seed), **own)

    def training_of(self, name: str | None) -> dict[str, Any]:
        """What the study file says of one of the trainings; None is `training` alone."""
        own = {} if name is None else self.trainings[name].given()
        return {**self.training.given(), **own}

    def recipe_table(self) -> dict[str, Recipe]:
        return load_recipes(self.recipes_file)

    def attacks_organisms(self) -> bool:
        sets = [*self.attacks.harmful.values(), *self.attacks.benign.values()]
        return all(isinstance(s, str) and s.startswith(PREFIX) for s in sets)

    def world_names(self) -> tuple[str | None, ...]:
        """The worlds of the grid; (None,) for a study without organisms.

        Where `worlds` is left out: the one that the references name, `w0` for those that name none.
        """
        return self.worlds or worlds_named(self) or (None,)
