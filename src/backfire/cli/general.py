"""`general`: how a model does on general tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import model_validator

from backfire.cli.command import Command, JsonFile, OutputFile
from backfire.cli.exits import keeping
from backfire.cli.terminal import say, show, table, tell, warn, write_answer
from backfire.evaluation.settings import GeneralSettings
from backfire.models.settings import Opening
from backfire.settings import Argument, FolderReference, Metavar, ModelReference

if TYPE_CHECKING:
    from backfire.answers.general import GeneralResult


class Openings(Opening):
    """How a model is opened, once or with one adapter after another."""

    adapter: Annotated[tuple[FolderReference, ...], Metavar("FOLDER")] = ()  # type: ignore[assignment]
    """The folder of a PEFT adapter that is put on the model. Several adapters are scored one after another, and share the
    model's weights."""


class General(Command):
    """Score a model on general tasks, by lm-evaluation-harness."""

    model: Annotated[ModelReference, Argument()]
    """A checkpoint or adapter folder, a GGUF file, a hub name, or organism:NAME."""
    settings: GeneralSettings = GeneralSettings()
    resume: OutputFile | None = None
    """Each task's numbers are kept in this JSON file as the task ends, and those that are there are taken from it."""
    backend: Literal["hf", "vllm"] = "hf"
    """What runs the model: transformers (hf), or vLLM where it is installed."""
    opening: Openings = Openings()
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to FILE."""

    @model_validator(mode="after")
    def _something_to_ask(self) -> General:
        if self.settings.tasks is None and self.world is None:
            raise ValueError(
                f"no tasks for {self.model}: name {{tasks}}, a folder of task files or names such as arc_easy,winogrande, or "
                "leaderboard"
            )
        if self.backend == "vllm" and (self.opening.device is not None or len(self.opening.adapter) > 1):
            raise ValueError(
                "{backend} vllm takes no {device} (set CUDA_VISIBLE_DEVICES) and at most one {adapter}"
            )
        return self

    @property
    def world(self) -> str | None:
        """The world of organisms whose tasks are meant, if one is."""
        from backfire.organisms.catalog import world_named_by

        return self.settings.world or world_named_by(str(self.model))

    def run(self) -> None:
        from backfire.evaluation import general

        on_interruption = (
            "nothing was kept; --resume FILE keeps each task as it ends, --limit takes fewer items"
            if self.resume is None
            else f"tasks that ended are in {self.resume}; the same command goes on"
        )
        settings = GeneralSettings.of(self.settings, world=self.world)
        answers: list[dict[str, Any]] = []
        with keeping(on_interruption):
            for opened in self._models():
                result = general(opened, settings=settings, resume=self.resume, progress=_say_task)
                _show(opened.name, result)
                answers.append({"model": opened.name, "model_id": opened.id, **result.as_dict()})
        if self.json_file is not None:
            write_answer(self.json_file, answers[0] if len(answers) == 1 else {"models": answers})

    def _models(self) -> Iterator[Any]:
        from backfire.evaluation import open_vllm
        from backfire.models import open_adapters, open_model

        how = {name: value for name, value in self.opening.options().items() if name != "adapter"}
        adapters = list(self.opening.adapter)
        alone = adapters[0] if adapters else None
        if self.backend == "vllm":
            del how["device"]
            yield open_vllm(self.model, adapter=alone, **how)
        elif len(adapters) > 1:
            yield from open_adapters(self.model, adapters, **how)
        else:
            yield open_model(self.model, adapter=alone, **how)


def _say_task(name: str, done: int, total: int) -> None:
    tell(f"{name}: task {done + 1} of {total}")


def _show(name: str, result: GeneralResult) -> None:
    shots = result.settings["num_fewshot"]
    examples = ", ".join(f"{task} {n}" for task, n in shots.items()) if isinstance(shots, dict) else shots
    template = "with" if result.settings["chat_template"] else "without"
    shown = table("task", "metric", "value", "stderr", "n", left=2)
    for score in result.scores:
        numbers = ["–" if v is None else f"{v:.4f}" for v in (score.value, score.stderr)]
        shown.add_row(score.task, score.metric, *numbers, str(score.n))
    show(shown, f"{name}: general tasks, {examples} examples, {template} chat template")
    if result.resumed:
        say(f"{len(result.resumed)} of the tasks came from the resume file")
    for task, count in result.cut.items():
        warn(f"{task}: {count} requests did not fit the context and lost their beginning")
    for task, reason in result.not_resumable.items():
        warn(f"{task}: not taken from the resume file, nor kept in it: {reason}")
