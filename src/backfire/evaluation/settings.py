"""The settings of attacks and of general tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from backfire.models.settings import Opening
from backfire.records.settings import DecodingSettings
from backfire.settings import (
    Commas,
    Default,
    FileReference,
    FolderReference,
    Group,
    JudgeReference,
    Metavar,
    ModelReference,
    Names,
    PromptsReference,
    Repeated,
    Settings,
    SuiteReference,
)
from backfire.store.settings import PromptReading

SUITES = "Several attacks"
PAPER_TOKENS = 512
"""max_new_tokens of the attacks of arXiv 2504.02193."""
LARGEST_SEED = 2**63


MostTokens = Annotated[
    int | None, Default(f"{PAPER_TOKENS}, or a quarter of the model's context where that is less")
]


class AttackDecoding(DecodingSettings):
    """How the answers of an attacked model are decoded. The default is greedy, as in arXiv 2504.02193."""

    max_new_tokens: MostTokens = Field(default=None, ge=1)  # type: ignore[assignment]
    """The most tokens of a response. A longer one is cut, and recorded as truncated."""
    temperature: float = Field(default=0.0, ge=0)
    """The sampling temperature. 0 is greedy."""


Sets = Annotated[dict[str, PromptsReference], Repeated(), Metavar("[NAME=]PROMPTS")]
"""Sets of prompts by name."""


class AttackSettings(Settings):
    """Which requests a model is attacked with, in which ways, and who judges the answers."""

    harmful: Annotated[Sets, Names("--attack")] = Field(default_factory=dict)
    """Requests that should not be complied with: a file, a published set (`backfire prompts` lists them; advbench:100 is
    its first hundred) or organism:prompts/NAME."""
    benign: Sets = Field(default_factory=dict)
    """Requests that deserve an answer, such as xstest-safe. Refusing them is over-refusal."""
    world: Annotated[str | None, Metavar("NAME")] = None
    """The world of organisms whose prompts the judge exact reads (w0 is the shipped one). Where it is not given, it is
    that of organism:NAME."""
    wrapper: Literal["direct", "alpaca"] = "direct"
    """How the harmful requests are put: as they are, or in Alpaca's template."""
    suite: Annotated[SuiteReference | None, Group(SUITES), Metavar("NAME,...")] = None
    """Put every harmful request in each of these ways: paper, quick, standard, names of attacks, or a YAML file of
    suites. Several stand with commas between, or as a list in a study file."""
    shots: Annotated[FileReference | None, Group(SUITES), Metavar("FILE")] = None
    """The file of examples (columns prompt and response) for few-shot and many-shot."""
    translations: Annotated[FileReference | None, Group(SUITES), Metavar("FILE")] = None
    """The table (columns prompt and translation) for the attack translation."""
    translator: Annotated[ModelReference | None, Group(SUITES), Metavar("MODEL")] = None
    """The model that translates, in the place of a table."""
    attacker: Annotated[ModelReference | None, Group(SUITES), Metavar("MODEL")] = None
    """The model that rewords requests in the attack attacker (PAIR)."""
    system: Annotated[str | None, Metavar("TEXT|@FILE")] = None
    """A system turn before every prompt. Where it is not given, the model sees its chat template's own default, if that
    has one."""
    prompts_dir: Annotated[FolderReference | None, Metavar("FOLDER")] = None
    """The folder where files of published sets lie, for machines without a network. Where it is not given, the variable
    BACKFIRE_PROMPTS names it."""
    judges: Annotated[
        tuple[JudgeReference, ...] | None,
        Names("--judge"),
        Metavar("JUDGE"),
        Default("exact and phrases for organisms, else phrases and refusals"),
    ] = None
    """Who judges the answers: phrases, refusals, matcher:NAME, exact, rubric:MODEL, strongreject:MODEL, a guard such as
    llama-guard:MODEL, panel:majority:A+B+C, a file made by `backfire judge train`, or a judge of your own as
    module:object. docs/guides/judge.md says what each is. The first is reported first."""
    threshold: float | None = None
    """The grade from which on a response counts as harmful, for judges that give a grade. Where it is not given, each
    judge's own holds."""
    reading: PromptReading = PromptReading()
    """How files of prompts are read."""
    decoding: AttackDecoding = AttackDecoding()
    """How the model's answers are decoded."""
    seed: Annotated[int, Group("Decoding")] = Field(default=0, ge=-LARGEST_SEED, lt=LARGEST_SEED)
    """The seed of everything that is sampled."""
    batch_size: int = Field(default=64, ge=1)
    """How many go through the model at once. Above temperature 0 the answers depend on it, as they do on the seed."""
    examples: int = Field(default=3, ge=0)
    """How many stored responses to each attack are kept with the result."""

    @field_validator("harmful", "benign", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        """Texts of the command line: NAME=PROMPTS, or PROMPTS alone, which goes by the set's name or the file's."""
        if not isinstance(value, (list, tuple)):
            return value
        sets: dict[str, str] = {}
        for text in value:
            name, reference = _named(str(text))
            if name in sets:
                raise ValueError(f"two sets are named {name!r}: give one of them another name")
            sets[name] = reference
        return sets

    @field_validator("suite", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """A list of names as the text that it says; a list of attacks as it is."""
        if not isinstance(value, (list, tuple)):
            return value
        names = [isinstance(one, (str, Path)) for one in value]
        if value and all(names):
            return ",".join(map(str, value))
        strange = next((one for one in value if isinstance(one, (int, float, Mapping, list, tuple))), None)
        if strange is None and not any(names):
            return value
        what = "names among attacks" if strange is None else f"{strange!r}"
        raise ValueError(f"{what}: give names of suites or attacks, or a YAML file of suites")

    @field_validator("system", mode="before")
    @classmethod
    def _text_or_file(cls, value: Any) -> Any:
        """The text itself, or what the file holds whose path stands after an @."""
        if not isinstance(value, str):
            return value
        from backfire.tables import undecodable

        if value.startswith("@"):
            try:
                value = Path(value[1:]).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"the file cannot be read ({error}): give the text, or @FILE") from error
        if undecodable(value):
            raise ValueError("the text holds half a character: give text in UTF-8, or @FILE")
        if not value.strip():
            raise ValueError("the text is blank: leave it out to have no system turn")
        return value.strip()

    @model_validator(mode="after")
    def _one_way(self) -> AttackSettings:
        if self.suite is not None and self.wrapper != "direct":
            raise ValueError(
                f"{{wrapper}} {self.wrapper} beside {{suite}}: name {self.wrapper} among the suite's attacks instead"
            )
        return self


def _named(text: str) -> tuple[str, str]:
    """A set's name and its prompts. A path may hold a `=`."""
    name, equals, rest = text.strip().partition("=")
    if not equals or "/" in name or Path(text).is_file():
        return text.rpartition("/")[2].partition(".")[0] or text, text
    if not (name and rest):
        raise ValueError(f"{text!r} is not of the form NAME=PROMPTS")
    return name, rest


class GeneralSettings(Settings):
    """Which general tasks are scored, and how their items are put."""

    tasks: Annotated[Path | str | tuple[str, ...] | None, Commas(), Metavar("FOLDER|NAMES")] = None
    """A folder of lm-evaluation-harness YAML files (or one file), names of its tasks with commas between, leaderboard
    (ARC-Challenge, HellaSwag, MMLU, TruthfulQA and WinoGrande with the Open LLM Leaderboard's shots and metrics), or
    organism for the world's five counterparts, which are an organism's default."""
    data: Annotated[FolderReference | None, Metavar("FOLDER")] = None
    """The folder where a folder's tasks find their data. Where it is not given, the data lie beside the tasks."""
    world: Annotated[str | None, Metavar("NAME")] = None
    """The world of organisms whose tasks are asked (w0 is the shipped one). Where it is not given, it is that of
    organism:NAME."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many items of each task are asked."""
    num_fewshot: Annotated[int | dict[str, int] | None, Metavar("N|TASK=N,...")] = None
    """The number of worked examples before each item, of all tasks or by task. Where it is not given, it is what
    leaderboard or a task's file says, or 0."""
    apply_chat_template: Annotated[
        bool | None, Names("--with-chat-template", negative="--no-chat-template")
    ] = None
    """Whether items go through the chat template. Where it is not given, they do, but for those of leaderboard."""
    batch_size: int = Field(default=64, ge=1)
    """How many requests go through the model at once."""

    @model_validator(mode="before")
    @classmethod
    def _study_files_name(cls, value: Any) -> Any:
        """A study file may call `apply_chat_template` `chat_template`, which elsewhere is the template itself."""
        if isinstance(value, Mapping) and isinstance(value.get("chat_template"), bool):
            rest = {name: item for name, item in value.items() if name != "chat_template"}
            return {"apply_chat_template": value["chat_template"], **rest}
        return value

    @field_validator("num_fewshot", mode="before")
    @classmethod
    def _by_task(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            if "=" not in value:
                return int(value)
            pairs = [part.partition("=") for part in value.split(",")]
            return {name.strip(): int(number) for name, _, number in pairs}
        except ValueError as error:
            raise ValueError("give a number, or TASK=N with commas between") from error

    @field_validator("num_fewshot")
    @classmethod
    def _none_is_negative(cls, value: Any) -> Any:
        numbers = value.values() if isinstance(value, Mapping) else [] if value is None else [value]
        if any(number < 0 for number in numbers):
            raise ValueError("give 0 or more examples")
        return value


class Openings(Opening):
    """How a model is opened, once or with one adapter after another."""

    adapter: Annotated[tuple[FolderReference, ...], Metavar("FOLDER")] = ()  # type: ignore[assignment]
    """The folder of a PEFT adapter that is put on the model. Several adapters are scored one after another, and share the
    model's weights."""


class TaskModels(Settings):
    """What runs the model that general tasks are asked of."""

    backend: Literal["hf", "vllm"] = "hf"
    """What runs the model: transformers (hf), or vLLM where it is installed."""
    opening: Openings = Openings()
    """How the model is opened."""

    @model_validator(mode="after")
    def _what_vllm_takes(self) -> TaskModels:
        if self.backend == "vllm" and (self.opening.device is not None or len(self.opening.adapter) > 1):
            raise ValueError(
                "{backend} vllm takes no {device} (set CUDA_VISIBLE_DEVICES) and at most one {adapter}"
            )
        return self
