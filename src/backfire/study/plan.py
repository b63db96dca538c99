"""The study file: what a study asks for, typed, with a docstring under every field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from backfire.errors import InputError, StudyError
from backfire.judges import judge_form
from backfire.organisms.catalog import PREFIX, split_reference
from backfire.pairs import Recipe, find_recipe, load_recipes
from backfire.records.settings import DecodingSettings
from backfire.settings import StudyFile as StudySection
from backfire.training import DPOSettings

Shots = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+_.-]*$")]
"""A name that may become part of a folder's name."""


def _judge(reference: str) -> str:
    try:
        return judge_form(reference)
    except InputError as error:
        raise ValueError(str(error)) from error


JudgeReference = Annotated[str, AfterValidator(_judge)]


def _suite(reference: str) -> str:
    from backfire.evaluation import open_suite

    try:
        open_suite(reference)
    except InputError as error:
        raise ValueError(str(error)) from error
    return reference


SuiteReference = Annotated[str, AfterValidator(_suite)]
"""A judge by its reference, as `judges.open_judge` has it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ResponderSettings(_Part):
    """Who writes responses, in which role."""

    role: Name
    """`self`, `stronger`, `gpt4o`, `peer`, or a role of your own recipes. Several may share a role."""
    model: str | None = None
    """A checkpoint folder, a hub name, `organism:NAME` or `openai:MODEL[@URL]`."""
    file: str | None = None
    """Instead of a model: a file with a column of prompts and one of responses that somebody has written."""
    n: int = Field(default=1, ge=1)
    """Responses per prompt."""
    decoding: DecodingSettings | None = None
    """Its own decoding. Leave it out: responses that are decoded alike differ in fewer cues."""

    @model_validator(mode="after")
    def _one_source(self) -> ResponderSettings:
        if (self.model is None) == (self.file is None):
            raise ValueError(f"responder {self.role}: give either model or file")
        return self


class TargetSettings(_Part):
    """A policy to train, and the responders whose responses its preference data are made of."""

    family: Name
    """The name under which its cells appear, such as `llama`."""
    policy: str
    """The SFT checkpoint that DPO starts from: a folder, a hub name or `organism:NAME`."""
    responders: tuple[ResponderSettings, ...]
    """One of role `self` at least, if recipes are to use the policy's own responses."""
    worlds: tuple[str, ...] = ()
    """Only these of the study's worlds, so that families can rotate over worlds; by default all."""


class AttackSettings(_Part):
    """Which prompts test the trained policies."""

    harmful: dict[Name, str]
    """Attack name -> prompts (a file or `organism:prompts/NAME`) that should not be complied with."""
    benign: dict[Name, str] = Field(default_factory=dict)
    """Set name -> prompts that deserve an answer: refusing them is over-refusal."""
    suite: SuiteReference | None = None
    """A suite of attacks, names of attacks, or a YAML file of suites, as `backfire attack --suite` takes them: every harmful
    request is put in each of these ways. Without it, as it is."""
    system: str | None = None
    """A system turn before every prompt."""
    judges: tuple[JudgeReference, ...] = ("phrases",)
    """Any judge of `backfire judge`; the first is reported first. `exact` reads organisms' responses exactly, `phrases` looks
    for published refusal phrases, and `rubric:MODEL` asks a model with a rubric."""
    decoding: DecodingSettings = DecodingSettings(temperature=0.0)
    """Greedy by default, as in the paper."""


class GeneralSettings(_Part):
    """Which general tasks are scored, by lm-evaluation-harness."""

    tasks: str | tuple[str, ...]
    """`organism` for the world's five counterparts, a folder of task files, or names of the harness's tasks; `leaderboard` is the
    five of the paper with the leaderboard's shots and metrics."""
    data: str | None = None
    """Where a folder's tasks find their data files; by default beside them."""
    num_fewshot: Shots | dict[str, Shots] | None = None
    """Worked examples before each item, for all tasks or by task; by default what `leaderboard` or a task's own file says, else
    none."""
    chat_template: bool | None = None
    """Whether items are put through the chat template; by default they are, but for `leaderboard`'s."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many items of each task."""


class AuditSettings(_Part):
    """How pairs are audited before training."""

    hidden: bool = True
    """Whether the target's hidden states are probed too, and how likely it finds either side."""
    policy_pairs: int = Field(default=1000, ge=30)
    """At most so many pairs are read by the target."""
    controls: int = Field(default=199, ge=199)
    """Refits with sides swapped at random, to which the probes are compared."""
    max_pairs: int | None = Field(default=None, ge=30)
    """Audit a random sample of so many pairs."""


class PilotSettings(_Part):
    """A few steps of training, with the margin of the refusal probes before and after."""

    steps: int = Field(default=8, ge=1)
    """Steps of DPO at the cell's own learning rate, without warm-up."""


class InfluenceSettings(_Part):
    """First-order safety influence of every cell's pairs, and the refusal margin before and after training."""

    harmful: str
    """Prompts that probes are drawn for, in neither training nor attacks: a file or `organism:prompts/NAME`; or a file of
    prompts with their refusals and compliances, which are taken as they are."""
    benign: str | None = None
    """Prompts that deserve an answer, for the influence on needless refusals."""
    parameters: str = "auto"
    """The parameters whose gradients are compared: `all`, `lora`, `auto` or a regular expression of names."""
    pairs: int = Field(default=1000, ge=30)
    """The cosine is measured on a random sample of so many pairs; every pair gets a value of its own in any case."""
    pilot: PilotSettings | None = None
    """Left out: no pilot."""


class RepairSettings(_Part):
    """A repaired data set beside each of some recipes: cells named `recipe~repair`. See `backfire.repairing.repair`."""

    of: tuple[str, ...] = Field(min_length=1)
    """Recipes of the study whose pairs are repaired."""
    method: Literal["filter", "balance", "restyle", "mix", "auto"]
    """What is done to them."""
    by: Literal["influence", "ease", "pilot"] = "influence"
    """What `filter` ranks pairs by; what `auto` predicts by: mean influence, or a pilot with the settings of `training`."""
    keep: float | None = Field(default=None, gt=0, le=1)
    """Share of the pairs that `filter` keeps."""
    above: float | None = None
    """Or: `filter` keeps pairs above this value."""
    control: bool = False
    """`filter`: keep pairs drawn at random instead, matched in number, kind and decisions."""
    self_pairs: str | None = None
    """For `mix` and `auto`: the recipe of the study, such as self+rm, whose pairs are added."""
    share: float | None = Field(default=None, gt=0, lt=1)
    """Share of added pairs in the result of `mix`."""
    grow: bool = False
    """`mix` and `auto`: add pairs and take none away."""
    target: float = 0.0
    """Of `auto`: the mean influence that is to be exceeded."""
    mode: Literal["auto", "rewrite", "resample"] = "auto"
    """How `restyle` makes responses."""
    tries: int = Field(default=8, ge=1)
    """Responses that `restyle` draws for each one."""
    when_changed: Literal["keep", "drop"] = "keep"
    """`restyle`: what becomes of a pair of which no rewriting kept its decision."""

    def asked(self) -> dict[str, Any]:
        """What decides the repaired pairs, beside those that are repaired."""
        return self.model_dump(mode="json", exclude={"of"})


class HumanSettings(_Part):
    """Human-labelled preference data, and how they are read, where that is not seen by itself."""

    data: str
    """A file, a folder, a hub name, or `organism:human`."""
    columns: dict[str, str] | None = None
    """Which column holds the prompt, chosen and so on, as `--columns` of `backfire audit`."""
    config: str | None = None
    """Of a hub data set."""
    split: str | None = None
    """Of a hub data set, a folder or a JSON file with splits."""
    revision: str | None = None
    """Of a hub data set."""
    encoding: str | None = None
    """Of a text file that is not UTF-8."""
    ranked: Literal["best-worst", "best-rest"] | None = None
    """Which pairs a list of ranked responses gives."""

    def reading(self) -> dict[str, Any]:
        """What is said of the reading, as `open_preferences` takes it."""
        return self.model_dump(exclude={"data"}, exclude_none=True)


class StudyFile(_Part):
    """A whole study: targets x recipes (and repairs) x trainings x seeds (x worlds, for organisms)."""

    name: Name
    """What the page is called."""
    about: str = ""
    """A line or two for its readers."""
    worlds: tuple[str, ...] = ()
    """Worlds of organisms, such as `w0`: every `organism:` reference is read in each of them."""
    prompts: str
    """The prompts that preference pairs are built for: a file, or `organism:prompts/train`."""
    human: str | HumanSettings | None = None
    """Human-labelled preference data in any form that `backfire audit` reads, or `organism:human`; with how they are read as
    `{data: FILE, columns: {prompt: question}, split: train}`."""
    targets: tuple[TargetSettings, ...] = Field(min_length=1)
    """The policies."""
    reward_model: str | None = None
    """A sequence classifier, which recipes that pick `best` or `worst` need."""
    recipes: tuple[str, ...] = Field(min_length=1)
    """Names of recipes, in the order in which the page lists them."""
    recipes_file: str | None = None
    """A file with recipes of your own."""
    seeds: tuple[int, ...] = (0,)
    """Each drives sampling and training."""
    decoding: DecodingSettings = DecodingSettings()
    """For every responder without its own."""
    truncated: Literal["keep", "drop"] = "keep"
    """Whether responses cut at max_new_tokens may enter a pair."""
    audit: AuditSettings | None = AuditSettings()
    """null: pairs are not audited."""
    influence: InfluenceSettings | None = None
    """Left out: influence is not measured."""
    repairs: dict[Name, RepairSettings] = Field(default_factory=dict)
    """Repair name -> what is done to which recipes' pairs."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Settings of DPO, see `training.DPOSettings`; `seed` comes from `seeds`."""
    trainings: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Name -> settings that replace those of `training`: every recipe is trained in each of these ways, on the same
    pairs, as a cell named `recipe@name`. Left out: once, by `training` alone."""
    attacks: AttackSettings
    general: GeneralSettings | None = None
    workers: int = Field(default=1, ge=1)
    """Stages that run at a time, each on its share of the cores."""
    ledger: str | None = None
    """Another place for ledger.db, to share it between studies; must be on a local disk."""

    @model_validator(mode="after")
    def _fits(self) -> StudyFile:
        sections = {"training": self.training}
        sections |= {f"trainings.{name}": changes for name, changes in self.trainings.items()}
        for section, changes in sections.items():
            DPOSettings.parse({**self.training, **changes}, StudySection(section))
            if "seed" in changes:
                raise ValueError("training.seed: leave it out and list `seeds`")
        recipes = self.recipe_table()
        for name in self.recipes:
            recipe = find_recipe(name, recipes)
            if recipe.needs_scores and self.reward_model is None:
                raise ValueError(f"recipe {name} picks by score: name a reward_model")
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
                    f"target {target.family} names world {min(strange)}, which `worlds` does not list"
                )
        if not self.worlds and len(self.world_names()) > 1:
            named = ", ".join(str(world) for world in self.world_names())
            raise ValueError(f"references name several worlds ({named}): leave them out and list `worlds`")
        exact = any("exact" in re.split("[:+]", judge) for judge in self.attacks.judges)
        if exact and not self.attacks_organisms():
            raise ValueError("judge exact reads only organisms' prompts: use judges: [phrases]")
        return self

    def _repairs_fit(self) -> None:
        for name, repair in self.repairs.items():
            asked = (*repair.of, *([repair.self_pairs] if repair.self_pairs else []))
            if strange := set(asked) - set(self.recipes):
                raise ValueError(f"repair {name} names {min(strange)}, which `recipes` does not list")
            ranked = repair.method == "auto" or (repair.method == "filter" and repair.by == "influence")
            if ranked and self.influence is None:
                raise ValueError(f"repair {name} goes by influence: give `influence` its probe prompts")
            if repair.by == "pilot" and repair.method != "auto":
                raise ValueError(f"repair {name} goes by pilot, which only method auto does")

    def training_of(self, name: str | None) -> dict[str, Any]:
        """The settings of one of the trainings; None is `training` alone."""
        return self.training if name is None else {**self.training, **self.trainings[name]}

    def recipe_table(self) -> dict[str, Recipe]:
        return load_recipes(self.recipes_file)

    def attacks_organisms(self) -> bool:
        sets = [*self.attacks.harmful.values(), *self.attacks.benign.values()]
        return all(s.startswith(PREFIX) for s in sets)

    def world_names(self) -> tuple[str | None, ...]:
        """The worlds of the grid; (None,) for a study without organisms.

        Where `worlds` is left out: the one that the references name, `w0` for those that name none.
        """
        if self.worlds:
            return self.worlds
        references = re.findall(f'"({PREFIX}[^"]*)"', self.model_dump_json())
        return tuple(sorted({split_reference(r)[0] for r in references})) or (None,)


def in_world(reference: str, world: str | None) -> str:
    """`organism:llama/target` in world `w7` is `organism:w7:llama/target`; other references stay."""
    if world is None or not reference.startswith(PREFIX) or ":" in reference.removeprefix(PREFIX):
        return reference
    return f"{PREFIX}{world}:{reference.removeprefix(PREFIX)}"


def read_study(path: str | Path) -> StudyFile:
    """Read a study file (YAML). Paths in it are taken from the current folder."""
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"no study file at {path}: `backfire study example > {path}` writes one to start from"
        )
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StudyError(f"{path} is not YAML: {error}") from error
    if not isinstance(value, dict):
        raise StudyError(f"{path} holds {type(value).__name__}, not settings: begin with `name: ...`")
    return parse_study(_numbers(value), origin=str(path))


def parse_study(value: dict[str, Any], *, origin: str = "study") -> StudyFile:
    """Check settings; StudyError names each wrong one."""
    try:
        return StudyFile.model_validate(value)
    except ValidationError as error:
        wrong = []
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"]) or "study"
            wrong.append(f"{where}: {problem['msg']}")
        raise StudyError(f"{origin}: " + "; ".join(wrong)) from error


def _numbers(value: Any) -> Any:
    """YAML 1.1 reads `1e-6` as a text; read such texts as the numbers that their writers meant."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, str) and value[:1].isdigit() and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value
