"""Reading responses in one forward pass: their log-probabilities, their tokens and their pooled hidden states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.errors import ModelError
from backfire.models.batching import length_batches

if TYPE_CHECKING:
    import torch

Pool = Literal["mean", "last"]
Progress = Callable[[int, int], None]
Row = tuple[list[int], int]
"""Token ids of a conversation, and where its response starts."""

HALF_GIGABYTE = 2**29
SCORED_AT_ONCE = 2**26
"""Logits that are widened to float32 at a time: a quarter of a gigabyte."""


@dataclass(frozen=True, eq=False)
class Reading:
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
    ) -> Reading:
        """One forward pass for each row that has a response, in batches of like length.

        Log-probabilities are NaN unless `scored`. States of `layers`, in their order, are float16 if `half`,
        and float32 from the first value on that float16 cannot hold. A batch's logits and states take half a
        gigabyte at most, or a sixteenth of a GPU's memory (one row at the least). Raises ModelError where the
        model gives NaN, or memory runs out.
        """
        logps = np.full(len(rows), np.nan)
        tokens = np.array([max(len(ids) - start, 0) for ids, start in rows], dtype=np.int64)
        shape = (len(rows), len(layers), self._hidden)
        states: NDArray[np.floating] = np.full(shape, np.nan, dtype=np.float16 if half else np.float32)
        answered = np.flatnonzero(tokens).tolist()
        done = len(rows) - len(answered)
        if done and progress is not None:
            progress(done, len(rows))
        most = self._tokens_at_once(scored, bool(layers))
        for batch in length_batches([len(rows[i][0]) for i in answered], batch_size, most):
            places = [answered[k] for k in batch]
            found, pooled = self._pass([rows[i] for i in places], scored, layers, pool)
            bad = (scored & np.isnan(found)) | ~np.isfinite(pooled).all((1, 2))
            if bad.any():
                raise ModelError(
                    f"{self.name} gives NaN or infinity for conversation {places[int(bad.argmax())]}: "
                    "open it with dtype float32"
                )
            if states.dtype == np.float16 and (np.abs(pooled) > np.finfo(np.float16).max).any():
                states = states.astype(np.float32)
            logps[places] = found
            states[places] = pooled
            done += len(places)
            if progress is not None:
                progress(done, len(rows))
        return Reading(logps, tokens, states)

    def _pass(
        self, batch: list[Row], scored: bool, layers: Sequence[int], pool: Pool
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Log-probabilities [rows] and pooled states [rows, layers, hidden] of one batch."""
        import torch

        ids, mask = self._pad_right([ids for ids, _ in batch])
        first = min(start for _, start in batch)
        wanted = ids.shape[1] - first + 1 if scored else 1
        options = {"logits_to_keep": wanted} if self.keeps_logits else {}
        try:
            with torch.inference_mode():
                out = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    use_cache=False,
                    output_hidden_states=bool(layers),
                    **options,
                )
                logps = self._logps(out.logits[:, -wanted:], ids, batch) if scored else [np.nan] * len(batch)
                pooled = self._pooled(out.hidden_states, batch, layers, pool, first)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name} ran out of memory on a batch of {len(batch)} conversations of up to "
                f"{ids.shape[1]} tokens: lower the batch size"
            ) from error
        return np.array(logps, dtype=np.float64), pooled

    def _logps(self, logits: torch.Tensor, ids: torch.Tensor, batch: list[Row]) -> list[float]:
        """`logits` are those of the last positions of `ids`, the one before the first response included."""
        before = ids.shape[1] - logits.shape[1] + 1
        step = max(1, SCORED_AT_ONCE // logits.shape[-1])
        found = []
        for row, (tokens, start) in enumerate(batch):
            total = 0.0
            for begin in range(start, len(tokens), step):
                end = min(begin + step, len(tokens))
                scores = logits[row, begin - before : end - before].float()
                chosen = ids[row, begin:end, None].to(scores.device)
                each = scores.gather(1, chosen)[:, 0] - scores.logsumexp(-1)
                total += each.double().sum().item()
            found.append(total)
        return found

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

    @property
    def keeps_logits(self) -> bool:
        """Whether the model can leave out logits that nobody asks for."""
        inner = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        return "logits_to_keep" in inspect.signature(inner.forward).parameters

    def _tokens_at_once(self, scored: bool, with_states: bool) -> int:
        """Padded tokens a batch; transformers keeps the states of every layer, whichever are wanted."""
        import torch

        settings = self.model.config.get_text_config()
        width = settings.vocab_size if scored or not self.keeps_logits else 0
        if with_states:
            width += (settings.num_hidden_layers + 1) * settings.hidden_size
        device = self.model.device
        room = HALF_GIGABYTE
        if device.type == "cuda":
            room = max(room, torch.cuda.get_device_properties(device).total_memory // 16)
        return max(256, int(room // (width * self.model.dtype.itemsize)))

    def _pad_right(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        width = max(map(len, rows))
        ids = [row + [self.filler] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)
