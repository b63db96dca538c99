"""Each row's derivative along a direction of LoRA's B, from the backward pass that its gradient is summed in.

Let every B of the forward pass of row i be B + c_i V, V being the direction's part in it. The rows of a batch know nothing
of one another, so that the gradient of the batch's weighted log-probabilities in c, at c = 0, has the derivative of row i
along V as its entry i, exactly: neither a gradient of a single pair is formed, nor a step taken. (Ghost inner products,
Wang et al. 2024, arXiv 2406.11011, come to the same numbers.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backfire.influence.parameters import Trained

if TYPE_CHECKING:
    import torch

    from backfire.models import LocalModel

WEIGHT = ".weight"


class Tangent:
    """A direction of length 1 in LoRA's B, along which rows of the batch that is read now may move."""

    def __init__(self) -> None:
        self.sums: torch.Tensor | None = None

    def start(self, rows: int, device: Any) -> None:
        """Before a batch's forward pass."""
        import torch

        self.sums = torch.zeros(rows, device=device)

    def add(self, inputs: torch.Tensor, gradient: torch.Tensor, step: torch.Tensor) -> None:
        """One B's part: its inputs [rows, tokens, rank], the gradient at its outputs [rows, tokens, outputs], its step."""
        assert self.sums is not None
        self.sums += ((gradient @ step.to(gradient)) * inputs.to(gradient)).float().sum((1, 2))

    def derivatives(self) -> Any:
        """After its backward pass: of each row, times the row's weight: [rows]."""
        assert self.sums is not None
        sums, self.sums = self.sums, None
        return sums.double().cpu().numpy()


def applies(trained: Trained) -> bool:
    """Whether the trained parameters are LoRA's."""
    return all("lora_B" in name and name.endswith(WEIGHT) for name, _ in trained.named)


@contextmanager
def tangent(model: LocalModel, trained: Trained, steps: Sequence[Any]) -> Iterator[Tangent]:
    """While this holds, forward passes of the model read along `steps`, one for each trained parameter.

    The derivative in c_i of what B gives is V x, x being what B is given for row i; so row i's derivative is the sum over tokens
    of the gradient at B's outputs times V x. x has LoRA's rank only, and nothing else is kept for the backward pass.
    """
    import torch

    along = Tangent()
    hooks = []

    def hook_of(step: torch.Tensor) -> Any:
        def hook(_: Any, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
            if along.sums is None or not torch.is_grad_enabled():
                return
            if not out.requires_grad:  # nothing is trained, and no B stands before this one
                out.requires_grad_()
            before = inputs[0].detach()
            hook_gradient: Any = out.register_hook
            hook_gradient(lambda gradient: along.add(before, gradient, step))

        return hook

    try:
        for (name, _), step in zip(trained.named, steps, strict=True):
            module = model.model.get_submodule(name.removesuffix(WEIGHT))
            hooks.append(module.register_forward_hook(hook_of(step)))
        yield along
    finally:
        for hook in hooks:
            hook.remove()
