"""The commands that are not yet made of settings classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from backfire.cli import (

)
from backfire.cli.exits import clean_end


class Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        with clean_end():
            return super().invoke(ctx)


app = typer.Typer(
    name="backfire",
    cls=Commands,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def backfire() -> None:
    """Will your preference data backfire?"""






def run(words: Sequence[str]) -> None:
    app(list(words))


def helps(name: str, width: int) -> Iterator[tuple[str, str]]:
    """The help of a command and of those below it."""
    top: Any = typer.main.get_command(app)
    context = top.context_class(top, info_name="backfire")
    yield from _helps(top.get_command(context, name), name, context, width)


def _helps(command: Any, name: str, parent: Any, width: int) -> Iterator[tuple[str, str]]:
    command.rich_markup_mode = None
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=width, max_content_width=width
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, TyperGroup):
        for child in command.list_commands(context):
            yield from _helps(command.get_command(context, child), child, context, width)
