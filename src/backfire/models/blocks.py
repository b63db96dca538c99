"""Hidden states of some layers, from a pass that ends at the last of them: no later block runs, and no head.

A model of transformers gives all layers' states or none, and its logits besides. Reading one block in the middle then costs twice
what it must, and keeping all layers' states makes batches small. Here the wanted blocks are watched by hooks, and the pass is
abandoned where the last of them is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from backfire.models.logps import inner_model, run

if TYPE_CHECKING:
    import torch

_BLOCKS_AGREE: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""By model: whether its blocks give the states that it names itself."""


class _LastBlockIsDone(Exception):
    """Ends a pass."""


def states_at(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, layers: Sequence[int]
) -> dict[int, torch.Tensor]:
    """Hidden states of padded rows, by layer: [rows, tokens, hidden] each.

    Layers count as in transformers: 0 the embeddings, k the output of block k, the last after the final norm. Whether the
    blocks of a model are what its own states are of is looked at once, on one row; where they are not, the whole model runs.
    """
    if model not in _BLOCKS_AGREE:
        _BLOCKS_AGREE[model] = _agree(model, ids[:1], mask[:1])
    if _BLOCKS_AGREE[model]:
        return _watched(model, ids, mask, sorted(set(layers)))
    every = _whole(model, ids, mask)
    return {layer: every[layer] for layer in set(layers)}


def _blocks(model: Any) -> Any:
    """The list of a model's blocks; None where it has no such list, or more than one of that length."""
    from torch.nn import ModuleList

    inner = inner_model(model)
    count = int(inner.config.get_text_config().num_hidden_layers)
    lists = [m for m in inner.base_model.modules() if isinstance(m, ModuleList) and len(m) == count]
    return lists[0] if len(lists) == 1 else None


def _watched(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, layers: Sequence[int]
) -> dict[int, torch.Tensor]:
    blocks, body = _blocks(model), inner_model(model).base_model
    states: dict[int, torch.Tensor] = {}
    last = layers[-1]

    def before(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        states[0] = given[0] if given else named["hidden_states"]
        if last == 0:
            raise _LastBlockIsDone

    def after(layer: int) -> Callable[..., None]:
        def hook(_: Any, __: Any, out: Any) -> None:
            states[layer] = out[0] if isinstance(out, tuple) else out
            if layer == last:
                raise _LastBlockIsDone

        return hook

    hooks = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)] if 0 in layers else []
    hooks += [
        blocks[layer - 1].register_forward_hook(after(layer)) for layer in layers if 0 < layer < len(blocks)
    ]
    try:
        out = body(input_ids=ids, attention_mask=mask, use_cache=False)
        states[len(blocks)] = out[0]
    except _LastBlockIsDone:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: states[layer] for layer in layers}


def _whole(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    states = run(model, ids, mask, first=ids.shape[1], states=True).states
    assert states is not None
    return states


def _agree(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> bool:
    """Whether the watched blocks give the model's own states: exactly those, but for rounding."""
    import torch

    blocks = _blocks(model)
    if blocks is None:
        return False
    try:
        with torch.no_grad():
            own = _whole(model, ids, mask)
            seen = _watched(model, ids, mask, range(len(own)))
        return all(
            seen[layer].shape == state.shape
            and torch.allclose(seen[layer].float(), state.float(), rtol=1e-3, atol=1e-4, equal_nan=True)
            for layer, state in enumerate(own)
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RuntimeError):
        return False
