"""Reading responses in one forward pass: their log-probabilities, their tokens and their pooled hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.errors import ModelError
from backfire.models.batching import length_batches
from backfire.models.logps import run, token_logps
from backfire.models.memory import tokens_to_read

if TYPE_CHECKING:
    import torch

Pool = Literal["mean", "last"]
Progress = Callable[[int, int], None]
Row = tuple[list[int], int]
"""Token ids of a conversation, and where its response starts."""


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """What one pass over n conversations gives, in their order; NaN where no response token fits the context."""

    logps: NDArray[np.float64]
    """Log-probability of each response given its prompt, in nats, summed over its tokens, EOS included: [n]."""
    tokens: NDArray[np.int64]
    """Tokens of each response, EOS included, within the context: [n]; 0 where none fits."""
    states: NDArray[np.floating]
    """Hidden states, pooled over the response's tokens: [n, layers, hidden], float16 or float32."""


@dataclass(frozen=True)
class Reader:
    """Passes over conversations through a causal `model` of transformers, padded on the right with `filler`."""

    model: Any
    name: str
    filler: int

    def read(
        self,
        rows: Sequence[Row],
        *,
        scored: bool,
        layers: Sequence[int] = (),
        pool: Pool = "mean",
        half: bool = False,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> ForwardPass:
        """One forward pass for each row that has a response, in batches of like length.

        Log-probabilities are NaN unless `scored`. States of `layers`, in their order, are float16 if `half`,
        and float32 from the first value on that float16 cannot hold. Batches get their size by arithmetic
        (`memory.tokens_to_read`). Raises ModelError where the model gives NaN, or memory runs out.
        """
        logps = np.full(len(rows), np.nan)
        tokens = np.array([max(len(ids) - start, 0) for ids, start in rows], dtype=np.int64)
        shape = (len(rows), len(layers), self._hidden)
        states: NDArray[np.floating] = np.full(shape, np.nan, dtype=np.float16 if half else np.float32)
        answered = np.flatnonzero(tokens).tolist()
        done = len(rows) - len(answered)
        if done and progress is not None:
            progress(done, len(rows))
        most = tokens_to_read(self.model, states=bool(layers))
        for batch in length_batches([len(rows[i][0]) for i in answered], batch_size, most):
            places = [answered[k] for k in batch]
            values, pooled = self._pass([rows[i] for i in places], scored, layers, pool)
            bad = (scored & np.isnan(values)) | ~np.isfinite(pooled).all((1, 2))
            if bad.any():
                raise ModelError(
                    f"{self.name} gives NaN or infinity for conversation {places[int(bad.argmax())]}: "
                    "open it with dtype float32"
                )
            if states.dtype == np.float16 and (np.abs(pooled) > np.finfo(np.float16).max).any():
                states = states.astype(np.float32)
            logps[places] = values
            states[places] = pooled
            done += len(places)
            if progress is not None:
                progress(done, len(rows))
        return ForwardPass(logps, tokens, states)

    def _pass(
        self, batch: list[Row], scored: bool, layers: Sequence[int], pool: Pool
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Log-probabilities [rows] and pooled states [rows, layers, hidden] of one batch."""
        import torch

        ids, mask = self._pad_right([ids for ids, _ in batch])
        first = max(1, min(start for _, start in batch))
        try:
            with torch.inference_mode():
                passed = run(
                    self.model, ids, mask, first=first if scored else ids.shape[1], states=bool(layers)
                )
                logps = [np.nan] * len(batch)
                if scored:
                    wanted = [(row, max(1, start), len(tokens)) for row, (tokens, start) in enumerate(batch)]
                    each = token_logps(self.model, passed, ids, wanted).double()
                    sizes = [end - begin for _, begin, end in wanted]
                    logps = [float(part.sum()) for part in torch.split(each, sizes)]
                pooled = self._pooled(passed.states or (), batch, layers, pool, first)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name} ran out of memory on a batch of {len(batch)} conversations of up to "
                f"{ids.shape[1]} tokens: lower the batch size"
            ) from error
        return np.array(logps, dtype=np.float64), pooled

    def _pooled(
        self,
        states: Sequence[torch.Tensor],
        batch: list[Row],
        layers: Sequence[int],
        pool: Pool,
        first: int,
    ) -> NDArray[np.float32]:
        """`states` of every layer [rows, tokens, hidden]; no response starts before `first`."""
        import torch

        weight = torch.zeros((len(batch), max(len(tokens) for tokens, _ in batch) - first))
        for row, (tokens, start) in enumerate(batch):
            begin = start if pool == "mean" else len(tokens) - 1
            weight[row, begin - first : len(tokens) - first] = 1 / (len(tokens) - begin)
        pooled = np.empty((len(batch), len(layers), self._hidden), dtype=np.float32)
        for place, layer in enumerate(layers):
            state = states[layer][:, first:].float()
            pooled[:, place] = torch.einsum("bt,bth->bh", weight.to(state.device), state).cpu().numpy()
        return pooled

    @property
    def _hidden(self) -> int:
        return int(self.model.config.get_text_config().hidden_size)

    def _pad_right(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        width = max(map(len, rows))
        ids = [row + [self.filler] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)
