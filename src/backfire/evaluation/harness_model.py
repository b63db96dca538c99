"""The harness's model in this process: its own `HFLM`, but for how answers are scored and how many go in at once.

`HFLM` makes the logits of every position, widens all of them to float32, and reads a question again for each answer to it.
Here logits are made where an answer's tokens are, a question that several answers share is read once, without padding where the
model allows (`models.packed`), and batches get their size by arithmetic (`models.memory`). The numbers are the harness's, but for rounding.

Imports the harness, so it is imported only while a task runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from backfire.models.batching import length_batches
from backfire.models.logps import keeps_logits, logps_after, run
from backfire.models.memory import rows_to_continue, rows_to_generate, tokens_to_read
from backfire.models.packed import (
    layout_of,
    packed_attention,
    packs,
    packs_of,
    response_text,
    run_packed,
    spans,
)

SHARED = 8
"""A question of fewer tokens is read again with each answer: that costs less than keeping it."""
Answer = tuple[float, bool]
"""Log-probability, and whether each of its tokens is the likeliest one."""
Row = tuple[list[int], list[int]]
"""Tokens of a question and of an answer to it, which fit the context."""


class BoundedHFLM(HFLM):  # type: ignore[misc]
    """`HFLM` in bounded memory."""

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **more: Any
    ) -> list[Answer]:
        rows = [self._fitting(context, answer) for _, context, answer in requests]
        together: dict[tuple[int, ...], list[int]] = {}
        for place, (context, _) in enumerate(rows):
            together.setdefault(tuple(context), []).append(place)
        packing = packs(self.model)
        sharing = not packing and self._caches
        whole = [group for c, group in together.items() if packing and c]
        shared = [group for c, group in together.items() if sharing and not _alone(c, group)]
        gone = {place for group in (*whole, *shared) for place in group}
        apart = [place for place in range(len(rows)) if place not in gone]
        by_place: dict[int, Answer] = {}
        with torch.inference_mode():
            for done in (
                self._packed(rows, whole),
                self._one_by_one(rows, apart),
                self._by_question(rows, shared),
            ):
                for places, answers in done:
                    by_place.update(zip(places, answers, strict=True))
        for (key, _, _), answer in zip(requests, (by_place[i] for i in range(len(rows))), strict=True):
            if key is not None:
                self.cache_hook.add_partial("loglikelihood", key, answer)
        return [by_place[place] for place in range(len(rows))]

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """As the harness's, with as many at once as fit."""
        longest = 0
        for request in requests:
            text, settings = request.args
            new = int(normalize_gen_kwargs(dict(settings), self.max_gen_toks)["max_gen_toks"])
            longest = max(longest, min(self.max_length, len(self.tok_encode(text)) + new))
        size = int(self.batch_size)
        self.batch_size_per_gpu = min(size, rows_to_generate(self.model, longest, longest))
        try:
            texts: list[str] = super().generate_until(requests, disable_tqdm)
        finally:
            self.batch_size_per_gpu = size
        return texts

    @property
    def _caches(self) -> bool:
        """Whether what the model caches of a text can be copied for several continuations."""
        if not keeps_logits(self.model):
            return False
        layers = DynamicCache(config=self.model.config).layers
        return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)

    def _fitting(self, context: list[int], answer: list[int]) -> Row:
        """Cut at the left as the harness cuts: the last token of an answer is never read, only scored."""
        whole = (context + answer)[-(self.max_length + 1) :]
        return whole[: -len(answer)], whole[-len(answer) :]

    def _one_by_one(
        self, rows: Sequence[Row], places: Sequence[int]
    ) -> Iterator[tuple[list[int], list[Answer]]]:
        """Question and answer in one pass, padded on the right."""
        read = [(rows[i][0] + rows[i][1])[:-1] for i in places]
        most = tokens_to_read(self.model)
        for batch in length_batches([len(ids) for ids in read], int(self.batch_size), most):
            ids, mask = self._padded([read[k] for k in batch], left=False)
            answers = [rows[places[k]][1] for k in batch]
            ends = [len(read[k]) for k in batch]
            starts = [end - len(answer) for end, answer in zip(ends, answers, strict=True)]
            passed = run(self.model, ids, mask, first=min(starts) + 1)
            spans = [(row, start, end) for row, (start, end) in enumerate(zip(starts, ends, strict=True))]
            yield [places[k] for k in batch], self._answers(passed, spans, answers)

    def _packed(
        self, rows: Sequence[Row], groups: Sequence[list[int]]
    ) -> Iterator[tuple[list[int], list[Answer]]]:
        """Each question once, with all answers to it behind it in one row, as far as they are as many as a batch."""
        size, most = int(self.batch_size), tokens_to_read(self.model)
        groups = [piece for group in groups for piece in _pieces(rows, group, size, most)]
        texts = [response_text(rows[group[0]][0], [rows[place][1] for place in group]) for group in groups]
        for batch in packs_of(texts, most, size):
            some = [texts[k] for k in batch]
            places = [place for k in batch for place in groups[k]]
            with packed_attention(self.model):
                passed = run_packed(self.model, some)
            where = [(0, *span) for every in spans(layout_of(some)) for span in every]
            yield places, self._answers(passed, where, [rows[place][1] for place in places])

    def _by_question(
        self, rows: Sequence[Row], groups: Sequence[list[int]]
    ) -> Iterator[tuple[list[int], list[Answer]]]:
        """Each question once; then its answers, which go on from what was cached of it."""
        lengths = [len(rows[group[0]][0]) for group in groups]
        for batch in length_batches(lengths, int(self.batch_size), tokens_to_read(self.model)):
            ids, mask = self._padded([rows[groups[k][0]][0] for k in batch], left=True)
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            passed = run(self.model, ids, mask, first=ids.shape[1], use_cache=True, position_ids=positions)
            ends = passed.ends.float().log_softmax(-1)
            best = ends.argmax(-1)
            places = [(row, place) for row, k in enumerate(batch) for place in groups[k]]
            begun = {
                p: (float(ends[row, rows[p][1][0]]), bool(best[row] == rows[p][1][0])) for row, p in places
            }
            yield (
                [p for _, p in places if len(rows[p][1]) == 1],
                [begun[p] for _, p in places if len(rows[p][1]) == 1],
            )
            longer = [(row, p) for row, p in places if len(rows[p][1]) > 1]
            longer.sort(key=lambda one: -len(rows[one[1]][1]))
            widest = len(rows[longer[0][1]][1]) if longer else 0
            step = min(int(self.batch_size), rows_to_continue(self.model, ids.shape[1] + widest))
            for start in range(0, len(longer), step):
                part = longer[start : start + step]
                answers = [rows[p][1] for _, p in part]
                rest = self._continued(passed.cache, mask, [row for row, _ in part], answers)
                first = [begun[p] for _, p in part]
                yield (
                    [p for _, p in part],
                    [(a + b, x and y) for (a, x), (b, y) in zip(first, rest, strict=True)],
                )

    def _continued(
        self, cache: Any, mask: torch.Tensor, which: list[int], answers: list[list[int]]
    ) -> list[Answer]:
        """Answers but for their first tokens, each after the cached text of its row."""
        chosen = torch.tensor(which, device=mask.device)
        copied = DynamicCache()
        for number, layer in enumerate(cache.layers):
            place = chosen.to(layer.keys.device)
            copied.update(layer.keys.index_select(0, place), layer.values.index_select(0, place), number)
        ids, new = self._padded([answer[:-1] for answer in answers], left=False)
        before = mask.index_select(0, chosen)
        seen = torch.cat([before, new], dim=1)
        positions = before.sum(-1, keepdim=True) + torch.arange(ids.shape[1], device=ids.device)
        passed = run(
            self.model, ids, seen, first=1, past_key_values=copied, use_cache=True, position_ids=positions
        )
        spans = [(row, 0, len(answer) - 1) for row, answer in enumerate(answers)]
        return self._answers(passed, spans, [answer[1:] for answer in answers])

    def _answers(
        self, passed: Any, spans: Sequence[tuple[int, int, int]], answers: Sequence[list[int]]
    ) -> list[Answer]:
        targets = torch.tensor([token for answer in answers for token in answer], device=passed.ends.device)
        logps, top = logps_after(self.model, passed, spans, targets, greedy=True)
        assert top is not None
        sizes = [len(answer) for answer in answers]
        return [
            (float(part.sum()), bool(alike.all()))
            for part, alike in zip(torch.split(logps, sizes), torch.split(top, sizes), strict=True)
        ]

    def _padded(self, rows: Sequence[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            where = slice(width - len(row), width) if left else slice(0, len(row))
            ids[place, where] = torch.tensor(row)
            mask[place, where] = 1
        return ids.to(self.device), mask.to(self.device)


def _pieces(rows: Sequence[Row], places: Sequence[int], size: int, most: int) -> Iterator[list[int]]:
    """Answers to one question in pieces that may be read at once: so many, and tokens."""
    piece: list[int] = []
    tokens = 0
    for place in places:
        context, answer = rows[place]
        if piece and (len(piece) == size or tokens + len(answer) > most):
            yield piece
            piece = []
        tokens = (tokens if piece else len(context)) + len(answer)
        piece.append(place)
    yield piece


def _alone(context: tuple[int, ...], places: Sequence[int]) -> bool:
    return len(places) == 1 or len(context) < SHARED
