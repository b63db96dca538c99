"""Which code ran: the version, a digest of the source, and the libraries whose version can change an answer."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import backfire
from backfire.answers.release import TestedCode
from backfire.records import digest, file_digest

LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "lm_eval")
READ = (".py", ".yaml", ".json", ".npz")
NOT_READ = ("cli",)
"""Packages that only parse and print, and change no answer."""


def tested_code() -> TestedCode:
    """The code that runs here."""
    return TestedCode(
        backfire=version("backfire"),
        digest=source_digest(),
        libraries={name: installed for name in LIBRARIES if (installed := _version(name)) is not None},
    )


@cache
def source_digest() -> str:
    """A digest of the package's source and of its data, by their places in the package."""
    folder = Path(str(backfire.__file__)).parent
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in READ and path.relative_to(folder).parts[0] not in NOT_READ
    )
    return digest("source", [[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
