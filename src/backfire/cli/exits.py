"""How a command ends: its exit code, and one clean line for what went wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from backfire.cli.terminal import complain
from backfire.errors import BackfireError

PARTLY = 1
WRONG = 2
FAILED = 3
INTERRUPTED = 130

ORDER = (
    *(
        "sample",
        "import",
        "score",
        "pair",
        "audit",
        "show",
        "convert",
        "repair",
        "train",
        "attack",
        "judge",
        "general",
    ),
    *("compare", "report", "demo", "study", "prompts", "recipes", "organisms"),
)

EPILOG = (
    "Exit codes: 0 all done; 1 done in part, or an unexpected error (the output says which); "
    "2 an input that cannot be used; 3 a condition of `audit --fail-on` holds, or could not be looked at; 130 interrupted."
)

EXTRAS = {
    "trl": "train",
    "peft": "train",
    "accelerate": "train",
    "lm_eval": "eval",
    "openai": "api",
    "altair": "plots",
    "vl_convert": "plots",
}
"""Which optional part of the installation a module belongs to."""


class Commands(TyperGroup):
    """The commands in the order of the work; what a user can cause ends in one line on stderr, without a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BackfireError as error:
            reason = str(error)
        except KeyboardInterrupt:
            complain("interrupted", "nothing was written; run the same command again")
            raise typer.Exit(INTERRUPTED) from None
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            reason = f"this needs {error.name}, which is not installed: pip install 'backfire[{extra}]'"
        except sqlite3.OperationalError as error:
            reason = (
                f"the ledger cannot be used ({error}): check its path, its disk and who else writes to it"
            )
        except OSError as error:
            if error.filename is None:
                raise
            reason = f"{error.filename}: {error.strerror}; check the path and its permissions"
        complain("error", reason)
        raise typer.Exit(WRONG)


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Around long work: an interruption says what was kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted", what)
        raise typer.Exit(INTERRUPTED) from None
