"""`train dpo` and `train sft`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import keeping
from backfire.cli.options import TRAINING
from backfire.cli.progress import progress
from backfire.cli.terminal import counted, say, warn

if TYPE_CHECKING:
    from backfire.training import TrainingLog

ADAPTER = "Training an adapter"
ROWS_SHOWN = 5
UNWRITTEN = "nothing was written, since weights are saved whole or not at all; run the same command again"

app = typer.Typer(help="Train a policy, by TRL: dpo on pairs, sft on conversations.", no_args_is_help=True)


def _option(name: str, help: str) -> Any:
    return typer.Option(name, help=help, rich_help_panel=TRAINING)


def _lora(name: str, default: str, help: str) -> Any:
    """An option that means something only with --lora; the default is the settings' own."""
    return typer.Option(name, show_default=default, help=help, rich_help_panel=ADAPTER)


Policy = Annotated[
    str,
    typer.Argument(
        metavar="POLICY", help="The model to train: a checkpoint folder, a hub name, organism:NAME."
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", metavar="FOLDER", help="Becomes a checkpoint (or adapter) folder with training.json."
    ),
]
Epochs = Annotated[float, _option("--epochs", "Passes over the data.")]
BatchSize = Annotated[int, _option("--batch-size", "Examples per forward and backward pass, on each device.")]
Accumulation = Annotated[int, _option("--gradient-accumulation", "Passes summed into one optimizer step.")]
MaxLength = Annotated[
    int,
    _option("--max-length", "Tokens of prompt and response; longer ones lose their end, and are counted."),
]
Warmup = Annotated[float, _option("--warmup-ratio", "Share of the steps in which the learning rate rises.")]
Scheduler = Annotated[str, _option("--scheduler", "cosine, linear, constant or constant_with_warmup.")]
WeightDecay = Annotated[float, _option("--weight-decay", "AdamW's.")]
GradNorm = Annotated[float, _option("--max-grad-norm", "Gradients are clipped to it.")]
Seed = Annotated[int, _option("--seed", "Of the data's order and an adapter's first weights.")]
Dtype = Annotated[str, _option("--dtype", "float32 or bfloat16; auto is bfloat16 on a GPU that has it.")]
SaveDtype = Annotated[str, _option("--save-dtype", "source (as the weights came) or float32.")]
LoggingSteps = Annotated[int, _option("--logging-steps", "Optimizer steps per line of the log.")]
Checkpointing = Annotated[
    bool,
    typer.Option(
        "--gradient-checkpointing",
        rich_help_panel=TRAINING,
        help="Less memory, about a third slower; used without being asked for where a batch does not fit.",
    ),
]
Lora = Annotated[
    bool, typer.Option("--lora", rich_help_panel=ADAPTER, help="Train a LoRA adapter instead of all weights.")
]
Full = Annotated[
    bool,
    typer.Option(
        "--full",
        rich_help_panel=TRAINING,
        help="Train all weights, also where these with AdamW's moments take more than three times the weights and 2 GB; "
        "else a LoRA adapter is trained there.",
    ),
]
LoraR = Annotated[int | None, _lora("--lora-r", "16", "Rank of the update.")]
LoraAlpha = Annotated[int | None, _lora("--lora-alpha", "32", "The update is scaled by alpha / r.")]
LoraDropout = Annotated[float | None, _lora("--lora-dropout", "0.0", "Dropout before the adapter.")]
LoraModules = Annotated[
    str | None,
    _lora("--lora-modules", "all-linear", "Linear layers that get an adapter, with commas between."),
]


@app.command("dpo")
def train_dpo(
    policy: Policy,
    pairs: Annotated[
        str,
        typer.Argument(metavar="PAIRS", help=f"{options.DATASET} Read as `backfire audit` reads it."),
    ],
    out: Out,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            rich_help_panel=TRAINING,
            show_default="1e-06; 1e-05 for an adapter that was not asked for",
            help="Peak learning rate; tiny models need 100 times as much.",
        ),
    ] = None,
    beta: Annotated[float, _option("--beta", "Pull towards the reference model.")] = 0.1,
    loss_type: Annotated[str, _option("--loss-type", "TRL's name of the loss.")] = "sigmoid",
    label_smoothing: Annotated[
        float, _option("--label-smoothing", "Assumed share of flipped labels, for robust.")
    ] = 0.0,
    epochs: Epochs = 1.0,
    batch_size: BatchSize = 8,
    gradient_accumulation: Accumulation = 1,
    max_length: MaxLength = 1024,
    warmup_ratio: Warmup = 0.1,
    scheduler: Scheduler = "cosine",
    weight_decay: WeightDecay = 0.0,
    max_grad_norm: GradNorm = 1.0,
    seed: Seed = 0,
    dtype: Dtype = "auto",
    save_dtype: SaveDtype = "source",
    logging_steps: LoggingSteps = 1,
    gradient_checkpointing: Checkpointing = False,
    full: Full = False,
    lora: Lora = False,
    lora_r: LoraR = None,
    lora_alpha: LoraAlpha = None,
    lora_dropout: LoraDropout = None,
    lora_modules: LoraModules = None,
    columns: options.Columns = None,
    source_columns: options.SourceColumns = None,
    config: options.Config = None,
    split: options.Split = None,
    revision: options.Revision = None,
    encoding: options.Encoding = None,
    ranked: options.Ranked = None,
    plain: options.Plain = False,
) -> None:
    """Train a policy on preference pairs by DPO; what it starts from is the reference model."""
    how = options.reading(columns, source_columns, config, split, revision, encoding, ranked, plain)
    values = {k: v for k, v in locals().items() if k not in ("policy", "pairs", "out", "how", *how)}
    from backfire.training import DPOSettings
    from backfire.training import train_dpo as train

    settings = DPOSettings.of(**plain_settings(values))
    with keeping(UNWRITTEN), progress("training by DPO") as advance:
        log = train(policy, pairs, out, settings, progress=advance, **how)
    say_log(log, out)


@app.command("sft")
def train_sft(
    policy: Policy,
    conversations: Annotated[
        str,
        typer.Argument(
            metavar="CONVERSATIONS",
            help="A file, folder or hub data set with messages, or with prompt and completion.",
        ),
    ],
    out: Out,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            rich_help_panel=TRAINING,
            show_default="2e-05; 2e-04 for an adapter that was not asked for",
            help="Peak learning rate; tiny models need 100 times as much.",
        ),
    ] = None,
    epochs: Epochs = 1.0,
    batch_size: BatchSize = 8,
    gradient_accumulation: Accumulation = 1,
    max_length: MaxLength = 1024,
    warmup_ratio: Warmup = 0.1,
    scheduler: Scheduler = "cosine",
    weight_decay: WeightDecay = 0.0,
    max_grad_norm: GradNorm = 1.0,
    seed: Seed = 0,
    dtype: Dtype = "auto",
    save_dtype: SaveDtype = "source",
    logging_steps: LoggingSteps = 1,
    gradient_checkpointing: Checkpointing = False,
    full: Full = False,
    lora: Lora = False,
    lora_r: LoraR = None,
    lora_alpha: LoraAlpha = None,
    lora_dropout: LoraDropout = None,
    lora_modules: LoraModules = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="ROLE=NAME,...",
            rich_help_panel=options.READING,
            help="Which column is what, if not seen by itself: messages=turns, or prompt=asked,response=said; input and "
            "system, too.",
        ),
    ] = None,
    config: options.Config = None,
    split: options.Split = None,
    revision: options.Revision = None,
    encoding: options.Encoding = None,
    plain: options.Plain = False,
) -> None:
    """Fine-tune a policy on conversations; only the assistant's turns are learned."""
    how = options.reading(columns, None, config, split, revision, encoding, plain=plain)
    del how["source_columns"]
    values = {k: v for k, v in locals().items() if k not in ("policy", "conversations", "out", "how", *how)}
    from backfire.training import SFTSettings
    from backfire.training import train_sft as train

    settings = SFTSettings.of(**plain_settings(values))
    with keeping(UNWRITTEN), progress("training by SFT") as advance:
        log = train(policy, conversations, out, settings, progress=advance, **how)
    say_log(log, out)


def plain_settings(values: dict[str, Any]) -> dict[str, Any]:
    """What was given, as the settings' fields; `lora_*` without --lora is an InputError."""
    from backfire.errors import InputError

    lora = {name.removeprefix("lora_"): v for name, v in values.items() if name.startswith("lora_")}
    lora = {name: value for name, value in lora.items() if value is not None}
    if lora and not values["lora"]:
        named = ", ".join(f"--lora-{name}" for name in lora)
        raise InputError(f"{named} without --lora: add --lora to train an adapter")
    if values["full"] and values["lora"]:
        raise InputError("--full and --lora: give one of them")
    settings = {
        name: value
        for name, value in values.items()
        if value is not None and name != "full" and not name.startswith("lora")
    }
    if not values["gradient_checkpointing"]:
        del settings["gradient_checkpointing"]
    if values["full"]:
        settings["parameters"] = "all"
    if values["lora"]:
        if "modules" in lora:
            modules = lora.pop("modules")
            lora["target_modules"] = modules if modules == "all-linear" else tuple(modules.split(","))
        settings["adapter"] = lora
    return settings


def say_log(log: TrainingLog, out: Path) -> None:
    """What was trained, what it came to, and what did not fit; said once where several processes train."""
    if os.environ.get("RANK", "0") != "0":
        return
    from backfire.answers.numerals import shown_rows

    counts = log.examples
    say(
        f"{log.method}: {log.steps} steps over {counts.trained} of {counts.examples} examples in {log.seconds:.0f} s, "
        f"{log.trained_parameters:,} of {log.parameters:,} parameters, {log.dtype} on {log.device}"
    )
    how = "raw text, without a chat template" if counts.plain else "the policy's chat template"
    say(
        f"data read as {counts.form}, through {how}"
        if not counts.plain
        else f"data read as {counts.form}, {how}"
    )
    say(f"final loss {log.final_loss:.4f}")
    if log.reward_accuracy is not None and log.reward_margin is not None:
        say(
            f"reward accuracy {log.reward_accuracy:.3f}, reward margin {log.reward_margin:.3f}, on training pairs"
        )
    for what, lost in (
        (f"rows that give no example (of {counts.given})", counts.left_out),
        ("left out", counts.dropped),
        ("lost their end to max_length", counts.truncated),
        ("trained on, but", counts.happened),
    ):
        if any(lost.values()):
            warn(f"{what}: {counted({name: n for name, n in lost.items() if n})}")
    for name, rows in counts.dropped_rows.items():
        warn(f"left out as {name}: row {shown_rows(rows, ROWS_SHOWN, counts.dropped[name])}")
    if counts.boundary_merged:
        warn(f"in {counts.boundary_merged} examples the prompt is not a token prefix of prompt and response")
    if log.update_lost is not None and log.update_lost > 0.1:
        warn(
            f"saving as {log.saved_dtype} took away {log.update_lost:.0%} of what training changed: "
            "use --save-dtype float32"
        )
    say(f"in {out}: weights and training.json")
