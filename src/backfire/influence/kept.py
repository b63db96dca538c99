"""Summed gradients of probe shards, kept on disk: several data sets are then read against one policy's probes at the
price of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.influence.margins import Encoded
from backfire.records import digest

if TYPE_CHECKING:
    from backfire.models import LocalModel

LARGEST = 2**28
"""Bytes of one sum that is still kept; longer ones are computed anew each time."""


@dataclass(frozen=True)
class KeptGradients:
    """A folder of sums by what they are of: the policy's weights, the parameters that will be trained, the token rows.

    Anything that is not the same is another file; nothing is ever overwritten with other contents, so that several
    processes may share a folder. It may be deleted at any time.
    """

    folder: Path
    seed: int
    """Of LoRA's A, which the parameters' names do not tell."""

    def sum_of(
        self,
        model: LocalModel,
        how: str,
        parameters: Sequence[tuple[str, Any, int, int]],
        encoded: Encoded,
        compute: Callable[[], Any],
    ) -> Any:
        """The flat tensor that `compute` gives, from the folder where it is there already; only float32 is kept."""
        import torch

        if any(p.dtype != torch.float32 for _, p, _, _ in parameters):
            return compute()
        path = self._path(model, how, parameters, encoded)
        stored = _read(path, sum(end - start for _, _, start, end in parameters))
        if stored is not None:
            return torch.from_numpy(stored)
        computed = compute()
        values = computed.numpy()
        if values.nbytes <= LARGEST:
            _write(path, values)
        return computed

    def _path(
        self, model: LocalModel, how: str, parameters: Sequence[tuple[str, Any, int, int]], encoded: Encoded
    ) -> Path:
        moved = [
            [name, list(p.shape), str(p.dtype), *([] if end - start == p.numel() else [start, end])]
            for name, p, start, end in parameters
        ]
        rows = [[ids, start] for ids, start in encoded.rows]
        of = [rows, encoded.items.tolist(), encoded.weights.tolist()]
        name = digest("gradient", model.id, how, self.seed, moved, of)
        return self.folder / f"{name}.npy"


def _read(path: Path, numbers: int) -> Any:
    """None where there is no whole file."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == (numbers,) and array.dtype == np.float32 else None


def _write(path: Path, values: Any) -> None:
    from backfire.store import whole_file

    with whole_file(path) as aside, aside.open("wb") as file:
        np.save(file, values, allow_pickle=False)
