"""`audit`: what the label of a preference data set encodes."""

from __future__ import annotations

from typing import Annotated

import typer

from backfire.cli import options
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import say, show


def audit(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="A JSONL, JSON, CSV, TSV or Parquet file, a folder of pairs, a saved data set, or a hub name.",
        ),
    ],
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy", metavar="MODEL", help="The model to be trained: adds a probe of its hidden states."
        ),
    ] = None,
    json: options.JsonFile = None,
    controls: Annotated[
        int, typer.Option("--controls", help="Refits with sides swapped at random, to compare with.")
    ] = 19,
    folds: Annotated[int, typer.Option("--folds", help="Of the cross-validation, grouped by prompt.")] = 5,
    max_pairs: Annotated[
        int | None, typer.Option("--max-pairs", help="Audit a random sample of so many pairs.")
    ] = None,
    source_columns: Annotated[
        str | None,
        typer.Option(
            "--source-columns",
            metavar="CHOSEN,REJECTED",
            help="The columns that say who wrote each side, if not named chosen_source and rejected_source.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of folds, swaps and sample.")] = 0,
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
    dtype: options.Dtype = "auto",
    device: options.Device = None,
) -> None:
    """Say what the label of a preference data set encodes, before anything is trained on it.

    Takes TRL's forms, with or without a prompt column, and HH transcripts. Rows that cannot be used are counted by
    reason. Needs no GPU, and without --policy no model.
    """
    from backfire.auditing import audit as audit_dataset
    from backfire.auditing import render
    from backfire.errors import InputError
    from backfire.store import write_json

    columns: tuple[str, str] | None = None
    if source_columns is not None:
        names = [name.strip() for name in source_columns.split(",")]
        if len(names) != 2 or not all(names):
            raise InputError(
                f"--source-columns {source_columns!r}: name two columns, such as chosen_by,rejected_by"
            )
        columns = (names[0], names[1])
    if policy is None and (chat_template or adapter):
        raise InputError("--chat-template and --adapter belong to a model: name it by --policy")
    kept = "nothing was kept; run the same command again, with --max-pairs for fewer pairs"
    with keeping(kept), progress(f"auditing {dataset}") as advance:
        opened = None
        if policy is not None:
            from backfire.models import open_model

            opened = open_model(
                policy, chat_template=chat_template, dtype=dtype, device=device, adapter=adapter
            )
        report = audit_dataset(
            dataset,
            policy=opened,
            source_columns=columns,
            max_pairs=max_pairs,
            seed=seed,
            controls=controls,
            folds=folds,
            progress=advance,
        )
    show(render(report))
    if json is not None:
        write_json(json, report.as_dict())
        say(f"in {json}: the same, unrounded")
