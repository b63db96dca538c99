"""Log-probabilities of given tokens, without the logits of all positions.

A vocabulary of 150,000 makes the logits of one long conversation larger than a small model. So the body of the model
runs once and gives the last layer's states; the head runs over the wanted positions only, a piece at a time, and again
for the gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from backfire.models.memory import positions_at_once
from backfire.models.sharded import is_sharded

if TYPE_CHECKING:
    import torch

_HEAD_STANDS_ALONE: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""By model: whether its forward with given last states makes the logits that it makes otherwise."""


@dataclass(frozen=True, eq=False)
class Passed:
    """One forward pass: the last layer's states, or where these are of no use the logits from position `first` on."""

    last: torch.Tensor | None
    logits: torch.Tensor | None
    first: int
    ends: torch.Tensor
    """Logits after the last position: [rows, vocabulary]."""
    states: tuple[torch.Tensor, ...] | None
    """Of every layer, if they were asked for: [rows, tokens, hidden] each."""
    cache: Any
    """Keys and values, if they were asked for."""


def inner_model(model: Any) -> Any:
    """The model of transformers inside PEFT's, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def keeps_logits(model: Any) -> bool:
    """Whether the model can leave out logits that nobody asks for (`logits_to_keep`)."""
    return "logits_to_keep" in inspect.signature(inner_model(model).forward).parameters


def run(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, *, first: int, states: bool = False, **more: Any
) -> Passed:
    """One forward pass over padded rows, whose tokens from position `first` on (1 or later) may be asked for.

    more: of the model's own options, `use_cache` (off), `past_key_values`, `position_ids`.
    """
    options: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": mask,
        "use_cache": False,
        "output_hidden_states": states,
        **more,
    }

    def passed(out: Any, last: torch.Tensor | None, first: int) -> Passed:
        logits = out.logits if last is None else None
        every = out.hidden_states if states else None
        return Passed(last, logits, first, out.logits[:, -1], every, getattr(out, "past_key_values", None))

    if not keeps_logits(model):
        return passed(model(**options), None, 0)
    inner = inner_model(model)
    body = inner.base_model
    if body is not inner and not is_sharded(inner) and _HEAD_STANDS_ALONE.get(inner) is not False:
        if inner not in _HEAD_STANDS_ALONE:
            _HEAD_STANDS_ALONE[inner] = _stands_alone(model, ids, mask)
        if _HEAD_STANDS_ALONE[inner]:
            last, out = _caught(model, options)
            return passed(out, last, first)
    length = ids.shape[1] - first + 1
    return passed(model(**options, logits_to_keep=length), None, max(0, first - 1))


def token_logps(
    model: Any, passed: Passed, ids: torch.Tensor, rows: Sequence[tuple[int, int, int]]
) -> torch.Tensor:
    """Log-probability of each token given those before it, one after another: float32 at the least.

    rows: (row, begin, end): tokens begin to end of that row, begin being 1 at the least. Differentiable; logits are
    widened to float32.
    """
    import torch

    targets = torch.cat([ids[row, begin:end] for row, begin, end in rows])
    return logps_after(model, passed, [(row, begin - 1, end - 1) for row, begin, end in rows], targets)[0]


def logps_after(
    model: Any,
    passed: Passed,
    rows: Sequence[tuple[int, int, int]],
    targets: torch.Tensor,
    *,
    greedy: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probability of each target after the positions that rows (row, begin, end) name, one after another.

    With `greedy` also whether the target is the likeliest token.
    """
    import torch

    inner = inner_model(model)
    whole = passed.last is None
    given = passed.logits if passed.last is None else passed.last
    assert given is not None
    off = passed.first if whole else 0
    source = torch.cat([given[row, begin - off : end - off] for row, begin, end in rows])
    step = positions_at_once(int(inner.config.get_text_config().vocab_size))

    def head(part: torch.Tensor) -> torch.Tensor:
        return part if whole else _head(inner, part)

    values = []
    trained = [] if whole else [p for p in _head_parameters(inner) if p.requires_grad]
    for part, wanted in zip(torch.split(source, step), torch.split(targets, step), strict=True):
        if not (torch.is_grad_enabled() and part.requires_grad):
            scored = _Scored.of(head(part), wanted, greedy)
            values.append((scored.logps, scored.likeliest))
        elif trained or whole:
            values.append(_recomputed(part, wanted, head, trained))
        else:
            values.append(_with_slope(part, wanted, head))
    logps = torch.cat([one for one, _ in values])
    return logps, torch.cat([other for _, other in values]) if greedy else None


def _head_parameters(inner: Any) -> list[Any]:
    embeddings = inner.get_output_embeddings()
    return list((inner if embeddings is None else embeddings).parameters())


class _Scored(NamedTuple):
    """What logits [n, vocabulary] say of a wanted token each."""

    logps: torch.Tensor
    likeliest: torch.Tensor
    """Whether the wanted token is; not looked at, and meaningless, where nobody asks."""
    total: torch.Tensor
    """The logarithm of the sum of the logits' exponentials."""

    @classmethod
    def of(cls, scores: torch.Tensor, wanted: torch.Tensor, greedy: bool = True) -> _Scored:
        scores = _wide(scores)
        wanted = wanted.to(scores.device)
        total = scores.logsumexp(-1)
        logps = scores.gather(1, wanted[:, None])[:, 0] - total
        return cls(logps, scores.argmax(-1) == wanted if greedy else wanted, total)

    def slope(self, scores: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """By the logits, of the log-probabilities times `weight` [n]: in the dtype of the logits."""
        wanted, weight = wanted.to(scores.device)[:, None], weight.to(scores.device)[:, None]
        likely = (_wide(scores) - self.total[:, None]).exp_().mul_(-weight)
        return likely.scatter_add_(1, wanted, weight.to(likely.dtype)).to(scores.dtype)


def _wide(scores: torch.Tensor) -> torch.Tensor:
    import torch

    return scores if scores.dtype == torch.float64 else scores.float()


Head = Callable[["torch.Tensor"], "torch.Tensor"]
"""From last states [n, hidden] to logits [n, vocabulary]."""


def _with_slope(states: torch.Tensor, wanted: torch.Tensor, head: Head) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities through a head that is not trained, and whether the wanted tokens are the likeliest.

    Each value depends on one position's state alone, so its slope there is computed at once, and the logits are neither kept nor
    computed again.
    """
    import torch

    with torch.enable_grad():
        apart = states.detach().requires_grad_()
        scores = head(apart)
    with torch.no_grad():
        scored = _Scored.of(scores, wanted)
        slope = scored.slope(scores, wanted, torch.ones_like(scored.logps))
        (slope,) = torch.autograd.grad(scores, apart, slope)
    # The second term is nothing, and has the slope.
    rise = ((states - states.detach()) * slope).sum(-1)
    return scored.logps + rise.to(scored.logps.device, scored.logps.dtype), scored.likeliest


def _recomputed(
    states: torch.Tensor, wanted: torch.Tensor, head: Head, trained: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `_with_slope`, with gradients for the head's parameters, for which the logits are computed again."""
    import torch

    kind = states.device.type

    class Function(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type=kind)  # type: ignore[untyped-decorator]
        def forward(ctx: Any, states: torch.Tensor, *_: torch.Tensor) -> Any:
            scored = _Scored.of(head(states), wanted)
            ctx.save_for_backward(states, scored.total)
            ctx.mark_non_differentiable(scored.likeliest)
            return scored.logps, scored.likeliest

        @staticmethod
        @torch.amp.custom_bwd(device_type=kind)  # type: ignore[untyped-decorator]
        def backward(ctx: Any, weight: torch.Tensor, _: Any) -> Any:
            given, total = ctx.saved_tensors
            with torch.enable_grad():
                apart = given.detach().requires_grad_()
                scores = head(apart)
            slope = _Scored(weight, wanted, total).slope(scores.detach(), wanted, weight)
            return torch.autograd.grad(scores, [apart, *trained], slope)

    logps, likeliest = Function.apply(states, *trained)  # type: ignore[no-untyped-call]
    return logps, likeliest


def _caught(model: Any, options: dict[str, Any]) -> tuple[torch.Tensor, Any]:
    """The body's last states and the whole model's output, with the logits of the last position alone."""
    caught: list[Any] = []
    hook = inner_model(model).base_model.register_forward_hook(lambda _, __, out: caught.append(out[0]))
    try:
        out = model(**options, logits_to_keep=1)
    finally:
        hook.remove()
    return caught[-1], out


def _head(inner: Any, states: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocabulary] of last states [n, hidden], with whatever the model does to them afterwards."""
    import torch

    ids = torch.zeros((1, len(states)), dtype=torch.long, device=states.device)
    with _body_giving(inner.base_model, states[None]):
        logits: torch.Tensor = inner.forward(input_ids=ids, use_cache=False).logits[0]
    return logits


@contextmanager
def _body_giving(body: Any, states: torch.Tensor) -> Iterator[None]:
    """While this holds, the body does not run, and gives these states."""
    from transformers.modeling_outputs import BaseModelOutputWithPast

    own = vars(body).get("forward")
    body.forward = lambda *_, **__: BaseModelOutputWithPast(last_hidden_state=states)
    try:
        yield
    finally:
        if own is None:
            del body.forward
        else:
            body.forward = own


def _stands_alone(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> bool:
    """Whether the head alone gives the logits that come out of the whole pass; looked at on one row, once a model."""
    import torch

    options = {"input_ids": ids[:1], "attention_mask": mask[:1], "use_cache": False}
    try:
        with torch.no_grad():
            last, out = _caught(model, options)
            alone = _head(inner_model(model), last[:, -1]).float()
        whole = out.logits[:, -1].float().to(alone.device)
        close = float((alone - whole).abs().max()) <= 0.02 * float(whole.abs().max())
        return alone.shape == whole.shape and (close or bool(torch.isnan(whole).any()))
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError):
        return False


@contextmanager
def layers_recomputed(model: Any) -> Iterator[None]:
    """While this holds, layers keep their inputs only and compute again in the backward pass; nothing else trains."""
    from torch.utils.checkpoint import checkpoint
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [m for m in inner_model(model).modules() if isinstance(m, GradientCheckpointingLayer)]
    before = [(layer.training, dict(vars(layer))) for layer in layers]
    try:
        for layer in layers:
            layer.training = layer.gradient_checkpointing = True
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        yield
    finally:
        for layer, (training, own) in zip(layers, before, strict=True):
            layer.training = training
            for name in ("gradient_checkpointing", "_gradient_checkpointing_func"):
                if name in own:
                    setattr(layer, name, own[name])
                else:
                    delattr(layer, name)
