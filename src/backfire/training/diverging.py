"""A training that diverges is stopped, and says at which step and by which number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from backfire.errors import DivergedError, setting


def check_finite(named: Iterable[tuple[str, Any]], step: int, lr: float) -> None:
    """Raise DivergedError where a weight that is trained is not finite.

    The loss of a step is measured before its update, so that the update itself is looked at.
    """
    wrong = next((name for name, p in named if p.requires_grad and not bool(p.isfinite().all())), None)
    if wrong is not None:
        raise DivergedError(
            f"weights are not finite after step {step} ({wrong}): lower {setting('lr')} (it is {lr:g})",
            step=step,
        )


def check_value(what: str, value: float, step: int, fix: str) -> None:
    """Raise DivergedError where a number of a step is not finite; `fix` says what to do."""
    if not math.isfinite(value):
        raise DivergedError(f"{what} is {value} at step {step}: {fix}", step=step, value=value)


def lower(lr: float) -> str:
    """What to do where a learning rate is too high."""
    return f"lower {setting('lr')} (it is {lr:g})"
