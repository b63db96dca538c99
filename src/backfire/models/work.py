"""How long work with a model takes, by arithmetic before it begins.

The unit of work is one token that goes once forward through one number of a model's weights. A token that is written costs
WRITTEN of it, since it is computed alone, and one that is trained on TRAINED, for its gradient is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from backfire.models.memory import GIGABYTE, Shape, ceiling

if TYPE_CHECKING:
    from backfire.models.local import LocalModel

WRITTEN = 2.0
TRAINED = 3.0
OF_LONGEST = 0.6
"""The part of the limit that a response has on average, as seen on chat models."""
CHARACTERS, TEMPLATE = 4, 20
"""Characters of a token, and the tokens that a chat template adds to a prompt."""
EFFICIENCY = 0.5
"""The part of the speed of a matrix product that reading reaches."""
LONG = 20.0
"""Seconds from which on an estimate is worth a sentence."""

Announce = Callable[[str], None]
"""Called with a sentence that says how long work will take and how much memory, before it begins."""


@dataclass(frozen=True)
class Expected:
    """What work will take, before it begins."""

    seconds: float
    bytes: int

    @classmethod
    def of(cls, model: LocalModel, tokens: float) -> Expected:
        """Of so many tokens that go once forward through a model."""
        return cls.of_weights(Shape.of(model.model).parameters, tokens, str(model.device.type))

    @classmethod
    def of_weights(cls, parameters: int, tokens: float, device: str) -> Expected:
        """Of so many tokens that go once forward through so many weights."""
        return cls(tokens * parameters / machine_speed(device), ceiling(parameters))

    def announce(self, what: str, announce: Announce | None) -> None:
        """Say it, where it takes long: `what` begins a sentence, such as "asking 100 prompts"."""
        if announce is not None and self.seconds >= LONG:
            announce(
                f"{what} will take about {time_text(self.seconds)} and up to {self.bytes / GIGABYTE:.1f} GB of memory"
            )


def prompt_tokens(text: str) -> float:
    """About how many tokens a prompt has, without a tokenizer."""
    return TEMPLATE + len(text) / CHARACTERS


def answered(lengths: Iterable[float], max_new_tokens: int) -> float:
    """The work of one response to each prompt of so many tokens, in tokens that go once forward."""
    return sum(length + WRITTEN * OF_LONGEST * max_new_tokens for length in lengths)


def time_text(seconds: float) -> str:
    """A length of time in words that are as exact as an estimate is."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@cache
def machine_speed(device: str | None = None) -> float:
    """Tokens times numbers that are read a second, by a matrix product in float32 on a device (the one that models run on, where
    none is named). Of a CPU its own time is taken, so that other programs do not count."""
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = 1024 if device == "cpu" else 8192
    left, right = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    clock, threads = (process_time, torch.get_num_threads()) if device == "cpu" else (perf_counter, 1)
    best = float("inf")
    for _ in range(4):
        started = clock()
        float((left @ right)[0, 0])  # waits for the device
        best = min(best, (clock() - started) / threads)
    return EFFICIENCY * size**3 / best
