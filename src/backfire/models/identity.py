"""What a checkpoint is: a digest of its files' contents, never its path."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from backfire.errors import ModelError
from backfire.models.gguf import is_gguf
from backfire.records import digest, file_digest

WEIGHTS = "*.safetensors"
ADAPTER = "adapter_model.safetensors"
SETTINGS = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.json",
    "*.jinja",
    "*.model",
    "*.tiktoken",
)
PATH_KEYS = frozenset({"_name_or_path", "base_model_name_or_path", "name_or_path"})
"""Settings that say where a model lay, not what it is."""


def folder_digest(folder: Path) -> str:
    """Digest of a checkpoint or adapter folder: weights, configuration, tokenizer and template by content. A GGUF file has
    all of them in one.

    Cards, logs, optimizer states and sub-folders do not count, nor do paths written into the configuration.
    Raises ModelError where there are no safetensors weights.
    """
    if is_gguf(folder):
        return digest("gguf", file_digest(folder))
    weights = sorted(folder.glob(WEIGHTS))
    if not weights:
        raise ModelError(no_weights(folder))
    check_weight_files(folder)
    settings = sorted({p for pattern in SETTINGS for p in folder.glob(pattern)})
    with ThreadPoolExecutor(4) as pool:
        contents = dict(zip(weights, pool.map(file_digest, weights), strict=True))
    return digest(
        "checkpoint",
        [[p.name, contents[p]] for p in weights],
        [[p.name, _settings_digest(p)] for p in settings],
    )


def check_weight_files(folder: Path) -> None:
    """ModelError where other files would be opened than those that the folder's digest covers.

    transformers and peft take a pickle where the safetensors file that they look for is not there, whatever others lie beside
    it, and open what an index names, wherever that lies.
    """
    whole = any(folder.glob("model*.safetensors"))
    if (folder / "adapter_config.json").is_file() and not whole and not (folder / ADAPTER).is_file():
        raise ModelError(
            f"{folder} is an adapter without {ADAPTER}, beside {', '.join(p.name for p in sorted(folder.glob(WEIGHTS)))}: save "
            "it by peft's `save_pretrained`, which writes that file"
        )
    for index in sorted(folder.glob(f"{WEIGHTS}.index.json")):
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            outside = sorted(
                {
                    str(name)
                    for name in named
                    if Path(str(name)).name != name or not name.endswith(".safetensors")
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(
                f"{index} does not say where the weights lie ({error}): download the checkpoint again"
            ) from error
        if outside:
            raise ModelError(
                f"{index} names weights outside of its folder, or no safetensors, such as {outside[0]}: weights are safetensors "
                "that lie beside their index; download the checkpoint again"
            )


def no_weights(folder: Path) -> str:
    """Say why `folder` cannot be opened, and the fix."""
    pickles = sorted(p.name for p in folder.glob("*.bin") if p.name != "training_args.bin")
    if pickles:
        return (
            f"{folder} has its weights in {', '.join(pickles)}: pickle files can run code and are not opened; "
            "save the model with `save_pretrained` of transformers 5 (or peft), which writes safetensors"
        )
    if packed := sorted(folder.glob("*.gguf")):
        return f"{folder} has its weights in a GGUF file: name the file itself, {packed[0]}"
    return (
        f"{folder} has no *.safetensors weights: name a checkpoint folder written by `save_pretrained`, "
        "or an adapter folder written by peft"
    )


def _settings_digest(path: Path) -> str:
    if path.suffix != ".json":
        return file_digest(path)
    try:
        settings: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}): download or save the checkpoint again") from error
    if isinstance(settings, dict):
        settings = {k: v for k, v in settings.items() if k not in PATH_KEYS}
    return digest(settings)
