"""Weights are numbers: one that is none makes every answer of the model meaningless, without an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.errors import ModelError


def check_finite(model: Any, source: Path, *, only: str = "") -> None:
    """ModelError where a weight is NaN or infinite; `only` is a part of the names of the weights to look at.

    Weights that are quantized, or that are not in memory, are not looked at.
    """
    import torch

    for name, weight in model.named_parameters():
        if only not in name or weight.is_meta or not weight.is_floating_point() or not weight.numel():
            continue
        least, most = torch.aminmax(weight.detach())
        if not (torch.isfinite(least) and torch.isfinite(most)):
            raise ModelError(
                f"{source} has weights that are no finite numbers, in {name}: every answer of it would be meaningless; "
                "download the checkpoint again, or name one whose training did not diverge"
            )
