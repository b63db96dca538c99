"""How many numbers a model has, and what it takes on the disk, without opening it."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

from backfire.models.checkpoint_files import tensor_shapes
from backfire.models.gguf import check_gguf, is_gguf
from backfire.models.opening import model_parts

TOKENIZER = ("tokenizer*.json", "vocab.*", "merges.txt", "*.model")


def weight_count(reference: str | Path) -> int:
    """Numbers in the weights of what a reference names; of an adapter, its base's too. Only heads of files are read.

    Raises ModelError where nothing local can be opened by that name, such as for an endpoint.
    """
    folder, adapter = model_parts(str(reference), None)
    return sum(_of_folder(part) for part in (folder, adapter) if part is not None)


def saved_bytes(reference: str | Path, rank: int | None = None) -> int:
    """What a trained policy takes on the disk: weights as large as the model's, or with `rank` a LoRA adapter of it on every
    linear layer, in float32; the tokenizer beside them. Raises ModelError as `weight_count` does."""
    folder, _ = model_parts(str(reference), None)
    if is_gguf(folder):
        return 2 * check_gguf(folder).numbers
    beside = sum(file.stat().st_size for pattern in TOKENIZER for file in folder.glob(pattern))
    if rank is None:
        return beside + sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    shapes = {
        name: shape for file in folder.glob("*.safetensors") for name, shape in tensor_shapes(file).items()
    }
    linear = [
        shape
        for name, shape in shapes.items()
        if len(shape) == 2 and not re.search("embed|lm_head|norm", name)
    ]
    return beside + 4 * rank * sum(sum(shape) for shape in linear)


def _of_folder(folder: Path) -> int:
    if is_gguf(folder):
        return check_gguf(folder).numbers
    return sum(prod(shape) for file in folder.glob("*.safetensors") for shape in tensor_shapes(file).values())
