"""What a pilot is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from backfire.settings import Default, Metavar, Names, Settings


class PilotSettings(Settings):
    """A few steps of DPO in memory, in the settings of the training that is meant; the defaults are those of `DPOSettings`."""

    group = "The pilot"

    steps: Annotated[int, Names("--pilot"), Metavar("STEPS"), Default("no pilot")] = Field(default=8, ge=1)
    """Also take this many steps of DPO on the data, in memory, and see how often the probe prompts are refused
    afterwards. This predicts better than the direction of the first step does. 8 is a good start."""
    lr: float = Field(default=1e-6, gt=0)
    """The pilot's learning rate: that of the training you mean. AdamW keeps it constant, without a warm-up, so that a
    pilot's few steps count in full."""
    beta: float = Field(default=0.1, gt=0)
    """The pilot's strength of DPO's pull towards the reference model."""
    batch_size: int = Field(default=32, ge=1)
    """Pairs in each of the pilot's steps."""
