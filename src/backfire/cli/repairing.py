"""`repair`: a better preference data set made of a given one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.prompts import world_of
from backfire.cli.terminal import counted, say, show, table

if TYPE_CHECKING:
    from backfire.judges import Judge
    from backfire.repairing import Prediction, Repaired

INFLUENCE, FILTER, RESTYLE = "Influence of each pair", "filter and auto", "balance and restyle"
PILOT, MIX = "auto by pilot", "mix and auto"


def repair(
    dataset: Annotated[
        str,
        typer.Argument(metavar="DATASET", help="A folder of pairs, or what `backfire audit` reads."),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="filter, balance, restyle, mix or auto; docs/guides/repair.md says what each does.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the new pairs are written.")],
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", metavar="MODEL", help="The model to be trained: it rewrites, and pairs influence it."
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="influence|ease|pilot",
            rich_help_panel=FILTER,
            help="filter: leave out what pushes away from refusing, or what is told apart most easily. auto: predict by mean "
            "influence, or by a pilot of a few steps on what is left, which costs more and predicts better.",
        ),
    ] = "influence",
    keep: Annotated[
        float | None,
        typer.Option("--keep", metavar="SHARE", rich_help_panel=FILTER, help="Keep this share of the pairs."),
    ] = None,
    above: Annotated[
        float | None,
        typer.Option("--above", metavar="VALUE", rich_help_panel=FILTER, help="Keep pairs above this value."),
    ] = None,
    stratify: Annotated[
        bool,
        typer.Option(
            "--stratify/--no-stratify",
            rich_help_panel=FILTER,
            help="Let harmful and benign prompts keep their shares.",
        ),
    ] = True,
    control: Annotated[
        bool,
        typer.Option(
            "--control",
            rich_help_panel=FILTER,
            help="Keep pairs drawn at random instead, matching in number, kind and decisions.",
        ),
    ] = False,
    target: Annotated[
        float,
        typer.Option(
            "--target",
            metavar="VALUE",
            rich_help_panel=FILTER,
            help="auto: the prediction whose 95% interval has to lie above this.",
        ),
    ] = 0.0,
    steps: Annotated[
        int,
        typer.Option("--steps", rich_help_panel=PILOT, help="Steps of DPO on what is left, from the policy."),
    ] = 8,
    lr: Annotated[
        float,
        typer.Option("--lr", rich_help_panel=PILOT, help="The learning rate of the training that is meant."),
    ] = 1e-6,
    beta: Annotated[float, typer.Option("--beta", rich_help_panel=PILOT, help="Its beta.")] = 0.1,
    batch_size: Annotated[
        int, typer.Option("--batch-size", rich_help_panel=PILOT, help="Its pairs a step.")
    ] = 32,
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters", metavar="all|lora|PATTERN|auto", rich_help_panel=PILOT, help="What it trains."
        ),
    ] = "auto",
    influence: Annotated[
        str | None,
        typer.Option(
            "--influence",
            metavar="FILE",
            rich_help_panel=INFLUENCE,
            help="The audit's --per-pair file, with columns row and safety_influence.",
        ),
    ] = None,
    probe_prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--probe-prompts",
            metavar="PROMPTS",
            rich_help_panel=INFLUENCE,
            help="Harmful prompts to measure it on, a file or organism:prompts/NAME; repeatable.",
        ),
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(
            "--pool",
            metavar="LEDGER",
            rich_help_panel=RESTYLE,
            help="balance: a ledger with more responses to the same prompts.",
        ),
    ] = None,
    reward_model: Annotated[
        str | None,
        typer.Option("--reward-model", metavar="MODEL", rich_help_panel=RESTYLE, help="Ranks responses."),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            metavar="auto|rewrite|resample",
            rich_help_panel=RESTYLE,
            help="Rewrite by an instruction, or take one of the policy's own responses that decides alike.",
        ),
    ] = "auto",
    tries: Annotated[
        int, typer.Option("--tries", rich_help_panel=RESTYLE, help="Responses drawn for each pair.")
    ] = 8,
    template: Annotated[
        Path | None,
        typer.Option(
            "--template",
            metavar="FILE",
            rich_help_panel=RESTYLE,
            help="Another rewriting instruction, a text with {prompt} and {response}.",
        ),
    ] = None,
    when_changed: Annotated[
        str,
        typer.Option(
            "--when-changed",
            metavar="keep|drop",
            rich_help_panel=RESTYLE,
            help="What becomes of a pair of which every rewriting decides otherwise.",
        ),
    ] = "keep",
    ledger: Annotated[
        Path | None,
        typer.Option(
            "--ledger",
            metavar="FILE",
            rich_help_panel=RESTYLE,
            help="Keep what is drawn, so that an interrupted run goes on.",
        ),
    ] = None,
    max_new_tokens: options.MaxNewTokens = 256,
    temperature: options.Temperature = 1.0,
    self_pairs: Annotated[
        Path | None,
        typer.Option(
            "--self-pairs",
            metavar="FOLDER",
            rich_help_panel=MIX,
            help="Pairs to add, such as of recipe self+rm.",
        ),
    ] = None,
    self_influence: Annotated[
        str | None,
        typer.Option("--self-influence", metavar="FILE", rich_help_panel=MIX, help="Their per-pair file."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option("--share", rich_help_panel=MIX, help="Of added pairs in the result."),
    ] = None,
    grow: Annotated[
        bool, typer.Option("--grow", rich_help_panel=MIX, help="Add beside the given pairs; replace none.")
    ] = False,
    ends: Annotated[
        str | None,
        typer.Option(
            "--match-ends",
            metavar="drop|cut",
            help="Where only one side was cut at the token limit: leave the pair out, or cut both alike.",
        ),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            "--judge",
            metavar="phrases|exact",
            help="Who says what a response decides; exact reads organisms' answers and needs --world.",
        ),
    ] = "phrases",
    world: Annotated[
        str | None,
        typer.Option(
            "--world", metavar="NAME", help="The organisms' world, such as w0; else that of --policy."
        ),
    ] = None,
    columns: options.Columns = None,
    source_columns: options.SourceColumns = None,
    config: options.Config = None,
    split: options.Split = None,
    revision: options.Revision = None,
    encoding: options.Encoding = None,
    ranked: options.Ranked = None,
    plain: options.Plain = False,
    max_length: options.MaxLength = options.MAX_LENGTH,
    audit: Annotated[
        bool, typer.Option("--audit/--no-audit", help="Audit before and after, by text alone.")
    ] = True,
    seed: options.Seed = 0,
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Make a better preference data set of a given one, with what was changed and why.

    Writes a folder of pairs that TRL reads, with columns repair, repair_change, repair_why and row beside the further
    columns of the given rows, and repair.json, which lists what was left out. Prints the audit before and after.
    """
    from backfire.errors import InputError
    from backfire.records import Decoding
    from backfire.repairing import repair as repair_dataset

    how = options.reading(columns, source_columns, config, split, revision, encoding, ranked, plain)
    chosen: dict[str, Any] = {}
    if template is not None:
        chosen["template"] = template.read_text(encoding="utf-8")
    tried = {
        "steps": steps,
        "lr": lr,
        "beta": beta,
        "batch_size": batch_size,
        "parameters": parameters,
    }
    decider = _judge(judge, world, policy)
    uses_policy = method == "restyle" or bool(probe_prompts)
    if uses_policy and policy is None:
        raise InputError(f"--method {method}: name the model to be trained by --policy")
    kept = "nothing was written; run the same command again"
    kept += f": what was drawn is in {ledger}" if ledger else ""
    with keeping(kept), progress(f"repairing {dataset}") as advance:
        opened: Any = None
        if uses_policy:
            from backfire.models import open_model

            opened = open_model(
                str(policy), chat_template=chat_template, dtype=dtype, device=device, adapter=adapter
            )
        found = repair_dataset(
            dataset,
            method=method,  # type: ignore[arg-type]
            out=out,
            policy=opened,
            by=by,  # type: ignore[arg-type]
            keep=keep,
            above=above,
            stratify=stratify,
            control=control,
            influence=influence,
            probe_prompts=probe_prompts or None,
            pool=pool,
            reward_model=reward_model,
            mode=mode,  # type: ignore[arg-type]
            tries=tries,
            when_changed=when_changed,  # type: ignore[arg-type]
            self_pairs=self_pairs,
            self_influence=self_influence,
            share=share,
            grow=grow,
            target=target,
            pilot=tried if by == "pilot" else None,
            ends=ends,  # type: ignore[arg-type]
            judge=decider,
            ledger=ledger,
            decoding=Decoding(max_new_tokens, temperature),
            audit=audit,
            max_length=max_length or None,
            seed=seed,
            progress=advance,
            **chosen,
            **how,
        )
    _show(found, method)


def _judge(name: str, world: str | None, policy: str | None) -> Judge | None:
    """The judge by its name; None for the phrases, which need no world."""
    from backfire.errors import InputError

    if name == "phrases":
        return None
    world = world or (world_of(policy) if policy else None)
    if name != "exact" or world is None:
        raise InputError(
            f"--judge {name!r}: choose phrases, or exact with the organisms' world named by --world, such as w0"
        )
    from backfire.judges import ExactJudge
    from backfire.organisms.catalog import open_world

    return ExactJudge(open_world(world))


def _show(found: Repaired, method: str) -> None:
    from backfire.repairing import side_by_side

    say(f"{method}: {found.pairs} pairs in {found.folder} ({counted(found.changed)})")
    if found.without_pair:
        say(f"  rows that gave no pair: {counted(found.without_pair)}")
    lines = [] if found.before is None or found.after is None else side_by_side(found.before, found.after)
    if found.influence is not None:
        first, second = map(_predicted, found.influence)
        lines.append(("mean influence, nats a unit step", first, second))
    if found.choice is not None and found.choice.prediction is not None:
        step = found.choice.prediction
        say(
            f"the smallest change predicted to lie above {found.choice.target:g}: {step.share:.0%} of the pairs"
        )
    if lines:
        shown = table("", "before", "after")
        for line in lines:
            shown.add_row(*line)
        show(shown)


def _predicted(prediction: Prediction) -> str:
    return f"{prediction.mean:.4g} [{prediction.low:.4g} to {prediction.high:.4g}]"
