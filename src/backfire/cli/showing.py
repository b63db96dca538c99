"""`show`: pairs as the tokens that training is handed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.progress import progress
from backfire.cli.terminal import say, show


def show_pairs(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=options.DATASET)],
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="MODEL",
            help="The model to be trained; its tokenizer and chat template are opened, no weights.",
        ),
    ],
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows", metavar="N,N,...", help="Show the pairs of these rows, from 1; else the first pair."
        ),
    ] = None,
    max_length: options.MaxLength = options.MAX_LENGTH,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="The same as one page, which loads nothing."),
    ] = None,
    json: options.JsonFile = None,
    columns: options.Columns = None,
    source_columns: options.SourceColumns = None,
    config: options.Config = None,
    split: options.Split = None,
    revision: options.Revision = None,
    encoding: options.Encoding = None,
    ranked: options.Ranked = None,
    plain: options.Plain = False,
    chat_template: options.ChatTemplate = None,
    adapter: options.Adapter = None,
) -> None:
    """Show pairs as the tokens that training is handed, and count over all pairs what goes wrong on the way.

    Whose words a token belongs to and whether it carries the loss, end tokens that are missing or doubled, what max_length
    cuts, and what the chat template leaves out.
    """
    from backfire.auditing import show as shown_of

    how = options.reading(columns, source_columns, config, split, revision, encoding, ranked, plain)
    asked = None if rows is None else _rows(rows)
    if html is not None:
        options.check_output("--html", html)
    with progress(f"reading {dataset}"):
        found: Any = shown_of(
            dataset,
            policy,
            rows=asked,
            max_length=max_length or None,
            chat_template=chat_template,
            adapter=adapter,
            **how,
        )
    from backfire.report import shown_table, write_shown_page

    show(shown_table(found))
    if html is not None:
        say(f"in {write_shown_page(found, html)}: the same as a page")
    if json is not None:
        from backfire.cli.terminal import write_answer

        write_answer(json, found.model_dump(mode="json", exclude_none=True))


def _rows(text: str) -> list[int]:
    from backfire.errors import InputError

    found = []
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) < 1:
            raise InputError(f"--rows {text!r}: give row numbers from 1 with commas between, such as 1,7")
        found.append(int(part))
    return list(dict.fromkeys(found))
