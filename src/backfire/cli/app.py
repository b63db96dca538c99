"""The command line's shape: every command under its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from backfire.cli import (
    attacking,
    auditing,
    collecting,
    comparing,
    converting,
    general,
    judging,
    organisms,
    pairing,
    prompts,
    repairing,
    reporting,
    showing,
    studying,
    training,
)
from backfire.cli.exits import EPILOG, Commands
from backfire.cli.terminal import catch_warnings, say

STAGES, WHOLE, AROUND = "Stages, in their order", "All stages together", "Around them"

app = typer.Typer(
    name="backfire",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    epilog=EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"backfire {version('backfire')}")
        raise typer.Exit


@app.callback()
def backfire(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Will your preference data backfire? Build it, audit it, train on it, attack the result, report."""
    # Before torch is imported: spinning threads on shared cores cost a factor of seven.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    catch_warnings()


app.command("sample", rich_help_panel=STAGES)(collecting.sample)
app.command("import", rich_help_panel=STAGES)(collecting.import_responses)
app.command("score", rich_help_panel=STAGES)(collecting.score)
app.command("pair", rich_help_panel=STAGES)(pairing.pair)
app.command("audit", rich_help_panel=STAGES)(auditing.audit)
app.command("show", rich_help_panel=STAGES)(showing.show_pairs)
app.command("convert", rich_help_panel=STAGES)(converting.convert)
app.command("repair", rich_help_panel=STAGES)(repairing.repair)
app.add_typer(training.app, name="train", rich_help_panel=STAGES)
app.command("attack", rich_help_panel=STAGES)(attacking.attack)
app.add_typer(judging.app, name="judge", rich_help_panel=STAGES)
app.command("general", rich_help_panel=STAGES)(general.general)
app.command("compare", rich_help_panel=STAGES)(comparing.compare)
app.command("report", rich_help_panel=STAGES)(reporting.report)
app.command("demo", rich_help_panel=WHOLE)(studying.demo)
app.add_typer(studying.app, name="study", rich_help_panel=WHOLE)
app.command("prompts", rich_help_panel=AROUND)(prompts.prompts)
app.command("recipes", rich_help_panel=AROUND)(pairing.list_recipes)
app.add_typer(organisms.app, name="organisms", rich_help_panel=AROUND)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point `backfire`; exits."""
    app(arguments if arguments is None else list(arguments))
