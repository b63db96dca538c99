"""Batches of like length, so that little is computed on padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def length_batches(
    lengths: Sequence[int], max_rows: int = 64, max_tokens: int = 16384
) -> Iterator[list[int]]:
    """Positions in batches of like length, the longest first.

    A batch holds at most `max_rows` rows and, padded to its longest, at most `max_tokens` tokens (one row at
    the least).
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        widest = lengths[batch[0]] if batch else lengths[place]
        if batch and (len(batch) == max_rows or widest * (len(batch) + 1) > max_tokens):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
