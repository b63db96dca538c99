"""`general`: how a model does on general tasks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import model_validator

from backfire.cli.command import Command, JsonFile, OutputFile
from backfire.cli.exits import keeping
from backfire.cli.terminal import present, tell, write_answer
from backfire.evaluation.settings import GeneralSettings, TaskModels
from backfire.settings import Argument, ModelReference


class General(Command):
    """Score a model on general tasks, by lm-evaluation-harness."""

    model: Annotated[ModelReference, Argument()]
    """A checkpoint or adapter folder, a GGUF file, a hub name, or organism:NAME."""
    settings: GeneralSettings = GeneralSettings()
    resume: OutputFile | None = None
    """Each task's numbers are kept in this JSON file as the task ends, and those that are there are taken from it."""
    running: TaskModels = TaskModels()
    """What runs the model, and how it is opened."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to FILE. With - it is printed, and everything else goes to stderr."""

    @model_validator(mode="after")
    def _something_to_ask(self) -> General:
        if self.settings.tasks is None and self.world is None:
            raise ValueError(
                f"no tasks for {self.model}: name {{tasks}}, a folder of task files or names such as arc_easy,winogrande, or "
                "leaderboard"
            )
        return self

    @property
    def world(self) -> str | None:
        """The world of organisms whose tasks are meant, if one is."""
        from backfire.organisms.catalog import world_named_by

        return self.settings.world or world_named_by(str(self.model))

    def run(self) -> None:
        from backfire.evaluation import general, models_for_tasks
        from backfire.report import general_parts

        on_interruption = (
            "nothing was kept; --resume FILE keeps each task as it ends, --limit takes fewer items"
            if self.resume is None
            else f"tasks that ended are in {self.resume}; the same command goes on"
        )
        settings = GeneralSettings.of(self.settings, world=self.world)
        answers: list[dict[str, Any]] = []
        with keeping(on_interruption):
            for opened in models_for_tasks(self.model, self.running):
                result = general(
                    opened, settings=settings, resume=self.resume, progress=_say_task, announce=tell
                )
                present(general_parts(opened.name, result))
                answers.append({"model": opened.name, "model_id": opened.id, **result.as_dict()})
        if self.json_file is not None:
            write_answer(self.json_file, answers[0] if len(answers) == 1 else {"models": answers})


def _say_task(name: str, done: int, total: int) -> None:
    tell(f"{name}: task {done + 1} of {total}")
