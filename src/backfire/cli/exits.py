"""How a command ends: its exit code, and one clean line for what went wrong."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from backfire.cli.terminal import complain
from backfire.errors import BackfireError

PARTLY = 1
WRONG = 2
FAILED = 3
UNDECIDED = 4
INTERRUPTED = 130

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


@contextmanager
def clean_end() -> Iterator[None]:
    """What a user can cause ends in one line on stderr, without a traceback."""
    try:
        yield
        return
    except BackfireError as error:
        reason = str(error)
    except KeyboardInterrupt:
        complain("interrupted", "nothing was written; run the same command again")
        raise SystemExit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        reason = f"this needs {error.name}, which is not installed: pip install 'backfire[{extra}]'"
    except sqlite3.OperationalError as error:
        reason = f"the ledger cannot be used ({error}): check its path, its disk and who else writes to it"
    except BrokenPipeError:
        # Whoever read the answer, such as `head`, has had enough; Python must not try to write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(PARTLY) from None
    except OSError as error:
        if error.filename is None:
            raise
        reason = f"{error.filename}: {error.strerror}; check the path and its permissions"
    complain("error", reason)
    raise SystemExit(WRONG)


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Around long work: an interruption says what was kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted", what)
        raise SystemExit(INTERRUPTED) from None
