"""Parts of a prediction on disk, so that one that was interrupted goes on where it was.

A part's name is a digest of all that it was made of: the policy's weights, its dtype, the token rows, and what was read of them.
Anything that is not the same is another file. The folder may be deleted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from backfire.records import digest

if TYPE_CHECKING:
    from backfire.influence.margins import Encoded
    from backfire.models import LocalModel
    from backfire.store import Ledger

Arrays = Mapping[str, NDArray[np.floating]]
LEDGER = "responses.db"


@dataclass(frozen=True)
class StoredParts:
    """A folder of parts; without a folder nothing is stored."""

    folder: Path | None = None

    def arrays(
        self, what: Sequence[Any], model: LocalModel, encoded: Encoded, compute: Callable[[], Arrays]
    ) -> Arrays:
        """What `compute` gives, from the folder where it is there already."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{digest('part', _plain(what), *_identity(model), rows_of(encoded))}.npz"
        stored = _read(path)
        if stored is None:
            from backfire.store import whole_file

            stored = compute()
            contents: dict[str, Any] = dict(stored)
            with whole_file(path) as aside, aside.open("wb") as file:
                np.savez(file, **contents)
        return stored

    def record(
        self, what: Sequence[Any], model: LocalModel, compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The same of a record of plain values."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{digest('record', _plain(what), *_identity(model))}.json"
        try:
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            from backfire.store import write_text

            stored = compute()
            write_text(path, json.dumps(stored))
        return stored

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Where sampled responses are stored; a temporary one without a folder."""
        from backfire.store import Ledger

        if self.folder is None:
            with TemporaryDirectory(prefix="backfire-") as folder, Ledger(Path(folder) / LEDGER) as opened:
                yield opened
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with Ledger(self.folder / LEDGER) as opened:
            yield opened


def rows_of(encoded: Encoded) -> list[Any]:
    """What token rows are, for a digest."""
    return [
        [[ids, start] for ids, start in encoded.rows],
        encoded.items.tolist(),
        encoded.weights.tolist(),
        encoded.usable.tolist(),
    ]


def _identity(model: LocalModel) -> tuple[str, str]:
    return model.id, str(model.model.dtype)


def _plain(what: Sequence[Any]) -> list[Any]:
    return [list(one) if isinstance(one, tuple) else one for one in what]


def _read(path: Path) -> Arrays | None:
    """None where there is no whole file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None
