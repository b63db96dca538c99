"""The files of a checkpoint, looked at before transformers acts on them: plain files, heads of weights, a configuration that fits."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from backfire.errors import ModelError

LARGEST_HEAD = 10**8
"""Bytes of the head of a safetensors file, as its own library bounds them."""
LAYERS = frozenset(
    {"num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"}
)
"""Settings that say how many layers are built, before anything is compared with the weights."""
ATTENTION = (
    "_attn_implementation",
    "attn_implementation",
    "_experts_implementation",
    "experts_implementation",
)
"""Settings by which transformers may fetch code from the hub, where they name a repository."""
WORD = "quagga"
MOST_TOKENS = 20 * len(WORD)
ENDINGS = (".json", ".safetensors", ".jinja", ".model", ".txt", ".tiktoken", ".gguf")


def check_plain_files(folder: Path) -> None:
    """ModelError for a pipe, a device, a folder or a link to nothing in the place of a file that would be read, perhaps for ever."""
    for path in sorted(folder.iterdir()):
        if path.suffix not in ENDINGS:
            continue
        try:
            plain = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            raise ModelError(
                f"{path} cannot be read ({error.strerror}): download the checkpoint again"
            ) from error
        if not plain:
            raise ModelError(f"{path} is no plain file: download the checkpoint again")


def json_object(path: Path) -> dict[str, Any]:
    """What a JSON file of a checkpoint says. Raises ModelError where it holds no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}): download or save the checkpoint again") from error
    if not isinstance(value, dict):
        raise ModelError(
            f"{path} holds a {type(value).__name__}, and no object with settings: download or save the checkpoint again"
        )
    return value


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """The shape of each tensor of a safetensors file, by its head: JSON, whose length stands in the first eight bytes.

    Raises:
        ModelError: it has no such head.
    """
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if not 0 < length <= LARGEST_HEAD:
                raise ValueError(f"a head of {length} bytes")
            head = json.loads(opened.read(length))
        return {
            name: [int(size) for size in tensor["shape"]]
            for name, tensor in head.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{file} is no safetensors file ({error}): download the checkpoint again") from error


def check_configuration(folder: Path) -> None:
    """ModelError for a configuration by which transformers would build more layers than there are weights, which takes for ever,
    or fetch code that computes attention."""
    path = folder / "config.json"
    settings = json_object(path)
    parts = [settings, *(value for value in settings.values() if isinstance(value, dict))]
    for name in (name for part in parts for name in ATTENTION if "/" in str(part.get(name, ""))):
        raise ModelError(
            f"{path} has its attention computed by code from the hub ({name}), which is not run: remove {name} from it"
        )
    layers = [
        (name, part[name]) for part in parts for name in LAYERS & part.keys() if isinstance(part[name], int)
    ]
    files = [file for file in folder.glob("*.safetensors") if file.is_file()]
    most = sum(len(tensor_shapes(file)) for file in files) if layers and files else None
    for name, count in layers:
        if count < 0 or (most is not None and count > most):
            raise ModelError(
                f"{path} says {name} {count}, and its weights are {most} tensors: download the checkpoint again"
            )


def check_tokenizer(tokenizer: Any, source: Path) -> None:
    """ModelError for a tokenizer that makes nothing of a word, or more than a word can be."""
    bound = tokenizer.model_max_length
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        raise ModelError(
            f"{source} has a tokenizer with model_max_length {str(bound)[:40]!r}, which is no number: correct its "
            "tokenizer_config.json"
        )
    ids = tokenizer(WORD, add_special_tokens=False, verbose=False)["input_ids"]
    if not 0 < len(ids) <= MOST_TOKENS:
        raise ModelError(
            f"{source} has a tokenizer that makes {len(ids)} tokens of the word {WORD!r}: save the model's own tokenizer into it"
        )


def check_vocabulary(tokenizer: Any, model: Any, name: str) -> None:
    """ModelError for a tokenizer whose words have ids that the model has no embeddings for.

    Tokens that were added are not looked at: Gemma has one that its text model knows nothing of.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    weight = getattr(model.get_input_embeddings(), "weight", None)
    if backend is None or weight is None:
        return
    largest = max(backend.get_vocab(with_added_tokens=False).values(), default=0)
    count = getattr(weight, "ds_shape", weight.shape)[0]
    if largest >= count:
        raise ModelError(
            f"{name} has a tokenizer with ids up to {largest}, and embeddings for {count}: save the model's own "
            "tokenizer into its folder"
        )
