"""The settings of attacks and of general tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from backfire.settings import Commas, FolderReference, Metavar, Names, Settings


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
