"""Reading responses in one forward pass: their log-probabilities, their tokens and their pooled hidden states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.errors import ModelError
from backfire.models.batching import length_batches
from backfire.models.blocks import states_at
from backfire.models.logps import run, token_logps
from backfire.models.memory import tokens_to_read
from backfire.models.sharded import reading

if TYPE_CHECKING:
    import torch

Pool = Literal["mean", "last", "predicting"]
"""Over which tokens states are averaged: the response's own, its last one, or those before each of its own, from whose states the model
predicts them (the prompt's last token, and the response's but the last)."""
FEW_LAYERS = 2
"""States of so many layers need no smaller batches."""
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
        pool: Pool | Sequence[Pool] = "mean",
        half: bool = False,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> ForwardPass:
        """One forward pass for each row that has a response, in batches of like length.

        Log-probabilities are NaN unless `scored`; where they are not, the pass ends at the last of `layers` (`blocks`). States of
        `layers`, in their order, are float16 if `half`, and float32 from the first value on that float16 cannot hold; `pool` is that
        of all of them, or of each. Batches get their size by arithmetic (`memory.tokens_to_read`). Raises ModelError where the
        model gives NaN, or memory runs out.
        """
        pools: list[Pool] = [pool for _ in layers] if isinstance(pool, str) else list(pool)
        whole = int(self.model.config.get_text_config().num_hidden_layers) + 1
        layers = [layer % whole for layer in layers]
        logps = np.full(len(rows), np.nan)
        tokens = np.array([max(len(ids) - start, 0) for ids, start in rows], dtype=np.int64)
        shape = (len(rows), len(layers), self._hidden)
        states: NDArray[np.floating] = np.full(shape, np.nan, dtype=np.float16 if half else np.float32)
        answered = np.flatnonzero(tokens).tolist()
        done = len(rows) - len(answered)
        if done and progress is not None:
            progress(done, len(rows))
        most = tokens_to_read(self.model, states=bool(layers) and (scored or len(layers) > FEW_LAYERS))
        for batch in length_batches([len(rows[i][0]) for i in answered], batch_size, most):
            places = [answered[k] for k in batch]
            values, pooled = self._pass([rows[i] for i in places], scored, layers, pools)
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
        self, batch: list[Row], scored: bool, layers: Sequence[int], pools: Sequence[Pool]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Log-probabilities [rows] and pooled states [rows, layers, hidden] of one batch."""
        import torch

        ids, mask = self._pad_right([ids for ids, _ in batch])
        first = max(1, min(start for _, start in batch))
        try:
            with reading(self.model):
                logps = [np.nan] * len(batch)
                states: Mapping[int, torch.Tensor] = {}
                if not scored:
                    states = states_at(self.model, ids, mask, layers) if layers else {}
                else:
                    passed = run(self.model, ids, mask, first=first, states=bool(layers))
                    states = dict(enumerate(passed.states or ()))
                    wanted = [(row, max(1, start), len(tokens)) for row, (tokens, start) in enumerate(batch)]
                    each = token_logps(self.model, passed, ids, wanted).double()
                    sizes = [end - begin for _, begin, end in wanted]
                    logps = [float(part.sum()) for part in torch.split(each, sizes)]
                pooled = self._pooled(states, batch, layers, pools)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name} ran out of memory on a batch of {len(batch)} conversations of up to "
                f"{ids.shape[1]} tokens: lower the batch size"
            ) from error
        return np.array(logps, dtype=np.float64), pooled

    def _pooled(
        self,
        states: Mapping[int, torch.Tensor],
        batch: list[Row],
        layers: Sequence[int],
        pools: Sequence[Pool],
    ) -> NDArray[np.float32]:
        """States by layer [rows, tokens, hidden], averaged over the tokens that each layer's pool names."""
        import torch

        weights = {pool: self._weights(batch, pool) for pool in set(pools)}
        pooled = np.empty((len(batch), len(layers), self._hidden), dtype=np.float32)
        for place, (layer, pool) in enumerate(zip(layers, pools, strict=True)):
            first, weight = weights[pool]
            state = states[layer][:, first:].float()
            pooled[:, place] = torch.einsum("bt,bth->bh", weight.to(state.device), state).cpu().numpy()
        return pooled

    @staticmethod
    def _weights(batch: list[Row], pool: Pool) -> tuple[int, torch.Tensor]:
        """The first position that counts, and from there on the weight of each: [rows, tokens]."""
        import torch

        spans = []
        for tokens, start in batch:
            end = len(tokens)
            spans.append(
                {"mean": (start, end), "last": (end - 1, end), "predicting": (max(0, start - 1), end - 1)}[
                    pool
                ]
            )
        first = min(begin for begin, _ in spans)
        weight = torch.zeros((len(batch), max(len(tokens) for tokens, _ in batch) - first))
        for row, (begin, end) in enumerate(spans):
            weight[row, begin - first : end - first] = 1 / max(1, end - begin)
        return first, weight

    @property
    def _hidden(self) -> int:
        return int(self.model.config.get_text_config().hidden_size)

    def _pad_right(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        width = max(map(len, rows))
        ids = [row + [self.filler] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)
