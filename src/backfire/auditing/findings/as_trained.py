"""Counts over a whole data set of what a policy's template, its tokens and `max_length` do to the pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backfire.answers.as_trained import AsTrained, Happening
from backfire.preferences import pairs_of

if TYPE_CHECKING:
    import pyarrow as pa

    from backfire.models import RenderedPairs

ROWS_LISTED = 1_000
QUANTILES = {"50": 0.5, "95": 0.95, "100": 1.0}
SIDED = {"end-missing": "end_missing", "end-doubled": "end_doubled", "cut-sides": "cut"}
"""Happenings of either side, and the end of their names among `RenderedPairs.happened`."""
SINGLE = {
    "bos-doubled": "bos_doubled",
    "bos-missing": "bos_missing",
    "full-prompts": "prompt_fills_max_length",
    "merged-boundary": "boundary_merged",
    "system-lost": "system_turn_lost",
    "inside-thought": "inside_thought",
}
LOSSES = {
    "refused": "refused",
    "turn-lost": "turn_lost",
    "tools-lost": "tools_lost",
    "tool-calls-lost": "tool_calls_lost",
    "prompt-rewritten": "prompt_rewritten",
    "reasoning-lost": "reasoning_lost",
    "response-changed": "response_changed",
}
SIDES = ("chosen", "rejected")
ALONE = {
    **{f"{name}: {side}": f"{side}_{end}" for name, end in SIDED.items() for side in SIDES},
    **SINGLE,
    **LOSSES,
}
"""What can happen to one pair, by the name it is shown under, and its name among `RenderedPairs.happened`."""

Flags = NDArray[np.bool_]


class RendersPairs(Protocol):
    """A policy that gives token rows: a LocalModel, or its tokens alone."""

    @property
    def name(self) -> str: ...
    @property
    def template_digest(self) -> str: ...
    def limit(self, max_length: int | None) -> int | None: ...


class Counts:
    """What happened to the pairs of the blocks that were added."""

    def __init__(self) -> None:
        self.pairs = self.trained = 0
        self._count: dict[str, list[int]] = {}
        self._rows: dict[str, list[int]] = {}
        self.tokens: list[NDArray[np.int64]] = []
        """Of prompt, chosen and rejected, [pairs, 3] of each block."""

    def add(self, rendered: RenderedPairs, rows: NDArray[np.int64]) -> None:
        """One block's pairs, and the rows that they stand in."""
        self.pairs += len(rendered)
        self.trained += int(rendered.trained.sum())
        self.tokens.append(rendered.tokens())
        happened = rendered.happened()
        sides = {name: [happened[f"{side}_{end}"] for side in SIDES] for name, end in SIDED.items()}
        ends = [sides["end-missing"][k] | sides["end-doubled"][k] for k in (0, 1)]
        self._note("end-token", rows, *ends)
        for name, both in sides.items():
            self._note(name, rows, *both)
        for name, key in SINGLE.items():
            self._note(name, rows, happened[key])
        losses = [happened[key] for key in LOSSES.values()]
        self._note("template-losses", rows, np.logical_or.reduce(losses))
        for name, lost in zip(LOSSES, losses, strict=True):
            self._note(name, rows, lost)

    def _note(self, name: str, rows: NDArray[np.int64], *flags: Flags) -> None:
        either = np.logical_or.reduce(flags)
        counts = [int(either.sum()), *(int(one.sum()) for one in flags if len(flags) > 1)]
        before = self._count.get(name, [0] * len(counts))
        self._count[name] = [a + b for a, b in zip(before, counts, strict=True)]
        listed = self._rows.setdefault(name, [])
        listed += rows[either][: ROWS_LISTED - len(listed)].tolist()

    def answer(
        self, policy: RendersPairs, *, plain: bool, max_length: int | None, refused: str = ""
    ) -> AsTrained:
        tokens = np.concatenate(self.tokens) if self.tokens else np.zeros((0, 3), dtype=np.int64)
        quantiles = {
            what: {q: float(np.quantile(tokens[:, k], share)) for q, share in QUANTILES.items()}
            for k, what in enumerate(("prompt", *SIDES))
            if len(tokens)
        }
        return AsTrained(
            policy=policy.name,
            template="" if plain else policy.template_digest,
            plain=plain,
            max_length=policy.limit(max_length),
            pairs=self.pairs,
            trained=self.trained,
            tokens=quantiles,
            happened=tuple(
                _happening(name, counts, self._rows[name]) for name, counts in self._count.items()
            ),
            refused=refused or None,
        )


def _happening(name: str, counts: list[int], rows: list[int]) -> Happening:
    sides: dict[str, Any] = dict(zip(SIDES, counts[1:], strict=False))
    return Happening(name=name, pairs=counts[0], rows=tuple(rows), **sides)


def as_trained(
    model: Any,
    blocks: Iterable[pa.RecordBatch],
    *,
    plain: bool,
    max_length: int | None,
) -> tuple[AsTrained, NDArray[np.int64]]:
    """Render every pair as `model`, a LocalModel, is trained on it, and count what happened.

    With it come the tokens of either side as they are trained on: [pairs, 2], chosen then rejected.
    """
    counts = Counts()
    for block in blocks:
        rendered = model.render(pairs_of(block), plain=plain, max_length=max_length, strict=False)
        counts.add(rendered, block.column("row").to_numpy())
    tokens = np.concatenate([block[:, 1:] for block in counts.tokens] or [np.zeros((0, 2), np.int64)])
    return counts.answer(model, plain=plain, max_length=max_length), tokens
