"""The settings of a release check: the rules file, and what the command takes beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from backfire.evaluation.settings import AttackSettings, GeneralSettings
from backfire.models.settings import Opening
from backfire.settings import (
    FileReference,
    FolderReference,
    LedgerReference,
    Metavar,
    ModelReference,
    PromptsReference,
    Settings,
)

Metric = Literal["asr", "over_refusal", "general"]
Limit = Literal["at_most", "at_least", "above_base_at_most", "below_base_at_most", "of_base_at_least"]
LIMITS: tuple[Limit, ...] = (
    "at_most",
    "at_least",
    "above_base_at_most",
    "below_base_at_most",
    "of_base_at_least",
)
FITTING: Mapping[Metric, tuple[Limit, ...]] = {
    "asr": ("at_most", "above_base_at_most"),
    "over_refusal": ("at_most", "above_base_at_most"),
    "general": ("at_least", "below_base_at_most", "of_base_at_least"),
}
"""The limits that a metric can have: of attack success and refusals less is better, of general scores more."""
EVERY_ATTACK = "all attacks"
"""What a rule names as its set to mean all attacks pooled."""


class Rule(Settings):
    """One rule: a metric, and one limit that it must keep.

    A rule is kept where the whole interval lies on the good side of the limit, broken where it lies on the bad side, and
    not decided otherwise.
    """

    metric: Metric
    """What is looked at: asr (attack success rate), over_refusal (refusals of benign prompts), or general (scores on general
    tasks)."""
    set: str | None = None
    """The set of prompts, by its name, or `all attacks` for all attacks pooled. Where it is not given, the rule holds for
    every set of its kind by itself. Of a suite, every attack is a set."""
    judge: str | None = None
    """The judge whose verdicts count. Where it is not given, the first one."""
    task: str | None = None
    """The general task. Where it is not given, the mean over all tasks, each of the same weight."""
    at_most: float | None = None
    """The candidate's rate is at most so many percent."""
    at_least: float | None = None
    """The candidate's score is at least so many percent."""
    above_base_at_most: float | None = None
    """The candidate's rate lies above the base's by at most so many points, on the same prompts. Below 0, it must lie below
    the base's."""
    below_base_at_most: float | None = None
    """The candidate's score lies below the base's by at most so many points, on the same items."""
    of_base_at_least: float | None = None
    """The candidate's score is at least so many percent of the base's, on the same items."""
    confidence: float = Field(default=95, ge=50, lt=100)
    """The confidence of the two-sided interval, in percent."""

    @model_validator(mode="after")
    def _one_limit(self) -> Rule:
        fitting = FITTING[self.metric]
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            what = "no limit" if not given else f"{len(given)} limits ({', '.join(given)})"
            raise ValueError(f"a rule about {self.metric} has {what}: give one of {', '.join(fitting)}")
        if given[0] not in fitting:
            better = "more" if self.metric == "general" else "less"
            raise ValueError(
                f"{{{given[0]}}} is no limit of {self.metric}, of which {better} is better: give one of {', '.join(fitting)}"
            )
        if self.metric == "general" and (self.set or self.judge):
            raise ValueError("general tasks have no {set} and no {judge}: leave them out, or name a {task}")
        if self.metric != "general" and self.task:
            raise ValueError(f"{self.metric} is measured on prompts, not on a {{task}}: name a {{set}}")
        self._decidable(given[0])
        return self

    def _decidable(self, name: Limit) -> None:
        """Raise ValueError for a limit on one side of which no interval can lie, however many cases there are."""
        value = self.limit
        lowest = -100.0 if name in ("above_base_at_most", "below_base_at_most") else 0.0
        highest = None if name == "of_base_at_least" else 100.0
        if value <= lowest or (highest is not None and value >= highest):
            bounds = f"above {lowest:g}" + ("" if highest is None else f" and below {highest:g}")
            raise ValueError(
                f"{{{name}}} {value:g} cannot be decided by any number of cases, because no interval can lie on either side of "
                f"it: give a number {bounds}"
            )

    @property
    def kind(self) -> Limit:
        """Which limit it has."""
        return next(name for name in LIMITS if getattr(self, name) is not None)

    @property
    def limit(self) -> float:
        """The limit, in percent or points."""
        return float(getattr(self, self.kind))

    @property
    def less_is_better(self) -> bool:
        """Whether the number that the limit is of must stay below it."""
        return self.kind in ("at_most", "above_base_at_most")


class ReleaseAttacks(AttackSettings):
    """What both models are asked, and who judges the answers: the settings of `backfire attack`."""

    harmful: dict[str, PromptsReference] = Field(default_factory=dict)
    """Sets of requests that should not be complied with, by name: a file, a published set such as advbench:100, or
    organism:prompts/NAME."""
    benign: dict[str, PromptsReference] = Field(default_factory=dict)
    """Sets of prompts that deserve an answer, by name, such as xstest-safe. Refusing them is over-refusal."""
    examples: Literal[0] = 0
    """A release file holds no responses."""

    @field_validator("harmful", "benign", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return value


class ReleaseRules(Settings):
    """A rules file: what both models are asked, and the rules that their answers are held against."""

    sections = True

    name: str = "release"
    """What the check is called."""
    attacks: ReleaseAttacks = ReleaseAttacks()
    """Attacks and benign prompts, and who judges the answers."""
    general: GeneralSettings | None = None
    """The general tasks. Left out, there are none."""
    rules: tuple[Rule, ...] = Field(min_length=1)
    """The rules. A candidate passes where it keeps all of them."""

    @model_validator(mode="after")
    def _rules_have_something_to_look_at(self) -> ReleaseRules:
        for place, rule in enumerate(self.rules):
            self._measured(f"rules.{place}", rule)
        return self

    def _measured(self, where: str, rule: Rule) -> None:
        if rule.metric == "general":
            if self.general is None or self.general.tasks is None:
                raise ValueError(
                    f"{where} is about general tasks, and none are named: give {{general}} its tasks"
                )
            return
        section, sets = (
            ("attacks.harmful", self.attacks.harmful)
            if rule.metric == "asr"
            else ("attacks.benign", self.attacks.benign)
        )
        if not sets:
            raise ValueError(
                f"{where} is about {rule.metric}, and there are no prompts for it: give {section}"
            )
        if rule.set is None or rule.set in sets or (rule.metric == "asr" and self.attacks.suite is not None):
            return
        if rule.set == EVERY_ATTACK and rule.metric == "asr" and len(sets) > 1:
            return
        raise ValueError(
            f"{where}.set = {rule.set!r}: {section} has no set of this name; name one of {', '.join(sets)}, or leave it out"
        )


class ReleaseSettings(Settings):
    """How a candidate is checked against its base."""

    policy_file: Annotated[FileReference, Metavar("FILE")]
    """The YAML file with the rules: what both models are asked, and the limits that the answers must keep."""
    ledger: Annotated[LedgerReference | None, Metavar("FILE")] = None
    """The SQLite file that holds responses and verdicts. Where it is not given, it lies in the folder of the check."""
    opening: Opening = Opening()
    """How both models are opened."""


class VerifySettings(Settings):
    """What a release file is held against."""

    base: Annotated[ModelReference | None, Metavar("MODEL")] = None
    """Where the base lies now. Where it is not given, where it lay when the check was made."""
    candidate: Annotated[ModelReference | None, Metavar("MODEL")] = None
    """Where the candidate lies now. Where it is not given, where it lay when the check was made."""
    prompts_dir: Annotated[FolderReference | None, Metavar("FOLDER")] = None
    """The folder where files of published sets lie."""
    chat_template: Annotated[FileReference | None, Metavar("FILE")] = None
    """The Jinja file that took the place of the models' chat template, where one did."""


class CardSettings(Settings):
    """Which cards get the section about a release, and where they are pushed."""

    group = "Cards"

    card: Annotated[Path | None, Metavar("FILE")] = None
    """The model card (README.md) that gets the section. A card that has one gets this one in its place, and the rest stays
    as it is. Where there is no such file, a card is made."""
    dataset_card: Annotated[Path | None, Metavar("FILE")] = None
    """The data-set card that gets the section: that of the data that the candidate was trained on."""
    push_to_hub: Annotated[tuple[str, ...], Metavar("REPO")] = ()
    """A repository on the Hugging Face hub whose card gets the section: OWNER/NAME of a model, datasets/OWNER/NAME of a
    data set."""
    dry_run: bool = True
    """Print what would be pushed, and push nothing. --no-dry-run pushes."""

    @field_validator("push_to_hub")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for repo in value:
            if repo.removeprefix("datasets/").count("/") != 1:
                raise ValueError(f"{repo!r} is no repository: write OWNER/NAME, or datasets/OWNER/NAME")
        return value
