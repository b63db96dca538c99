"""`audit`: what the label of a preference data set encodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.exits import FAILED, PARTLY, keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import complain, say, show, warn

if TYPE_CHECKING:
    from backfire.answers import AuditReport
    from backfire.influence import PilotSettings

FEWEST_CONTROLS = 199
READING, MEASURING, WRITING, GATE = options.READING, "Measuring", "Writing the answer", "As a check"
PILOT = "The pilot"
UNCHECKED = ("fail", "ignore")
PER_PAIR_SUFFIXES = (".parquet", ".jsonl", ".csv")


def audit(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=options.DATASET)],
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            metavar="MODEL",
            help="The model to be trained: adds a probe of its hidden states and how likely it finds either side.",
        ),
    ] = None,
    policy_pairs: Annotated[
        int,
        typer.Option("--policy-pairs", metavar="N", help="So many pairs, drawn at random, go through it."),
    ] = 1000,
    max_length: options.MaxLength = options.MAX_LENGTH,
    probe_prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--probe-prompts",
            metavar="PROMPTS",
            help="Harmful requests that are not in the data (a file, or organism:prompts/probe), and benign ones for "
            "over-refusal; repeatable. Predicts where training on the data moves refusals; needs --policy.",
        ),
    ] = None,
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters",
            metavar="all|lora|PATTERN|auto",
            help="Which parameters are to be trained, for that prediction.",
        ),
    ] = "auto",
    pilot: Annotated[
        int,
        typer.Option(
            "--pilot",
            metavar="STEPS",
            help="Also take so many steps of DPO on the data, in memory, and see how often the probe prompts are refused "
            "afterwards: predicts better than the first step's direction. 8 is a good start; 0 takes none.",
        ),
    ] = 0,
    lr: Annotated[
        float | None,
        typer.Option("--lr", rich_help_panel=PILOT, help="Its learning rate: that of the training you mean."),
    ] = None,
    beta: Annotated[float | None, typer.Option("--beta", rich_help_panel=PILOT, help="DPO's beta.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", rich_help_panel=PILOT, help="Pairs a step.")
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            "--embeddings", metavar="MODEL", help="A sentence-embedding model: adds a probe of its vectors."
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            rich_help_panel=WRITING,
            help="The whole answer, numbers unrounded; docs/reference/audit-schema.md has its fields.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            rich_help_panel=WRITING,
            help="The whole answer as one page with pictures, which loads nothing.",
        ),
    ] = None,
    per_pair: Annotated[
        Path | None,
        typer.Option(
            "--per-pair",
            metavar="FILE",
            rich_help_panel=WRITING,
            help="A line a pair, its row, how easily it is told apart (v_information, in bits), and with "
            "--probe-prompts its influence on refusing: .parquet, .jsonl or .csv.",
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
    overlap_with: Annotated[
        str | None,
        typer.Option(
            "--overlap-with",
            metavar="DATASET",
            rich_help_panel=READING,
            help="A second data set, such as the test split, whose prompts should not be here; read as the first is.",
        ),
    ] = None,
    overlap_split: Annotated[
        str | None,
        typer.Option("--overlap-split", metavar="NAME", rich_help_panel=READING, help="Its split, likewise."),
    ] = None,
    max_pairs: Annotated[
        int | None,
        typer.Option("--max-pairs", rich_help_panel=READING, help="Audit a random sample of so many pairs."),
    ] = None,
    judge: Annotated[
        str,
        typer.Option(
            "--judge",
            metavar="NAME",
            rich_help_panel=MEASURING,
            help="Who says whether a response refuses: phrases.",
        ),
    ] = "phrases",
    controls: Annotated[
        int,
        typer.Option(
            "--controls",
            rich_help_panel=MEASURING,
            help=f"Refits with sides swapped at random, to compare with: at least {FEWEST_CONTROLS}.",
        ),
    ] = FEWEST_CONTROLS,
    folds: Annotated[
        int,
        typer.Option(
            "--folds", rich_help_panel=MEASURING, help="Of the cross-validation, grouped by prompt."
        ),
    ] = 5,
    seed: Annotated[
        int, typer.Option("--seed", rich_help_panel=MEASURING, help="Of folds, swaps and sample.")
    ] = 0,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="CONDITIONS",
            rich_help_panel=GATE,
            help="Exit with 3 when one of these holds, comma-separated: strong, some, no-judgement, fixed-sources, "
            "truncation, contamination, overlap, duplicates, contradictions, debris, defects, matched>X, total>X, influence<X, pilot<X; of the tokens, with "
            "--policy, where X is a share of pairs: end-token>X, end-missing>X, end-doubled>X, bos-doubled>X, bos-missing>X, "
            "cut-sides>X, full-prompts>X, merged-boundary>X, system-lost>X, inside-thought>X, template-losses>X, refused>X, turn-lost>X, "
            "tools-lost>X, tool-calls-lost>X, prompt-rewritten>X, reasoning-lost>X, response-changed>X.",
        ),
    ] = None,
    unchecked: Annotated[
        str,
        typer.Option(
            "--fail-on-unchecked",
            metavar="fail|ignore",
            rich_help_panel=GATE,
            help="What becomes of a condition that could not be looked at, such as influence<X where there is no probe: it "
            "counts as failed, or is only said.",
        ),
    ] = "fail",
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Say what the label of a preference data set encodes, before anything is trained on it.

    Reads TRL's forms, HH transcripts, UltraFeedback, ShareGPT and ranking rows, and KTO rows that pair up. Rows that
    cannot be used are counted by reason. Needs no GPU, and without --policy and --embeddings no model.
    """
    from backfire.auditing import audit as audit_dataset
    from backfire.errors import InputError
    from backfire.report import audit_table, parse_conditions

    conditions = parse_conditions(fail_on) if fail_on is not None else ()
    if unchecked not in UNCHECKED:
        raise InputError(f"--fail-on-unchecked {unchecked!r}: use {' or '.join(UNCHECKED)}")
    how = options.reading(columns, source_columns, config, split, revision, encoding, ranked, plain)
    if controls < FEWEST_CONTROLS:
        raise InputError(f"--controls {controls}: at least {FEWEST_CONTROLS}, or no p below 0.01 can be seen")
    if judge != "phrases":
        raise InputError(
            f"--judge {judge!r}: files are judged by phrases, the only judge that needs no world"
        )
    if policy is None and (chat_template or adapter):
        raise InputError("--chat-template and --adapter belong to a model: name it by --policy")
    if policy is None and probe_prompts:
        raise InputError("--probe-prompts probe the model that is to be trained: name it by --policy")
    if parameters != "auto" and not probe_prompts:
        raise InputError(f"--parameters {parameters!r} is of the prediction: give --probe-prompts too")
    settings = _pilot(pilot, bool(probe_prompts), {"lr": lr, "beta": beta, "batch_size": batch_size})
    if per_pair is not None and per_pair.suffix.lower() not in PER_PAIR_SUFFIXES:
        raise InputError(f"--per-pair {per_pair}: the name has to end in {', '.join(PER_PAIR_SUFFIXES)}")
    _check_outputs({"--json": json, "--html": html, "--per-pair": per_pair})

    kept = "nothing was kept; run the same command again, with --max-pairs for fewer pairs"
    with keeping(kept), progress(f"auditing {dataset}") as advance:
        opened: Any = None
        if policy is not None:
            from backfire.models import open_model

            opened = open_model(
                policy, chat_template=chat_template, dtype=dtype, device=device, adapter=adapter
            )
        report: AuditReport = audit_dataset(
            dataset,
            policy=opened,
            policy_pairs=policy_pairs,
            max_length=max_length or None,
            probe_prompts=probe_prompts or None,
            parameters=parameters,
            pilot=settings,
            embedder=embeddings,
            **how,
            overlap_with=overlap_with,
            overlap_split=overlap_split,
            max_pairs=max_pairs,
            per_pair=per_pair,
            controls=controls,
            folds=folds,
            seed=seed,
            progress=advance,
        )
    show(audit_table(report))
    if per_pair is not None:
        both = report.safety_influence is not None and report.safety_influence.file is not None
        say(
            f"in {per_pair}: how easily each pair is told apart{', and where it moves refusals' if both else ''}"
        )
    whole = _write(report, json, html)
    if _fails(report, conditions, unchecked == "fail"):
        raise typer.Exit(FAILED)
    if report.failed or not whole:
        raise typer.Exit(PARTLY)


def _pilot(steps: int, probed: bool, settings: dict[str, Any]) -> PilotSettings | None:
    """The pilot that is asked for, with what was said of it."""
    from backfire.errors import InputError

    said = {name: value for name, value in settings.items() if value is not None}
    if not steps:
        if said:
            raise InputError(
                f"--{min(said).replace('_', '-')} is of the pilot: say how many steps it takes by --pilot, such as 8"
            )
        return None
    if not probed:
        raise InputError(f"--pilot {steps}: what it does is seen on --probe-prompts: give some, and --policy")
    from backfire.influence import PilotSettings

    return PilotSettings(steps=steps, **said)


def _write(report: AuditReport, json: Path | None, html: Path | None) -> bool:
    """The files that were asked for, one after the other; what fails is said, and the next is tried."""
    from backfire.answers import write_audit
    from backfire.errors import BackfireError
    from backfire.report import write_audit_page

    def page(path: Path, found: AuditReport) -> Path:
        return write_audit_page(found, path)

    files: list[tuple[Path | None, Callable[[Path, AuditReport], Path], str]] = [
        (json, write_audit, "the same, unrounded"),
        (html, page, "the same as a page with pictures"),
    ]
    whole = True
    for path, write, what in files:
        if path is None:
            continue
        try:
            say(f"in {write(path, report)}: {what}")
        except (OSError, BackfireError) as error:
            complain("error", f"{path} was not written: {error}")
            whole = False
    return whole


def _fails(report: AuditReport, conditions: tuple[str, ...], strict: bool) -> bool:
    """Say which conditions hold and which could not be looked at; whether any fails: `strict` counts the latter too."""
    from backfire.report import failed_conditions, unchecked_conditions

    failed = failed_conditions(report, conditions)
    for line in unchecked_conditions(report, conditions):
        if strict:
            failed.append(f"not checked, which counts as failed (--fail-on-unchecked ignore): {line}")
        else:
            warn(f"not checked: {line}")
    for line in failed:
        complain("failed", line)
    return bool(failed)


def _check_outputs(named: dict[str, Path | None]) -> None:
    """InputError for a file that could not be written after the work, or that two options name."""
    from backfire.errors import InputError

    seen: dict[Path, str] = {}
    for option, path in named.items():
        if path is None:
            continue
        options.check_output(option, path)
        other = seen.setdefault(path.resolve(), option)
        if other != option:
            raise InputError(f"{other} and {option} both name {path}: each needs a file of its own")
