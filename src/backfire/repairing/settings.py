"""What a repair is told: one class a method, and what all methods share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backfire.influence.settings import PilotSettings, PredictorName
from backfire.models.settings import MAX_LENGTH, MaxLength, Opening
from backfire.preferences.settings import Reading
from backfire.records.settings import DecodingSettings
from backfire.settings import (
    Commas,
    DatasetReference,
    FileReference,
    Group,
    JudgeReference,
    LedgerReference,
    Listed,
    Metavar,
    ModelReference,
    Names,
    OneOf,
    PromptsReference,
    RewardModelReference,
    Settings,
    flat,
    one_or_several,
)

INFLUENCE = Group("Influence of each pair")
FILTERING, RESTYLING = Group("filter, balance and auto"), Group("balance and restyle")
MIXING, BY_PILOT, CLEANING = Group("mix and auto"), Group("auto by pilot"), Group("clean")
REVIEWING = Group("review")
PHRASES = "phrases"

Values = Annotated[Any, Metavar("FILE")]
"""A number a pair: the per-pair file of an audit; in Python also an array."""


class Filter(Settings):
    """Leave out the pairs that push away from refusing, or those that are told apart most easily."""

    renamed: ClassVar = {"control": "at_random"}

    method: Annotated[Literal["filter"], Metavar("NAME")] = "filter"
    """What is done: filter, switch, balance, restyle, mix, auto, clean or review. The guide to repairing says what each of them does."""
    by: Annotated[Literal["influence", "ease"] | PredictorName, FILTERING, Metavar("NAME")] = "influence"
    """filter: leave out what pushes away from refusing (influence), what is told apart most easily (ease), or what a predictor by
    hidden states puts at the wrong end: activation-contrast and projection-difference leave out pairs whose chosen response is
    nearer to the policy's compliances, ches leaves out pairs whose sides look alike to the policy. switch: the same, but ease.
    balance: even out the sources, which is the default, or the length. auto: predict by mean influence (influence), or by a
    pilot of a few steps on what is left (pilot), which costs more."""
    keep: Annotated[float | None, FILTERING, Metavar("SHARE")] = Field(default=None, gt=0, le=1)
    """Keep this share of the pairs, those of highest value."""
    above: Annotated[float | None, FILTERING, Metavar("VALUE")] = None
    """Keep the pairs above this value, instead of a share."""
    band: Annotated[bool, FILTERING] = False
    """Keep the middle of the values, and leave out as many pairs at the upper end as at the lower. It goes with a share to keep."""
    stratify: Annotated[bool, FILTERING] = True
    """Let harmful and benign prompts keep their shares."""
    at_random: Annotated[bool, FILTERING] = False
    """Take pairs that are chosen at random instead, and that match those of the method in number, kind and decisions: a control,
    to train on beside the other result. filter keeps them, switch exchanges their sides."""
    ease: Annotated[Values | None, FILTERING] = None
    """How easily each pair is told apart: the per-pair file of an audit, with columns row and v_information. Where it is not
    given, an audit measures it."""


class Switch(Settings):
    """Exchange chosen and rejected in the pairs that push away from refusing, and leave none out."""

    method: Literal["switch"] = "switch"
    """What is done."""
    by: Annotated[Literal["influence"] | PredictorName, FILTERING] = "influence"
    """What says which pairs: as in filter."""
    share: Annotated[float, MIXING] = Field(gt=0, le=1)
    """switch: the share of the pairs whose sides are exchanged, those of lowest value. mix: the share of added pairs in the result."""
    stratify: Annotated[bool, FILTERING] = True
    """Let harmful and benign prompts keep their shares."""
    at_random: Annotated[bool, FILTERING] = False
    """Exchange the sides of pairs that are chosen at random instead: a control."""


class Balance(Settings):
    """Even out who wrote the two sides, or which of them is longer."""

    method: Literal["balance"] = "balance"
    """What is done."""
    by: Annotated[Literal["sources", "length"], FILTERING] = "sources"
    """Pair stored responses anew, so that each source stands on both sides alike (sources); or leave out pairs until the
    longer response is as often the rejected one as the chosen one (length)."""
    pool: Annotated[LedgerReference | None, RESTYLING, Metavar("LEDGER")] = None
    """A ledger with more responses to the same prompts, and scores."""
    reward_model: Annotated[RewardModelReference | None, RESTYLING, Metavar("MODEL")] = None
    """The reward model that ranks responses."""


class Restyle(Settings):
    """Let the model that is to be trained rewrite the responses, so that both sides are in its own style."""

    renamed: ClassVar = {"when_changed": "not_rewritten"}

    method: Literal["restyle"] = "restyle"
    """What is done."""
    reward_model: Annotated[RewardModelReference | None, RESTYLING, Metavar("MODEL")] = None
    """The reward model that ranks responses."""
    mode: Annotated[Literal["auto", "rewrite", "resample"], RESTYLING] = "auto"
    """Rewrite by an instruction, or take one of the policy's own responses that decides alike. auto tries the first, then
    the second."""
    tries: Annotated[int, RESTYLING] = Field(default=8, ge=1)
    """How many responses are sampled for each one."""
    template: Annotated[str | None, RESTYLING, Metavar("FILE")] = None
    """A file with another rewriting instruction: a text with {prompt} and {response}. In Python, the text itself, too."""
    not_rewritten: Annotated[Literal["keep", "drop"], RESTYLING] = "keep"
    """What becomes of a pair that could not be rewritten, since no rewriting is fit or every one decides otherwise: keep it
    as it was, or drop it."""
    ledger: Annotated[LedgerReference | None, RESTYLING, Metavar("FILE")] = None
    """A ledger that keeps what is sampled, so that an interrupted run goes on where it was."""
    decoding: DecodingSettings = DecodingSettings()
    """How the new responses are decoded."""


class Mix(Settings):
    """Put pairs of another set in the place of given ones, or beside them."""

    method: Literal["mix"] = "mix"
    """What is done."""
    self_pairs: Annotated[DatasetReference, MIXING, Metavar("FOLDER")]
    """The folder of pairs to add, such as those of recipe self+rm."""
    self_influence: Annotated[Values | None, MIXING] = None
    """The influence of each pair to add: the per-pair file of an audit."""
    share: Annotated[float, MIXING] = Field(ge=0, le=1)
    """The share of added pairs in the result."""
    grow: Annotated[bool, MIXING] = False
    """Add beside the given pairs, and replace none."""


class RepairPilot(PilotSettings):
    """The pilot on what is left, in the settings of the training that is meant."""

    group = BY_PILOT.title

    steps: Annotated[int, Names("--steps")] = Field(default=8, ge=1)
    """How many steps of DPO are taken on what is left, from the policy."""
    parameters: Annotated[str, Metavar("all|lora|PATTERN|auto")] = "auto"
    """Which parameters are trained."""


class Auto(Settings):
    """Make the smallest change after which the prediction lies above a target."""

    method: Literal["auto"] = "auto"
    """What is done."""
    by: Annotated[Literal["influence", "pilot"], FILTERING] = "influence"
    """Predict by mean influence, or by a pilot of a few steps on what is left, which costs more."""
    target: Annotated[float, FILTERING, Metavar("VALUE")] = 0.0
    """The prediction's 95% interval has to lie above this."""
    stratify: Annotated[bool, FILTERING] = True
    """Let harmful and benign prompts keep their shares."""
    self_pairs: Annotated[DatasetReference | None, MIXING, Metavar("FOLDER")] = None
    """The folder of pairs to add. Where it is not given, pairs are left out and none is added."""
    self_influence: Annotated[Values | None, MIXING] = None
    """The influence of each pair to add: the per-pair file of an audit."""
    grow: Annotated[bool, MIXING] = False
    """Add beside the given pairs, and replace none."""
    pilot: RepairPilot | None = None
    """The pilot, where `by` is pilot."""

    @model_validator(mode="after")
    def _pilot_is_used(self) -> Auto:
        if self.pilot is not None and self.by != "pilot":
            name = min(self.pilot.model_fields_set or {"steps"})
            raise ValueError(f"{{{name}}} is of the pilot: choose {{by}} pilot")
        return self


Fault = Annotated[str, OneOf("backfire.auditing.faults.registry:cleaned_names")]
"""What can be taken out, by the names of the audit's findings."""
FAULTS = Listed("backfire.auditing.faults.registry:cleaned_in_words", package="backfire.auditing.faults")


class Clean(Settings):
    """Take out the pairs that have a fault of their own, take white space off the ends of responses, and change nothing else."""

    method: Literal["clean"] = "clean"
    """What is done."""
    only: Annotated[tuple[Fault, ...] | None, CLEANING, Commas(), Metavar("NAME,..."), FAULTS] = None
    """Take out these faults alone: {names}."""
    skip: Annotated[tuple[Fault, ...], CLEANING, Commas(), Metavar("NAME,...")] = ()
    """Leave these faults in."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What is taken out."""
        from backfire.auditing.faults.registry import usually_cleaned

        return tuple(name for name in self.only or usually_cleaned() if name not in self.skip)

    @model_validator(mode="after")
    def _something_is_taken_out(self) -> Clean:
        if not self.faults:
            raise ValueError("{only} and {skip} leave no fault to take out: name fewer in {skip}")
        return self


class Review(Settings):
    """Do what a person has decided about single pairs: keep, drop, or swap chosen and rejected. Other pairs stay as they are."""

    method: Literal["review"] = "review"
    """What is done."""
    decisions: Annotated[FileReference, REVIEWING, Metavar("FILE")]
    """The decisions, which the page of `backfire audit --worst N` saves. They are bound to the rows and texts of their pairs."""


Repair = Annotated[
    Filter | Switch | Balance | Restyle | Mix | Auto | Clean | Review, Field(discriminator="method")
]
"""One method with its options."""


class RepairSettings(Settings):
    """What the methods share."""

    policy: Annotated[ModelReference | None, Metavar("MODEL")] = None
    """The model to be trained. It rewrites responses, and pairs influence it."""
    influence: Annotated[Values | None, INFLUENCE] = None
    """What is known of each pair: the per-pair file of an audit, with columns row and safety_influence, or the column of the predictor
    that the method goes by, such as activation_contrast."""
    probe_prompts: Annotated[tuple[PromptsReference, ...], INFLUENCE, Metavar("PROMPTS")] = ()
    """Harmful prompts that the influence is measured on, where no file has it: a file of prompts, a published set
    such as advbench:100, or organism:prompts/NAME."""
    ends: Annotated[Literal["drop", "cut"] | None, Names("--match-ends")] = None
    """Where only one side was cut at the token limit: leave the pair out, or cut both sides alike."""
    judge: Annotated[JudgeReference, Metavar("JUDGE")] = PHRASES
    """Who says what a response decides: any judge of `backfire judge`. exact reads organisms' answers and needs their
    world."""
    world: Annotated[str | None, Metavar("NAME")] = None
    """The organisms' world, such as w0. Where it is not given, that of the policy."""
    audit: bool = True
    """Audit before and after, by text alone."""
    max_length: MaxLength = MAX_LENGTH
    """The most tokens that prompt and response have together in the training that is meant. Influence and the pilot read the
    pairs as they are cut there. 0 sets no bound but the model's context."""
    seed: int = Field(default=0, ge=-(2**63), lt=2**63)
    """The seed of everything that is sampled."""
    reading: Reading = Reading()
    """How the data set is read."""
    opening: Opening = Opening()
    """How the policy is opened."""

    _several = field_validator("probe_prompts", mode="before")(one_or_several)

    @field_validator("judge", mode="before")
    @classmethod
    def _phrases(cls, value: Any) -> Any:
        return PHRASES if value is None else value


class RepairCall(Settings):
    """A whole repair: a method, and what the methods share."""

    how: Repair
    """The method."""
    settings: RepairSettings = RepairSettings()
    """The rest."""

    @model_validator(mode="after")
    def _belong_together(self) -> RepairCall:
        if self.settings.reading.plain and self.how.method == "restyle":
            raise ValueError(
                "{plain} with {method} restyle: restyle asks the policy through its chat template, so that there is nothing "
                "to rewrite by in raw text: leave {plain} out, or choose another {method}"
            )
        probed = bool(self.settings.probe_prompts)
        if self.settings.policy is None and (self.how.method == "restyle" or probed):
            what = "{method} restyle" if self.how.method == "restyle" else "{probe_prompts}"
            raise ValueError(f"{what}: name the model to be trained by {{policy}}")
        settings, organism = self.settings, str(self.settings.policy).startswith("organism:")
        if settings.judge == "exact" and settings.world is None and not organism:
            raise ValueError(
                "{judge} exact reads organisms' answers: their world has to be named by {world}, such as w0"
            )
        if self.how.method == "auto" and self.how.by == "pilot" and not probed:
            raise ValueError("{by} pilot tries steps on probe prompts: give {probe_prompts} and {policy}")
        return self


METHODS: dict[str, type[Filter | Switch | Balance | Restyle | Mix | Auto | Clean | Review]] = {
    "filter": Filter,
    "switch": Switch,
    "balance": Balance,
    "restyle": Restyle,
    "mix": Mix,
    "auto": Auto,
    "clean": Clean,
    "review": Review,
}


def options_of(method: str) -> frozenset[str]:
    """The keywords that a method takes, and those that all methods share."""
    return frozenset(
        {*flat(METHODS[method]), *METHODS[method].model_fields, *flat(RepairSettings)}
        | set(RepairSettings.model_fields)
    )
