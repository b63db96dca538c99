"""Models whose weights several processes share among them: each holds a part of every weight, and all of them have to do the same.

A forward pass of such a model gathers the weights of one layer after the other from all processes. So every process runs every pass,
on the same tokens, and whatever decides what is read next has to be the same everywhere (`same_everywhere`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from backfire.errors import InputError

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")


def is_sharded(model: Any) -> bool:
    """Whether no process holds the model whole: under FSDP2, or under DeepSpeed's ZeRO-3."""
    if any(kind.__name__ == "FSDPModule" for kind in type(model).__mro__):
        return True
    return hasattr(model, "parameters") and hasattr(next(iter(model.parameters()), None), "ds_id")


@contextmanager
def reading(model: Any) -> Iterator[None]:
    """While this holds, no gradients are kept.

    Buffers of FSDP2 are made in the first pass and live on, so that for a sharded model they must not be made in inference mode:
    no gradient could be taken of them later.
    """
    import torch

    with torch.no_grad() if is_sharded(model) else torch.inference_mode():
        yield


def same_tokens(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Sampled tokens as the first process has them, in all processes that share the model; the tokens themselves elsewhere."""
    if is_sharded(model):
        import torch.distributed as processes

        processes.broadcast(tokens, src=0)
    return tokens


def any_still(model: Any, here: bool) -> bool:
    """Whether any of the processes that share the model has something left; they wait for one another here."""
    return bool(extreme(model, int(here)))


def extreme(model: Any, number: int, *, least: bool = False) -> int:
    """The largest, or the least, of the processes' numbers, in all of them."""
    import torch
    import torch.distributed as processes

    value = torch.tensor([number], device=model.device)
    processes.all_reduce(value, processes.ReduceOp.MIN if least else processes.ReduceOp.MAX)
    return int(value)


def same_everywhere(value: Any) -> Any:
    """What the first process has, in all of them; they wait for it here. The value itself where there is one process."""
    import torch.distributed as processes

    if not processes.is_available() or not processes.is_initialized() or processes.get_world_size() == 1:
        return value
    shared = [value]
    processes.broadcast_object_list(shared, src=0)
    return shared[0]


def of_all(value: Value) -> list[Value]:
    """What each process has, in all of them."""
    import torch.distributed as processes

    values: list[Any] = [None] * processes.get_world_size()
    processes.all_gather_object(values, value)
    return values


def of_the_first(make: Callable[[], Value]) -> Value:
    """What the first process makes, in all of them; where it fails there, all of them raise."""
    import torch.distributed as processes

    value: Value | None = None
    failed: Exception | None = None
    if processes.get_rank() == 0:
        try:
            value = make()
        except Exception as error:  # raised below, when the others know
            failed = error
    value, message = same_everywhere((value, None if failed is None else str(failed)))
    if failed is not None:
        raise failed
    if message is not None:
        raise InputError(f"the first process failed: {message}")
    return value


def local_part(parameter: Any) -> torch.Tensor:
    """What this process holds of a weight."""
    if hasattr(parameter, "ds_tensor"):
        part: torch.Tensor = parameter.ds_tensor
        return part
    whole: torch.Tensor = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return whole


def numbers_of(parameter: Any) -> int:
    """How many numbers a weight has, over all processes."""
    return int(getattr(parameter, "ds_numel", parameter.numel()))


def put_away(model: Any) -> None:
    """Give back whatever of other processes' weights lies here after a pass without gradients."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole_weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight and every stored buffer whole, one after the other, as it is trained. All processes have to go through this."""
    put_away(model)
    weights = dict(model.named_parameters())
    for name, parameter in weights.items():
        yield name, _whole(parameter)
    for name, buffer in model.named_buffers():
        if name not in weights and name in _stored_buffers(model):
            yield name, _whole(buffer)


def whole_on_first(model: Any) -> dict[str, torch.Tensor] | None:
    """All weights whole, in the memory of the first process; None in the others."""
    import torch.distributed as processes

    first = processes.get_rank() == 0
    whole: dict[str, Any] = {}
    for name, weight in whole_weights(model):
        if first:
            whole[name] = weight.cpu()
    return whole if first else None


def spread(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Put whole weights, which the first process has, into a model that processes share by FSDP2."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    put_away(model)
    how = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=False)
    set_model_state_dict(model, dict[str, Any](weights), options=how)


def _stored_buffers(model: Any) -> set[str]:
    return {
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in model.named_modules()
        for name in module._buffers
        if name not in module._non_persistent_buffers_set
    }


def _whole(tensor: Any) -> torch.Tensor:
    if hasattr(tensor, "ds_id"):
        from deepspeed.utils import safe_get_full_fp32_param

        whole: torch.Tensor | None = safe_get_full_fp32_param(tensor)
        if whole is not None:
            return whole.detach()
        from deepspeed.zero import GatheredParameters

        with GatheredParameters([tensor]):
            return tensor.detach().clone()  # type: ignore[no-any-return]
    tensor = tensor.detach()
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor  # type: ignore[no-any-return]
