"""GGUF files, in which llama.cpp keeps a model whole: weights (packed or not), configuration, tokenizer and chat template.

transformers unpacks the weights. What it would leave out or read wrongly without a word is found here and is an error.
"""

from __future__ import annotations

import copy
import io
import json
import math
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError

ENDING = ".gguf"
MAGIC = b"GGUF"
INSTEAD = "name the safetensors checkpoint that it was made from"
ROPE_FACTORS = "rope_freqs.weight"
"""A tensor by which llama.cpp scales the rotary positions of Llama 3.1 and later."""
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""How all Llama models that scale so do it."""


@dataclass(frozen=True, eq=False)
class GgufFile:
    """What the head of a file says."""

    path: Path
    architecture: str
    numbers: int
    """All weights together, those that scale rotary positions left out."""
    dtype: str
    """The dtype that its weights are stored in; bfloat16 where they are packed."""
    metadata: dict[str, Any]
    rope_factors: tuple[float, ...]

    @property
    def by_new_reader(self) -> bool:
        """Whether transformers says itself which weights it did not read."""
        from transformers.integrations.gguf import GGUF_CONFIG_ARCHS

        return self.architecture in GGUF_CONFIG_ARCHS


def is_gguf(path: str | Path) -> bool:
    """Whether a reference or a path names a GGUF file, by its ending."""
    return str(path).lower().endswith(ENDING) and not Path(path).is_dir()


def refuse_gguf(reference: str, path: Path, wanted: str) -> None:
    """Raise ModelError where a GGUF file is named and a model of another kind is wanted."""
    if is_gguf(path):
        raise ModelError(f"{reference} is a GGUF file, which holds a language model: name {wanted}")


def check_gguf(path: Path) -> GgufFile:
    """Read the head of a file and check that transformers reads such a model, and that the file is whole.

    Raises ModelError, which names the fix.
    """
    status = path.stat()
    return _checked(path, status.st_size, status.st_mtime_ns)


@lru_cache(8)
def _checked(path: Path, size: int, _: int) -> GgufFile:
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ModelError(
                f"{path} is not a GGUF file, whatever its name says (it does not begin with GGUF): download it again, "
                "or name a checkpoint folder"
            )
    if lacking := [name for name in ("gguf", "accelerate") if find_spec(name) is None]:
        raise ModelError(f"{path} is a GGUF file, which {lacking[0]} opens: pip install 'backfire[gguf]'")
    from transformers.integrations.gguf import GgufHeader, read_gguf_metadata

    try:
        metadata, _names = read_gguf_metadata(str(path))
        architecture = str(metadata["general.architecture"])
        _check_architecture(path, architecture)
        if int(metadata.get("split.count", 1) or 1) > 1:
            raise ModelError(
                f"{path} is one of {metadata['split.count']} parts of a model: join them with "
                "llama.cpp's llama-gguf-split, and name the file that it writes"
            )
        head = GgufHeader.from_file(str(path))
    except (struct.error, UnicodeDecodeError, MemoryError, OverflowError) as error:
        raise ModelError(f"{path} ends or breaks off within its head: download it again") from error
    except ValueError as error:
        raise ModelError(f"{path} does not open: {error} {INSTEAD.capitalize()}") from error
    end = max((head.data_start + one.offset + one.nbytes for one in head.tensors), default=0)
    if end > size:
        raise ModelError(
            f"{path} has {size} bytes, and its weights end at byte {end}: it is cut off; download it again"
        )
    _check_rope(path, architecture, metadata)
    scaling = [one for one in head.tensors if one.name == ROPE_FACTORS]
    factors = _floats(path, head.data_start + scaling[0].offset, scaling[0].nbytes) if scaling else ()
    numbers = sum(math.prod(one.shape) for one in head.tensors if one.name != ROPE_FACTORS)
    dtype = "bfloat16" if head.dtype is None else str(head.dtype).removeprefix("torch.")
    return GgufFile(path, architecture, numbers, dtype, metadata, factors)


def _check_architecture(path: Path, architecture: str) -> None:
    from transformers.integrations.gguf import GGUF_CONFIG_ARCHS
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    names = sorted({_plain(name) for name in (*GGUF_CONFIG_ARCHS, *GGUF_SUPPORTED_ARCHITECTURES)})
    if _plain(architecture) not in names:
        raise ModelError(
            f"{path} holds a model of the architecture {architecture!r}, which transformers does not read from GGUF "
            f"(it reads {', '.join(names)}): {INSTEAD}"
        )


def _plain(architecture: str) -> str:
    """llama.cpp and transformers write some architectures differently: qwen2moe, qwen2_moe."""
    return architecture.replace("-", "").replace("_", "").lower()


def _check_rope(path: Path, architecture: str, metadata: dict[str, Any]) -> None:
    how = metadata.get(f"{architecture}.rope.scaling.type", "none")
    if how != "none" and _plain(architecture) != "gptoss":
        raise ModelError(
            f"{path} scales its rotary positions ({how}), which transformers does not read from GGUF, so that the model "
            f"would be another one: {INSTEAD}"
        )


def _floats(path: Path, start: int, length: int) -> tuple[float, ...]:
    with path.open("rb") as file:
        file.seek(start)
        return struct.unpack(f"<{length // 4}f", file.read(length))


def gguf_configuration(path: Path) -> Any:
    """The configuration that a file states, with the rotary positions of Llama 3.1."""
    return copy.deepcopy(_configuration(check_gguf(path)))


@lru_cache(2)
def _configuration(head: GgufFile) -> Any:
    from transformers import AutoConfig

    path = head.path
    with _alone(path) as folder:
        configuration = _opened(path, AutoConfig.from_pretrained, folder, gguf_file=path.name)
    if head.rope_factors:
        theta = configuration.rope_parameters["rope_theta"]
        factor = max(head.rope_factors)
        if not _scaled_as_llama3(head.rope_factors, theta, factor):
            raise ModelError(
                f"{path} scales its rotary positions as no Llama model does, which transformers does not read from GGUF: "
                f"{INSTEAD}"
            )
        configuration.rope_parameters = {
            "rope_type": "llama3",
            "rope_theta": theta,
            "factor": factor,
            **LLAMA3,
        }
    return configuration


def _scaled_as_llama3(factors: tuple[float, ...], theta: float, factor: float) -> bool:
    low, high, old = (
        LLAMA3["low_freq_factor"],
        LLAMA3["high_freq_factor"],
        LLAMA3["original_max_position_embeddings"],
    )
    for place, given in enumerate(factors):
        turns = old / (2 * math.pi * theta ** (place / len(factors)))
        smooth = min(1.0, max(0.0, (turns - low) / (high - low)))
        if not math.isclose(given, 1 / ((1 - smooth) / factor + smooth), rel_tol=1e-3):
            return False
    return True


def gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a file, with its chat template; without the tokens that its class adds of its own."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    check_gguf(path)
    with _alone(path) as folder:
        # AutoTokenizer would read the file once more, for the name of a class that then does the same.
        tokenizer = _opened(path, PreTrainedTokenizerFast.from_pretrained, folder, gguf_file=path.name)
        from transformers.integrations.gguf import get_gguf_tokenizer

        count = len(get_gguf_tokenizer(str(path))[1]["tokens"])
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and len(tokenizer) > count:
        state = json.loads(backend.to_str())
        state["added_tokens"] = [one for one in state["added_tokens"] if one["id"] < count]
        tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.name_or_path = str(path)
    return tokenizer


def gguf_model(auto: Any, path: Path, dtype: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """An ordinary model of transformers from a file, its weights unpacked, and what was reported of the loading.

    Raises ModelError where transformers leaves weights of the file out.
    """
    import torch
    from transformers import GgufConfig

    head = check_gguf(path)
    configuration = gguf_configuration(path)
    with _alone(path) as folder:
        model, report = _opened(
            path,
            auto.from_pretrained,
            folder,
            gguf_file=path.name,
            config=configuration,
            dtype=getattr(torch, head.dtype if dtype == "auto" else dtype),
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
            **options,
        )
    model.__dict__.pop("hf_quantizer", None)
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = model.name_or_path = str(path.resolve())
    _check_numbers(head, model)
    return model, report


def _check_numbers(head: GgufFile, model: Any) -> None:
    weights = {id(p): p for p in model.parameters()}
    taken = sum(p.numel() for p in weights.values())
    embeddings = model.get_input_embeddings().weight.numel()
    tied_twice = model.config.get_text_config().tie_word_embeddings and head.numbers == taken + embeddings
    if head.numbers != taken and not tied_twice and not head.by_new_reader:
        raise ModelError(
            f"{head.path} holds {head.numbers} weights, and transformers makes a {type(model).__name__} of {taken} of it: "
            f"the model would be another one; {INSTEAD}"
        )


@contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """A folder that holds nothing but the file, so that nothing is read that lies beside it."""
    with tempfile.TemporaryDirectory(prefix="backfire-gguf-") as place:
        (Path(place) / path.name).symlink_to(path.resolve())
        yield Path(place)


def _opened(path: Path, call: Any, folder: Path, **options: Any) -> Any:
    """What transformers makes of the file, its progress bar not shown. Raises ModelError."""
    try:
        with redirect_stderr(io.StringIO()):
            return call(folder, trust_remote_code=False, local_files_only=True, **options)
    except (InputError, ModelError):
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        RuntimeError,
        ImportError,
    ) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(f"{path} does not open ({reason}): {INSTEAD}") from error
