"""A disk that takes no more: the cause by its name, whichever library met it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backfire.errors import BackfireError, DiskError

CAUSES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENAMETOOLONG)
LEDGER = ("database or disk is full", "disk I/O error", "attempt to write a readonly database")
"""What SQLite says, which hides the system's number."""
FIX = "free some space, or write to another disk"


def disk_fault(error: BaseException) -> str | None:
    """Why the disk took no more; None where the error is another one.

    Arrow, safetensors and torch wrap the system's error, so that its words are looked for.
    """
    if isinstance(error, OSError) and error.errno in CAUSES:
        return os.strerror(error.errno)
    text = str(error)
    if isinstance(error, sqlite3.OperationalError):
        return text if text in LEDGER else None
    words = (os.strerror(number) for number in CAUSES)
    return next((cause for cause in words if cause.lower() in text.lower()), None)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around the writing of a file or folder: DiskError where the disk takes no more of it."""
    try:
        yield
    except BackfireError:
        raise
    except Exception as error:
        cause = disk_fault(error)
        if cause is None:
            raise
        raise DiskError(f"{path} cannot be written ({cause}): {FIX}") from error
