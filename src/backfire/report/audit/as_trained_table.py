"""As trained, for a terminal: what the template, the tokens and max_length do to all pairs."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from backfire.answers.as_trained import AsTrained
from backfire.answers.numerals import printable
from backfire.report.audit.as_trained_lines import rendered_by, tokens_line, trained_lines


def as_trained_parts(trained: AsTrained) -> Iterator[RenderableType]:
    """What the template, the tokens and max_length do to all pairs."""
    yield Text.assemble(("As trained", "bold"), (f"  {_one(rendered_by(trained))}", "dim"))
    if tokens_line(trained):
        yield Text(tokens_line(trained), style="dim")
    if trained.refused:
        yield Text(f"training refuses the template: {_one(trained.refused)}", style="bold red")
    lines = trained_lines(trained)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for what, where in lines:
        grid.add_row("-", Text(f"{what}: {where}", style="yellow"))
    yield grid if lines else Text("- nothing is cut, lost, doubled or missing", style="green")


def _one(text: str) -> str:
    return printable(" ".join(text.split()))
