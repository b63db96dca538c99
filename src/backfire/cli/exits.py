"""How a command ends: its exit code, and one clean line for what went wrong."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
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
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        reason = f"the ledger cannot be used ({error}): check its path, its disk and who else writes to it"
    except (MemoryError, RuntimeError) as error:
        from backfire.models.failures import failure_of

        memory = failure_of(error)
        if memory is None:
            raise
        reason = memory
    except BrokenPipeError:
        # Whoever read the answer, such as `head`, has had enough.
        _nothing_more()
        raise SystemExit(PARTLY) from None
    except OSError as error:
        from backfire.store.disk import FIX, disk_fault

        cause = disk_fault(error)
        if error.filename is None and cause is None:
            raise
        if cause is not None:
            _nothing_more()
            complain("error", f"{error.filename or 'the output'} cannot be written ({cause}): {FIX}")
            raise SystemExit(WRONG) from None
        reason = f"{error.filename}: {error.strerror}; check the path and its permissions"
    complain("error", reason)
    raise SystemExit(WRONG)


def _nothing_more() -> None:
    """Have Python write the rest of its output nowhere at its end, where it would fail once more, with a traceback."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Around long work: an interruption says what was kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted", what)
        raise SystemExit(INTERRUPTED) from None
