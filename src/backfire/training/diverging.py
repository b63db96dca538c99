"""A training that diverges is stopped, and says at which step and by which number."""

from __future__ import annotations

import math
from typing import Any

from backfire.errors import DivergedError, setting
from backfire.models.sharded import is_sharded, local_part, of_all


def check_finite(model: Any, step: int, lr: float) -> None:
    """Raise DivergedError where a weight that is trained is not finite.

    The loss of a step is measured before its update, so that the update itself is looked at. Where processes share the model, each
    looks at its part, and all of them raise.
    """
    wrong = next(
        (
            name
            for name, p in model.named_parameters()
            if p.requires_grad and not bool(local_part(p).isfinite().all())
        ),
        None,
    )
    if is_sharded(model):
        wrong = next((name for name in of_all(wrong) if name is not None), None)
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
