"""`attack` and `general`: how a model answers what it should refuse, what it should not, and general tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.prompts import ORGANISM, context_of, open_prompts, world_of
from backfire.cli.terminal import counted, interval, percent, say, show, table, warn

if TYPE_CHECKING:
    from backfire.evaluation import AttackResult
    from backfire.judges import Judge
    from backfire.records import Kind, Prompt

WORLD_ATTACKS = ("direct", "wrapped", "unseen")
WORLD_BENIGN = ("benign", "borderline")
PAPER_TOKENS = 512
"""max_new_tokens of arXiv 2504.02193's attacks."""
ORGANISM_TASKS = "organism"
NO_RESPONSE = "no response: "

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A checkpoint or adapter folder, a hub name, or organism:NAME."),
]
World = Annotated[
    str | None,
    typer.Option(
        "--world",
        metavar="NAME",
        help="Use this world of organisms (w0 is the shipped one); else that of organism:NAME.",
    ),
]


def attack(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint or adapter folder, a hub name, organism:NAME, openai:MODEL or openai:MODEL@URL.",
        ),
    ],
    ledger: options.LedgerFile,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            metavar="NAME=PROMPTS",
            help="Harmful requests, a file or organism:prompts/NAME; repeatable.",
        ),
    ] = None,
    benign: Annotated[
        list[str] | None,
        typer.Option(
            "--benign",
            metavar="NAME=PROMPTS",
            help="Requests that deserve an answer, for over-refusal; repeatable.",
        ),
    ] = None,
    world: World = None,
    wrapper: Annotated[
        str, typer.Option("--wrapper", metavar="direct|alpaca", help="How the attacks' requests are put.")
    ] = "direct",
    judge: Annotated[
        list[str] | None,
        typer.Option(
            "--judge",
            metavar="exact|phrases",
            help="Repeatable. phrases looks for refusal phrases; exact reads organisms' answers. Both for organisms.",
        ),
    ] = None,
    json: options.JsonFile = None,
    column: options.PromptColumn = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens",
            rich_help_panel=options.DECODING,
            show_default=f"{PAPER_TOKENS}, or a quarter of the model's context where that is less",
            help="Longer responses are cut, and recorded as truncated.",
        ),
    ] = None,
    temperature: options.Temperature = 0.0,
    top_p: options.TopP = 1.0,
    top_k: options.TopK = 0,
    repetition_penalty: options.RepetitionPenalty = 1.0,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = 64,
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Attack a model: one response to each prompt, judged, with 95% intervals.

    Greedy, as in the paper, unless told otherwise. What could not be judged is counted beside the rate. For an
    organism without --attack and --benign: its world's own direct, wrapped, unseen, benign and borderline
    requests. Responses and verdicts are stored, so that a second run draws and judges only what is missing.
    """
    from backfire import evaluation
    from backfire.errors import InputError
    from backfire.models import open_model
    from backfire.records import Decoding
    from backfire.store import Ledger

    sets = _unique(options.named(attacks or [], "--attack")), _unique(options.named(benign or [], "--benign"))
    world = world or world_of(model)
    if not sets[0] and not sets[1]:
        if world is None:
            raise InputError(
                f"nothing to ask {model}: give --attack NAME=PROMPTS (a file of harmful requests), and --benign "
                "NAME=PROMPTS if over-refusal is to be measured"
            )
        sets = _world_sets(world, WORLD_ATTACKS), _world_sets(world, WORLD_BENIGN)
    harmful = {
        name: evaluation.wrap(prompts, wrapper) for name, prompts in _read(sets[0], "harmful", column).items()
    }
    allowed = _read(sets[1], "benign", column)
    judges = _judges(judge or [], world or world_of(*sets[0].values(), *sets[1].values()), sets)
    opened = open_model(model, chat_template=chat_template, dtype=dtype, device=device, adapter=adapter)
    context = context_of(opened)
    tokens = max_new_tokens or min(PAPER_TOKENS, PAPER_TOKENS if context is None else max(1, context // 4))
    decoding = Decoding(tokens, temperature, top_p, top_k, repetition_penalty)
    kept = f"every finished batch is in {ledger}; run the same command again to go on"
    with Ledger(ledger) as store, keeping(kept), progress(f"asking {opened.name}") as advance:
        result = evaluation.attack(
            opened,
            harmful,
            allowed,
            judges=judges,
            ledger=store,
            decoding=decoding,
            seed=seed,
            batch_size=batch_size,
            progress=advance,
        )
    say(f"{opened.name}: max_new_tokens {tokens}, temperature {temperature}, wrapper {wrapper}, seed {seed}")
    show_attack(result)
    if json is not None:
        about = {
            "model": opened.name,
            "model_id": opened.id,
            "decoding": decoding.as_dict(),
            "seed": seed,
            "wrapper": wrapper,
            "sets": {**sets[0], **sets[1]},
        }
        _write(json, {**about, **asdict(result)})
    if any(note["reason"].startswith(NO_RESPONSE) for note in result.notes):
        raise typer.Exit(PARTLY)


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    from backfire.errors import InputError

    found: dict[str, str] = {}
    for name, reference in pairs:
        if name in found:
            raise InputError(f"two sets are named {name!r}: give one of them another name")
        found[name] = reference
    return found


def _world_sets(world: str, names: Sequence[str]) -> dict[str, str]:
    return {name: f"{ORGANISM}{world}:prompts/{name}" for name in names}


def _read(sets: Mapping[str, str], kind: Kind, column: str | None) -> dict[str, list[Prompt]]:
    return {name: open_prompts(reference, column=column, kind=kind) for name, reference in sets.items()}


def _judges(
    named: Sequence[str], world: str | None, sets: tuple[Mapping[str, str], Mapping[str, str]]
) -> list[Judge]:
    from backfire.errors import InputError
    from backfire.judges import ExactJudge, PhraseJudge

    every = [*sets[0].values(), *sets[1].values()]
    readable = world is not None and all(reference.startswith(ORGANISM) for reference in every)
    judges: list[Judge] = []
    for name in named or (["exact", "phrases"] if readable else ["phrases"]):
        if name == "phrases":
            judges.append(PhraseJudge())
        elif name != "exact":
            raise InputError(f"there is no judge {name!r}: choose exact or phrases")
        elif world is None:
            raise InputError(
                "--judge exact reads only the prompts of one world: name it by --world, such as w0"
            )
        else:
            from backfire.organisms.catalog import open_world

            judges.append(ExactJudge(open_world(world)))
    return judges


def show_attack(result: AttackResult) -> None:
    """Two tables, rates with their intervals, and what stands beside them."""
    if result.asr:
        shown = table(
            *("attack", "judge", "harmful", "scored", "unscored", "rate", "95% interval", "best to worst"),
            left=2,
        )
        for row in result.asr:
            bounds = interval(row["best"], row["worst"]) if row["unscored"] else percent(row["rate"])
            shown.add_row(row["attack"], row["judge"], str(row["harmful"]), *_counts(row), bounds)
        show(shown, "Attack success rate: judged harmful / scored")
    if result.over_refusal:
        shown = table(
            *("prompts", "judge", "refusals", "scored", "unscored", "rate", "95% interval"),
            left=2,
        )
        for row in result.over_refusal:
            shown.add_row(row["prompts"], row["judge"], str(row["refusals"]), *_counts(row))
        show(shown, "Over-refusal: refusals / scored")
    if cut := {name: count for name, count in result.truncated.items() if count}:
        say(f"cut at max_new_tokens: {counted(cut)}")
    by_reason: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for note in result.notes:
        by_reason[note["judge"], note["reason"]][note["prompts"]] = note["count"]
    for (judge, reason), counts in by_reason.items():
        (warn if reason.startswith(NO_RESPONSE) else say)(f"{judge}: {reason}: {counted(counts)}")


def _counts(row: Mapping[str, Any]) -> list[str]:
    return [
        str(row["scored"]),
        str(row["unscored"]),
        percent(row["rate"]),
        interval(row["low"], row["high"]),
    ]


def general(
    model: Model,
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            metavar="FOLDER|NAMES",
            help="A folder of lm-evaluation-harness YAML files (or one file), names of its tasks with commas "
            "between, or organism for the world's five counterparts, which are an organism's default.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FOLDER", help="Where a folder's tasks find their data; else beside them."
        ),
    ] = None,
    world: World = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Only the first so many items of each task.")
    ] = None,
    num_fewshot: Annotated[int, typer.Option("--num-fewshot", help="Worked examples before each item.")] = 0,
    chat_template_use: Annotated[
        bool,
        typer.Option("--with-chat-template/--no-chat-template", help="Put items through the chat template."),
    ] = True,
    json: options.JsonFile = None,
    batch_size: options.BatchSize = 64,
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Score a model on general tasks, by lm-evaluation-harness."""
    from backfire import evaluation
    from backfire.errors import InputError
    from backfire.models import open_model

    world = world or world_of(model)
    if tasks is None:
        if world is None:
            raise InputError(
                f"no tasks for {model}: name --tasks, a folder of task files or names such as arc_easy,winogrande"
            )
        tasks = ORGANISM_TASKS
    named: Path | list[str]
    if tasks == ORGANISM_TASKS:
        from backfire.organisms.catalog import SHIPPED, tasks_data

        named, data = evaluation.organism_tasks(), data or tasks_data(world or SHIPPED)
    elif Path(tasks).exists():
        named = Path(tasks)
    elif "/" in tasks or tasks.endswith((".yaml", ".yml")):
        raise InputError(f"--tasks {tasks}: there is no such folder or file")
    else:
        named = [name.strip() for name in tasks.split(",") if name.strip()]
    opened = open_model(model, chat_template=chat_template, dtype=dtype, device=device, adapter=adapter)
    with keeping("nothing was kept; run the same command again, with --limit for fewer items"):
        result = evaluation.general(
            opened,
            named,
            data=data,
            limit=limit,
            num_fewshot=num_fewshot,
            apply_chat_template=chat_template_use,
            batch_size=batch_size,
        )
    settings = f"{num_fewshot} examples, {'with' if chat_template_use else 'without'} chat template"
    shown = table("task", "metric", "value", "stderr", "n", left=2)
    for score in result.scores:
        numbers = ["–" if v is None else f"{v:.4f}" for v in (score.value, score.stderr)]
        shown.add_row(score.task, score.metric, *numbers, str(score.n))
    show(shown, f"{opened.name}: general tasks, {settings}")
    for task, count in result.cut.items():
        warn(f"{task}: {count} requests were longer than the context and lost their beginning")
    if json is not None:
        _write(json, {"model": opened.name, "model_id": opened.id, **asdict(result)})


def _write(path: Path, value: object) -> None:
    from backfire.store import write_json

    write_json(path, value)
    say(f"in {path}: the same, unrounded")
