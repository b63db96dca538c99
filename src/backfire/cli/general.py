"""`general`: how a model does on general tasks."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import keeping
from backfire.cli.prompts import world_of
from backfire.cli.terminal import say, show, table, warn, write_answer

if TYPE_CHECKING:
    from backfire.answers.general import GeneralResult

ORGANISM_TASKS = "organism"


class Backend(StrEnum):
    hf = "hf"
    vllm = "vllm"


Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A checkpoint or adapter folder, a hub name, or organism:NAME."),
]


def general(
    model: Model,
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            metavar="FOLDER|NAMES",
            help="A folder of lm-evaluation-harness YAML files (or one file), names of its tasks with commas "
            "between, leaderboard (ARC-Challenge, HellaSwag, MMLU, TruthfulQA and WinoGrande with the Open LLM "
            "Leaderboard's shots and metrics), or organism for the world's five counterparts, which are an "
            "organism's default.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FOLDER", help="Where a folder's tasks find their data; else beside them."
        ),
    ] = None,
    world: options.World = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only the first so many items of each task.")
    ] = None,
    num_fewshot: Annotated[
        str | None,
        typer.Option(
            "--num-fewshot",
            metavar="N|TASK=N,...",
            help="Worked examples before each item, of all tasks or by task; else what leaderboard or a task's file "
            "says, or 0.",
        ),
    ] = None,
    chat_template_use: Annotated[
        bool | None,
        typer.Option(
            "--with-chat-template/--no-chat-template",
            help="Put items through the chat template; it is left out of leaderboard, and used elsewhere.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help="Keep each task's numbers in this JSON file as it ends, and take from it those that are there.",
        ),
    ] = None,
    backend: Annotated[
        Backend, typer.Option("--backend", help="What runs the model: transformers, or vLLM where installed.")
    ] = Backend.hf,
    json: options.JsonFile = None,
    batch_size: options.BatchSize = 64,
    chat_template: options.ChatTemplate = None,
    adapter: Annotated[
        list[Path] | None,
        typer.Option(
            "--adapter",
            metavar="FOLDER",
            rich_help_panel=options.MODEL,
            help="A PEFT adapter to put on the model; give it again for others, which share the model's weights.",
        ),
    ] = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Score a model on general tasks, by lm-evaluation-harness."""
    from backfire import evaluation

    named, data = _tasks(model, tasks, data, world)
    kept = (
        "nothing was kept; --resume FILE keeps each task as it ends, --limit takes fewer items"
        if resume is None
        else f"tasks that ended are in {resume}; the same command goes on"
    )
    shots = None if num_fewshot is None else _shots(num_fewshot)
    answers: list[dict[str, Any]] = []
    with keeping(kept):
        for opened in _opened(model, adapter or [], backend, chat_template, dtype, device):
            result = evaluation.general(
                opened,
                named,
                data=data,
                limit=limit,
                num_fewshot=shots,
                apply_chat_template=chat_template_use,
                batch_size=batch_size,
                resume=resume,
                progress=_say_task,
            )
            _show(opened.name, result)
            answers.append({"model": opened.name, "model_id": opened.id, **result.as_dict()})
    if json is not None:
        write_answer(json, answers[0] if len(answers) == 1 else {"models": answers})


def _tasks(
    model: str, tasks: str | None, data: Path | None, world: str | None
) -> tuple[Path | list[str], Path | None]:
    from backfire import evaluation
    from backfire.errors import InputError

    world = world or world_of(model)
    if tasks is None:
        if world is None:
            raise InputError(
                f"no tasks for {model}: name --tasks, a folder of task files or names such as arc_easy,winogrande, "
                "or leaderboard"
            )
        tasks = ORGANISM_TASKS
    if tasks == ORGANISM_TASKS:
        from backfire.organisms.catalog import SHIPPED, tasks_data

        return evaluation.organism_tasks(), data or tasks_data(world or SHIPPED)
    if Path(tasks).exists():
        return Path(tasks), data
    if "/" in tasks or tasks.endswith((".yaml", ".yml")):
        raise InputError(f"--tasks {tasks}: there is no such folder or file")
    return [name.strip() for name in tasks.split(",") if name.strip()], data


def _shots(text: str) -> int | dict[str, int]:
    from backfire.errors import InputError

    try:
        if "=" not in text:
            return int(text)
        parts = [part.partition("=") for part in text.split(",")]
        return {name.strip(): int(number) for name, _, number in parts}
    except ValueError as error:
        raise InputError(f"--num-fewshot {text!r}: give a number, or TASK=N with commas between") from error


def _opened(
    model: str,
    adapters: list[Path],
    backend: Backend,
    chat_template: Path | None,
    dtype: str,
    device: str | None,
) -> Iterator[Any]:
    from backfire.errors import InputError
    from backfire.evaluation import open_vllm
    from backfire.models import open_adapters, open_model

    if backend is Backend.vllm:
        if device is not None or len(adapters) > 1:
            raise InputError(
                "--backend vllm takes no --device (set CUDA_VISIBLE_DEVICES) and at most one --adapter"
            )
        alone = adapters[0] if adapters else None
        yield open_vllm(model, chat_template=chat_template, dtype=dtype, adapter=alone)
    elif len(adapters) > 1:
        yield from open_adapters(model, adapters, chat_template=chat_template, dtype=dtype, device=device)
    else:
        alone = adapters[0] if adapters else None
        yield open_model(model, chat_template=chat_template, dtype=dtype, device=device, adapter=alone)


def _say_task(name: str, done: int, total: int) -> None:
    typer.echo(f"{name}: task {done + 1} of {total}", err=True)


def _show(name: str, result: GeneralResult) -> None:
    shots = result.settings["num_fewshot"]
    told = ", ".join(f"{task} {n}" for task, n in shots.items()) if isinstance(shots, dict) else shots
    template = "with" if result.settings["chat_template"] else "without"
    shown = table("task", "metric", "value", "stderr", "n", left=2)
    for score in result.scores:
        numbers = ["–" if v is None else f"{v:.4f}" for v in (score.value, score.stderr)]
        shown.add_row(score.task, score.metric, *numbers, str(score.n))
    show(shown, f"{name}: general tasks, {told} examples, {template} chat template")
    if result.resumed:
        say(f"{len(result.resumed)} of the tasks came from the resume file")
    for task, count in result.cut.items():
        warn(f"{task}: {count} requests did not fit the context and lost their beginning")
    for task, reason in result.not_resumable.items():
        warn(f"{task}: not taken from the resume file, nor kept in it: {reason}")
