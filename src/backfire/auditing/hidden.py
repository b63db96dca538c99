"""The policy's own view of both sides: hidden states of its middle layer, mean over the response's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.labelled_pair import LabelledPair
from backfire.errors import InputError

if TYPE_CHECKING:
    from backfire.models import LocalModel


def open_policy(policy: Any) -> LocalModel:
    """A LocalModel as it is; a reference is opened. Raises InputError for an endpoint."""
    if isinstance(policy, (str, Path)):
        from backfire.models import open_model

        policy = open_model(policy)
    if not hasattr(policy, "hidden_states"):
        raise InputError(
            f"policy {getattr(policy, 'name', policy)!r} shows no hidden states:"
            " name a checkpoint folder, a hub model or an organism"
        )
    local: LocalModel = policy
    return local


def middle_layer(model: LocalModel) -> int:
    """The block half way up, fixed beforehand: choosing the best layer by its result would leak the label."""
    return (int(model.model.config.get_text_config().num_hidden_layers) + 1) // 2


def hidden_features(
    model: LocalModel, pairs: Sequence[LabelledPair], layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hidden states of chosen and rejected: two float32 [pairs, hidden]; NaN where no response token fitted."""
    conversations = [(p.prompt, p.chosen) for p in pairs] + [(p.prompt, p.rejected) for p in pairs]
    states = model.hidden_states(conversations, layers=[layer], pool="mean")[:, 0]
    return states[: len(pairs)], states[len(pairs) :]
