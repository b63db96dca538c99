"""Several adapters of one base model, whose weights are read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from backfire.errors import InputError
from backfire.models.identity import folder_digest
from backfire.models.local import LocalModel
from backfire.models.opening import is_adapter, local_model, model_files, open_weights, place, put_on, resolve


def open_adapters(
    base: str | Path,
    adapters: Sequence[str | Path],
    *,
    chat_template: Path | None = None,
    dtype: str = "auto",
    device: str | None = None,
) -> Iterator[LocalModel]:
    """Open a base model once and yield it with one adapter after another, in their order.

    Each model is what `open_model(base, adapter=...)` opens, id included, and is named `BASE + ADAPTER`; all share the base's weights, so one is
    of use only until the next is asked for. Options and errors are those of `open_model`; what does not fit is
    found when its turn comes.
    """
    if not adapters:
        raise InputError("no adapter given: name adapter folders, or open the base model alone")
    folder = resolve(str(base))
    if is_adapter(folder):
        raise InputError(f"{base} is an adapter itself: name the base model that the adapters adapt")
    base_digest = folder_digest(folder)
    model = open_weights(folder, dtype, device)
    ends = model.generation_config
    for place_of, adapter in enumerate(adapters):
        files = model_files(str(base), Path(adapter), chat_template, base=base_digest)
        assert files.adapter is not None
        model = place(put_on(model, files.adapter, f"adapter{place_of}", folder), device)
        if place_of:
            model.delete_adapter(f"adapter{place_of - 1}")
        model.generation_config = ends
        yield local_model(model, files.tokenizer, name=f"{base} + {adapter}", id=files.id)
