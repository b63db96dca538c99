"""`convert`: preference data of any form, written in the one form that trainers take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backfire.cli import options
from backfire.cli.exits import keeping
from backfire.cli.terminal import say, warn

if TYPE_CHECKING:
    from backfire.preferences import Converted

EXAMPLES = 5
"""Row numbers named for each reason why rows gave no pair."""


def convert(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=options.DATASET)],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="A .jsonl or .json file, also with .gz, or a .parquet file."
        ),
    ],
    columns: options.Columns = None,
    source_columns: options.SourceColumns = None,
    config: options.Config = None,
    split: options.Split = None,
    revision: options.Revision = None,
    encoding: options.Encoding = None,
    ranked: options.Ranked = None,
    plain: options.Plain = False,
) -> None:
    """Write preference data of any form as conversational prompt, chosen and rejected, which TRL takes as they are.

    Every other column is kept, with the number of the row. Rows that give no pair are counted by reason. Exit code 2,
    and no file, where no row gives a pair.
    """
    from backfire.preferences import convert as convert_dataset

    how = options.reading(columns, source_columns, config, split, revision, encoding, ranked, plain)
    options.check_output("--out", out)
    with keeping("nothing was written; run the same command again"):
        done = convert_dataset(dataset, out, **how)
    say_converted(done)


def say_converted(done: Converted) -> None:
    """What was read, how many pairs it gave, and what was left out."""
    say(f"read as: {done.format}")
    for note in done.notes:
        say(note)
    say(f"{done.pairs} pairs from {done.rows} rows")
    for kind, rows in done.left_out.items():
        say(f"  rows left out: {len(rows)} {kind} ({row_numbers(rows)})")
    if done.kept:
        say(f"  further columns kept: {', '.join(done.kept)}")
    for name, new in done.renamed.items():
        say(f"  the column {name} is called {new}, since trainers would take it for part of the pair")
    if done.not_kept:
        warn(f"a pair comes from two rows here, so further columns are not kept: {', '.join(done.not_kept)}")
    each = "plain text" if done.plain else "a list of turns"
    say(f"in {done.path}: prompt, chosen and rejected, each {each}")


def row_numbers(rows: tuple[int, ...]) -> str:
    """`row 7`; `rows 1, 2, 3, 4, 5 and 12 more`."""
    shown = ", ".join(map(str, rows[:EXAMPLES]))
    more = f" and {len(rows) - EXAMPLES} more" if len(rows) > EXAMPLES else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
