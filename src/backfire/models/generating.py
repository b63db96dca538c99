"""Generation of one batch, out of which a row goes as soon as it has ended, so that nothing is computed for it any more.

A batch of transformers' `generate` runs whole until its longest row ends. Here each prompt is read once, however many
samples it gets, and the cache keeps the rows that are still being written. Processors of logits and random numbers are those
of `generate`, so the same tokens come out, but for rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from backfire.models.sharded import any_still, is_sharded, same_tokens
from backfire.records import Decoding

if TYPE_CHECKING:
    import torch

TAKEN = {"input_ids", "attention_mask", "position_ids", "past_key_values", "logits_to_keep"}
"""What the forward pass of a model takes that is generated from here."""


def leaves_rows_out(model: Any) -> bool:
    """Whether rows can go out of a model's cache one by one: one of keys and values alone, by layer and row."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    if model.config.is_encoder_decoder or not set(inspect.signature(bare.forward).parameters) >= TAKEN:
        return False
    try:
        layers = DynamicCache(config=model.config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return bool(layers) and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def generate_rows(
    model: Any,
    rows: Sequence[Sequence[int]],
    decoding: Decoding,
    ends: Collection[int],
    filler: int,
    *,
    apart: bool = False,
) -> list[list[int]]:
    """The new tokens after each row, its end token included, by torch's own random numbers.

    `filler` pads rows on the left. The model must be one of `leaves_rows_out`. Where processes share the model, all of them call this
    at the same time: with the same rows, of which they write the same tokens, or `apart`, each with rows of its own.
    """
    apart = apart and is_sharded(model)
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[filler] * (width - len(row)) + list(row) for row in rows], device=model.device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=model.device)
    prompts = list(dict.fromkeys(map(tuple, rows)))
    places = {prompt: place for place, prompt in enumerate(prompts)}
    of_prompt = [places[tuple(row)] for row in rows]
    first = torch.tensor([of_prompt.index(place) for place in range(len(prompts))])
    batch = _Batch(model, ids[first], mask[first])
    if len(prompts) < len(rows):
        batch.select(torch.tensor(of_prompt))
    process = _processors(decoding)
    written: list[list[int]] = [[] for _ in rows]
    alive = list(range(len(rows)))
    for step in range(decoding.max_new_tokens):
        scores = process(batch.ids, batch.logits) if process else batch.logits
        tokens = scores.argmax(-1) if decoding.greedy else _sampled(scores, alive, len(rows))
        if not apart:
            tokens = same_tokens(model, tokens)
        for row, token in zip(alive, tokens.tolist(), strict=True):
            written[row].append(token)
        going = [place for place, row in enumerate(alive) if written[row][-1] not in ends]
        if step + 1 == decoding.max_new_tokens:
            break
        if not going:
            if apart:
                _accompany(model, filler, decoding.max_new_tokens - step - 1)
            break
        if apart:
            any_still(model, True)
        if len(going) < len(alive):
            alive = [alive[place] for place in going]
            which = torch.tensor(going)
            batch.select(which)
            tokens = tokens[which]
        batch.go_on(tokens)
    return written


def _accompany(model: Any, filler: int, most: int) -> None:
    """Take part in the passes of other processes, at most so many, until their rows have ended, too."""
    import torch

    for _ in range(most):
        if not any_still(model, False):
            break
        model(input_ids=torch.tensor([[filler]], device=model.device), use_cache=False, logits_to_keep=1)


class _Batch:
    """The rows that are still being written: their tokens, the cache of keys and values, and the logits of what follows."""

    def __init__(self, model: Any, ids: torch.Tensor, mask: torch.Tensor) -> None:
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._whole = all(type(layer) is DynamicLayer for layer in self._cache.layers)
        self.ids = ids
        self._mask = mask
        self._next = mask.sum(-1, keepdim=True)
        self.logits = self._read(ids, (mask.cumsum(-1) - 1).clamp(min=0))

    def _read(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        import torch

        passed = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = passed.logits[:, -1].to(self.ids.device, dtype=torch.float32)
        return logits

    def select(self, rows: torch.Tensor) -> None:
        """Keep these rows, in this order, some of them several times, and the columns of the cache in which one of them has a token."""
        self.ids, self._mask, self._next = self.ids[rows], self._mask[rows], self._next[rows]
        self.logits = self.logits[rows]
        self._cache.batch_select_indices(rows)
        empty = int(self._mask.any(0).int().argmax())
        if empty and self._whole:
            self._mask = self._mask[:, empty:]
            for layer in self._cache.layers:
                layer.keys, layer.values = layer.keys[:, :, empty:], layer.values[:, :, empty:]

    def go_on(self, tokens: torch.Tensor) -> None:
        """Read one more token of each row."""
        import torch

        tokens = tokens[:, None]
        self.ids = torch.cat([self.ids, tokens], -1)
        self._mask = torch.cat([self._mask, torch.ones_like(tokens)], -1)
        self.logits = self._read(tokens, self._next)
        self._next = self._next + 1


def _processors(decoding: Decoding) -> Any | None:
    """What changes logits before a token is chosen, in the order of `generate`; None where nothing does."""
    from transformers import (
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    steps: list[Any] = []
    if decoding.repetition_penalty != 1.0:
        steps.append(RepetitionPenaltyLogitsProcessor(penalty=decoding.repetition_penalty))
    if not decoding.greedy:
        if decoding.temperature != 1.0:
            steps.append(TemperatureLogitsWarper(decoding.temperature))
        if decoding.top_k:
            steps.append(TopKLogitsWarper(top_k=decoding.top_k))
        if decoding.top_p < 1.0:
            steps.append(TopPLogitsWarper(top_p=decoding.top_p))
    return LogitsProcessorList(steps) if steps else None


def _sampled(scores: torch.Tensor, alive: list[int], count: int) -> torch.Tensor:
    """One token of each row. Random numbers are taken for all `count` rows of the batch, those that ended included, so that a
    row's tokens do not depend on when the others end; as `torch.multinomial` takes them."""
    import torch

    likely = scores.softmax(-1)
    noise = torch.empty((count, scores.shape[-1]), dtype=likely.dtype, device=likely.device).exponential_()
    if len(alive) < count:
        noise = noise[torch.tensor(alive)]
    return likely.div_(noise).argmax(-1)
