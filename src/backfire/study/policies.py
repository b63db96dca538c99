"""The policy that this process has open: one at most, kept from one stage that tests it to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backfire.models import EndpointModel, LocalModel
    from backfire.models.settings import Opening

_open: dict[tuple[str, str], LocalModel | EndpointModel] = {}


def open_policy(policy: str, identity: str, opening: Opening | None = None) -> LocalModel | EndpointModel:
    """The model that `open_model(policy)` gives, as it was opened before where its contents are the same.

    `identity` is a digest of the contents. Another policy that is open is closed first, so that two are never in memory.
    """
    from backfire.models import open_model

    if (policy, identity) not in _open:
        close_policy()
        _open[policy, identity] = open_model(policy, **({} if opening is None else opening.options()))
    return _open[policy, identity]


def close_policy() -> None:
    """Let go of the open policy and its memory, for a stage that needs the room."""
    if _open:
        import gc

        import torch

        _open.clear()
        gc.collect()
        torch.cuda.empty_cache()
