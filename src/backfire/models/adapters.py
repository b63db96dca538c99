"""Several adapters of one base model, whose weights are read once as long as they stay as they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.models.identity import folder_digest
from backfire.models.local import LocalModel
from backfire.models.opening import (
    check_device,
    is_adapter,
    local_model,
    model_files,
    open_weights,
    place,
    put_on,
    resolve,
)

if TYPE_CHECKING:
    import torch

SAMPLED = 4096
"""About so many values of a weight matrix are kept to tell whether it changed; vectors, such as biases, are kept whole."""


def open_adapters(
    base: str | Path,
    adapters: Sequence[str | Path],
    *,
    chat_template: Path | None = None,
    dtype: str = "auto",
    device: str | None = None,
) -> Iterator[LocalModel]:
    """Open a base model and yield it with one adapter after another, in their order.

    Each model is what `open_model(base, adapter=...)` opens, id included, and is named `BASE + ADAPTER`. They
    share the base's weights, so one is of use only until the next is asked for. The base is read once where all
    adapters are LoRA; it is read anew after an adapter of another kind, and after whatever changed it, such as
    trained biases. Options and errors are those of `open_model`; what does not fit is found when its turn comes.
    """
    if not adapters:
        raise InputError("no adapter given: name adapter folders, or open the base model alone")
    folder = resolve(str(base))
    if is_adapter(folder):
        raise InputError(f"{base} is an adapter itself: name the base model that the adapters adapt")
    check_device(device)
    base_digest = folder_digest(folder)
    whole = ends = before = opened = None
    for adapter in adapters:
        files = model_files(str(base), Path(adapter), chat_template, base=base_digest)
        assert files.adapter is not None
        if opened is not None:
            whole = _bare(opened.model, before)
        if whole is None:
            if opened is not None:
                opened.model = None  # whoever holds it must not hold the weights beside the new ones
            whole = open_weights(folder, dtype, device)
            ends, before = whole.generation_config, _State.of(whole)
        whole.generation_config = ends
        model = place(put_on(whole, files.adapter, folder), device)
        whole = None
        opened = local_model(model, files.tokenizer, name=f"{base} + {adapter}", id=files.id)
        del model
        yield opened


@dataclass(frozen=True)
class _State:
    """What a base is: its settings and modules, where its weights lie, and values of each.

    Addresses and version counts tell of most changes, values of those that are made past the version count.
    """

    form: list[object]
    values: dict[str, torch.Tensor]
    seen: bool
    """Whether all weights can be looked at: accelerate keeps offloaded ones elsewhere."""

    @classmethod
    def of(cls, model: Any) -> _State:
        weights = dict(
            [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
        )
        form: list[object] = [model.config.to_json_string()]
        form += [(name, type(module)) for name, module in model.named_modules(remove_duplicate=False)]
        form += [(name, w.dtype, w.shape, w.data_ptr(), w._version) for name, w in weights.items()]
        values = {name: _values(weight) for name, weight in weights.items()}
        return cls(form, values, not any(weight.is_meta for weight in weights.values()))

    def is_of(self, model: Any) -> bool:
        import torch

        now = _State.of(model)
        return (
            self.seen
            and self.form == now.form
            and all(torch.equal(value, now.values[name]) for name, value in self.values.items())
        )


def _values(weight: torch.Tensor) -> torch.Tensor:
    flat = weight.detach().reshape(-1)
    step = 1 if weight.dim() < 2 else max(1, flat.numel() // SAMPLED)
    return flat[::step].clone()


def _bare(model: Any, before: _State | None) -> Any | None:
    """The base under a LoRA adapter, without it; None where that is not what was opened."""
    from peft import PeftType

    if before is None or model.active_peft_config.peft_type != PeftType.LORA:
        return None
    base = model.unload()
    return base if before.is_of(base) else None
