"""Margins: sums of log-probabilities of some responses less those of others, and their gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backfire.errors import ModelError
from backfire.models.batching import length_batches
from backfire.models.logps import layers_recomputed, run, token_logps
from backfire.models.memory import keeps_for_gradients, release, tokens_to_differentiate, tokens_to_read
from backfire.models.packed import packs
from backfire.models.rendering import render
from backfire.models.settings import MAX_LENGTH
from backfire.models.sharded import reading
from backfire.records import Completion, Prompt

if TYPE_CHECKING:
    import torch

    from backfire.influence.probes import ProbeSet
    from backfire.influence.tangent import Tangent
    from backfire.models import LocalModel

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Contrast:
    """One pair or probe: its margin is the mean log-probability of `plus` less that of `minus`, in nats.

    Log-probabilities are summed over a response's tokens, EOS included, as in DPO.
    """

    prompt: Prompt
    plus: tuple[Completion, ...]
    minus: tuple[Completion, ...]


@dataclass(frozen=True, eq=False)
class Encoded:
    """Contrasts as token rows. Rows of contrasts that do not fit the context are left out: `usable` says which."""

    rows: tuple[tuple[list[int], int], ...]
    """Token ids of a conversation, and where its response starts."""
    items: NDArray[np.int64]
    """The contrast of each row: [rows]."""
    weights: NDArray[np.float64]
    """1 / number of its side's responses, negative for `minus`: [rows]."""
    usable: NDArray[np.bool_]
    """[contrasts]."""

    @property
    def count(self) -> int:
        return len(self.usable)

    def subset(self, items: NDArray[np.int64]) -> Encoded:
        """Only these contrasts, numbered anew."""
        place = np.full(self.count, -1, dtype=np.int64)
        place[items] = np.arange(len(items))
        inside = np.flatnonzero(place[self.items] >= 0)
        return Encoded(
            tuple(self.rows[i] for i in inside),
            place[self.items[inside]],
            self.weights[inside],
            self.usable[items],
        )


def encode(
    model: LocalModel,
    contrasts: Sequence[Contrast],
    *,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
) -> Encoded:
    """The rows that training would take (`models.rendering`), cut at their right end with a warning; what the template refuses
    or loses is not usable, with a warning, too.

    plain: as raw text, without the chat template.
    """
    items = np.array([i for i, c in enumerate(contrasts) for _ in (*c.plus, *c.minus)], dtype=np.int64)
    weights = [
        weight
        for c in contrasts
        for weight in (*(1 / len(c.plus) for _ in c.plus), *(-1 / len(c.minus) for _ in c.minus))
    ]
    bound = model.limit(max_length)
    given = [(c.prompt, (*c.plus, *c.minus)) for c in contrasts]
    rendered = list(render(model.rendering(plain), given, max_length=bound, strict=False))
    stopped = [done.fault for done in rendered if done.fault is not None and done.fault.stops]
    if stopped:
        warnings.warn(
            f"{len(stopped)} of {len(contrasts)} pairs or probes are left out, since the chat template loses or refuses a part of "
            f"them: {stopped[0].message}",
            stacklevel=2,
        )
    rows = [row for done in rendered for row in done.rows()]
    usable = np.array(
        [not done.fills and (done.fault is None or not done.fault.stops) for done in rendered], dtype=bool
    )
    cut = sum(lost > 0 for done in rendered for lost in done.lost)
    if cut:
        what = "max_length" if bound == max_length else f"the context of {model.name}"
        warnings.warn(
            f"{cut} of {len(rows)} conversations exceed {what} ({bound} tokens) and were cut at the right end; "
            f"{int((~usable).sum())} pairs or probes have a side of which nothing is left",
            stacklevel=2,
        )
    usable_rows = np.flatnonzero(usable[items]) if len(items) else np.zeros(0, dtype=np.int64)
    return Encoded(
        tuple(rows[i] for i in usable_rows),
        items[usable_rows],
        np.array(weights, dtype=np.float64)[usable_rows],
        usable,
    )


def probe_contrasts(probes: ProbeSet) -> list[Contrast]:
    """A probe's margin counts up what it is meant to move towards."""
    return [Contrast(probe.prompt, probe.toward, probe.away) for probe in probes.probes]


def mean_margins(model: LocalModel, probes: ProbeSet, *, batch_size: int = 64) -> NDArray[np.float64]:
    """The margin of each probe under the model, in nats: [probes]; NaN where nothing fits the context."""
    return margins(model, encode(model, probe_contrasts(probes)), batch_size=batch_size)


def margins(
    model: LocalModel, encoded: Encoded, *, batch_size: int = 64, progress: Progress | None = None
) -> NDArray[np.float64]:
    """The margin of each contrast under the model, in nats: [contrasts]; NaN where it is not usable. As `side_logps`."""
    plus, minus = side_logps(model, encoded, batch_size=batch_size, progress=progress).T
    difference: NDArray[np.float64] = plus - minus
    return difference


def side_logps(
    model: LocalModel, encoded: Encoded, *, batch_size: int = 64, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Log-probability of `plus` and of `minus` of each contrast, the mean over a side's responses, in nats: [contrasts, 2]; NaN where
    it is not usable.

    One forward pass, where the model allows it without padding and the prompt of a contrast once for all its responses, else in
    batches of like length; sums in float64. How rows are read does not matter, but for rounding. Raises ModelError where the model
    gives NaN or runs out of memory.
    """

    values = np.where(encoded.usable[:, None], np.zeros(2), np.nan)
    done = 0
    with reading(model.model):
        for batch, read in _read(model, encoded, batch_size):
            logps = read.double().cpu().numpy()
            if np.isnan(logps).any():
                raise ModelError(f"{model.name} gives NaN: open it with dtype float32")
            weights = encoded.weights[batch]
            np.add.at(values, (encoded.items[batch], (weights < 0).astype(np.int64)), np.abs(weights) * logps)
            done += len(batch)
            if progress is not None:
                progress(done, len(encoded.rows))
    return values


def _read(model: LocalModel, encoded: Encoded, batch_size: int) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Some rows, and the log-probability of each row's response."""
    if encoded.rows and min(start for _, start in encoded.rows) > 0 and packs(model.model):
        from backfire.influence.packed_margins import packed_logps

        yield from packed_logps(model, encoded)
        return
    for batch in batches(model, encoded, batch_size):
        yield batch, logps_of(model, [encoded.rows[i] for i in batch])


def add_gradients(
    model: LocalModel, encoded: Encoded, *, batch_size: int = 32, along: Tangent | None = None
) -> NDArray[np.float64] | None:
    """Add the gradient of the sum of all margins to `.grad` of every parameter that requires one.

    With `along`, returns the derivative of each contrast's margin along that direction: [contrasts], NaN where it is not
    usable.
    """
    import torch

    values = np.where(encoded.usable, 0.0, np.nan)
    for batch in batches(model, encoded, batch_size, gradients=True):
        release(model.model)
        rows = [encoded.rows[i] for i in batch]
        if along is not None:
            along.start(len(rows), model.device)
        with recomputed(model, rows):
            logps = logps_of(model, rows)
            torch.autograd.backward((logps * logps.new_tensor(encoded.weights[batch])).sum())
        if along is not None:
            np.add.at(values, encoded.items[batch], along.derivatives())
    return None if along is None else values


@contextmanager
def recomputed(model: LocalModel, rows: Sequence[tuple[list[int], int]]) -> Iterator[None]:
    """Forward and backward pass of a batch: where all layers' values do not fit, they are computed again for the gradient."""
    tokens = len(rows) * max(len(ids) for ids, _ in rows)
    if keeps_for_gradients(model.model, tokens):
        yield
    else:
        with layers_recomputed(model.model):
            yield


def batches(
    model: LocalModel, encoded: Encoded, batch_size: int, *, gradients: bool = False
) -> Iterator[list[int]]:
    """Rows in batches of like length, of a size that fits (`models.memory`)."""
    most = tokens_to_differentiate(model.model) if gradients else tokens_to_read(model.model)
    return length_batches([len(ids) for ids, _ in encoded.rows], batch_size, most)


def pair_batches(model: LocalModel, encoded: Encoded) -> Iterator[NDArray[np.int64]]:
    """Contrasts, sorted, in batches whose rows fit with their gradients; all rows of one stand in the same batch."""
    longest, count = np.zeros(encoded.count, dtype=np.int64), np.zeros(encoded.count, dtype=np.int64)
    for (ids, _), item in zip(encoded.rows, encoded.items, strict=True):
        longest[item] = max(longest[item], len(ids))
        count[item] += 1
    there = np.flatnonzero(count)
    widths = [int(longest[k] * count[k]) for k in there]
    for batch in length_batches(widths, 16, tokens_to_differentiate(model.model)):
        yield np.sort(there[batch])


def logps_of(model: LocalModel, rows: Sequence[tuple[list[int], int]]) -> torch.Tensor:
    """Log-probability of each row's response, summed over its tokens: [rows], float32 at the least."""
    import torch

    ids, mask = _padded(model, rows)
    wanted = [(row, max(1, start), len(tokens)) for row, (tokens, start) in enumerate(rows)]
    try:
        passed = run(model.model, ids, mask, first=min(begin for _, begin, _ in wanted))
        each = token_logps(model.model, passed, ids, wanted)
        sizes = [end - begin for _, begin, end in wanted]
        return torch.stack([part.sum() for part in torch.split(each, sizes)])
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{model.name} ran out of memory on {len(rows)} conversations of up to {ids.shape[1]} tokens: train fewer "
            "parameters (`lora`, or a part of the model by name)"
        ) from error


def _padded(model: LocalModel, rows: Sequence[tuple[list[int], int]]) -> tuple[Any, Any]:
    """Ids and attention mask, padded on the right: [rows, tokens] each."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    device = model.device
    ids = torch.full((len(rows), width), model.filler, device=device)
    mask = torch.zeros((len(rows), width), dtype=torch.long, device=device)
    for i, (tokens, _) in enumerate(rows):
        ids[i, : len(tokens)] = torch.tensor(tokens, device=device)
        mask[i, : len(tokens)] = 1
    return ids, mask
