"""Opening a model by reference: an organism, a checkpoint folder, a GGUF file, a hub name, or an endpoint."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError, TemplateError, setting
from backfire.models.adapter_base import check_base
from backfire.models.adapter_settings import base_named, check_patterns
from backfire.models.checkpoint_files import (
    check_configuration,
    check_plain_files,
    check_tokenizer,
    check_vocabulary,
)
from backfire.models.endpoint import EndpointModel
from backfire.models.failures import named
from backfire.models.finite_weights import check_finite
from backfire.models.gguf import ENDING, check_gguf, gguf_configuration, gguf_model, gguf_tokenizer, is_gguf
from backfire.models.identity import check_weight_files, folder_digest, no_weights
from backfire.models.local import LocalModel
from backfire.models.memory import LARGE, give_back_freed
from backfire.models.template import check_template, template_digest
from backfire.records import digest

HUB_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "*.model",
    "*.txt",
    "*.tiktoken",
)
HUB_LEAVES = ("consolidated*", "*/*")
HALVES = ("bfloat16", "float16")


def open_model(
    reference: str | Path,
    *,
    chat_template: Path | None = None,
    dtype: str = "auto",
    device: str | None = None,
    adapter: Path | None = None,
) -> LocalModel | EndpointModel:
    """Open a model, check its template, and give it an id made of its contents.

    `reference` is `organism:NAME`, a checkpoint or PEFT adapter folder, a GGUF file, a hub name, or
    `openai:MODEL[@BASE_URL]`. `chat_template` names a Jinja file that replaces the tokenizer's. `dtype` is
    `auto` (the checkpoint's own; on an x86 CPU without units for 16 bits float32, which is about five times as fast
    there, where four times the weights are free), `float32`, `bfloat16` or `float16`; it does not enter the id. `device` is
    `cpu`, `cuda`, or `auto` to spread a model over devices by accelerate; None takes a GPU where there is one.
    Raises ModelError, TemplateError or InputError, which name the fix.
    """
    reference = str(reference)
    if reference.startswith("openai:"):
        if chat_template is not None or adapter is not None:
            raise InputError(
                f"{reference} is an endpoint, which has its own template and weights: "
                f"leave out {setting('chat_template')} and {setting('adapter')}, or name a checkpoint folder"
            )
        return EndpointModel.of(reference)
    check_device(device)
    files = model_files(reference, adapter, chat_template)
    model = _causal_model(files.folder, files.adapter, dtype, device)
    return local_model(model, files.tokenizer, name=reference, id=files.id)


@dataclass(frozen=True)
class ModelFiles:
    """What a reference to local weights names: the whole model's folder, the adapter's, and what they hold."""

    folder: Path
    adapter: Path | None
    tokenizer: Any
    id: str
    """The id that a model opened from them has."""


def model_files(
    reference: str, adapter: Path | None, chat_template: Path | None, *, base: str | None = None
) -> ModelFiles:
    """Find and digest the files of a reference, without opening the weights; `base` is the folder's digest, if known."""
    folder, adapter = model_parts(reference, adapter)
    weights = _parts_digest(folder, adapter, base)
    tokenizer = policy_tokenizer(folder, adapter, chat_template)
    return ModelFiles(folder, adapter, tokenizer, digest("model", weights, template_digest(tokenizer)))


def local_model(model: Any, tokenizer: Any, *, name: str, id: str) -> LocalModel:
    """A transformers model with its checked template. Raises TemplateError, which names the model."""
    check_vocabulary(tokenizer, model, name)
    try:
        template = check_template(tokenizer, eos_ids=_eos_ids(model))
    except TemplateError as error:
        raise TemplateError(f"{name}: {error.marked}") from error
    return LocalModel(model, tokenizer, template, name=name, id=id)


def reference_digest(reference: str | Path) -> str:
    """Digest of what a reference names, without opening it: the contents of weights (of an adapter, its base's too), or an
    endpoint's address and model."""
    if str(reference).startswith("openai:"):
        return EndpointModel.of(str(reference)).id
    return _parts_digest(*model_parts(str(reference), None))


def resolve(reference: str, *, weights: bool = True) -> Path:
    """The local folder or GGUF file that a reference names; a hub name is fetched into the hub's cache first, with its
    weights or not."""
    if reference.startswith("organism:"):
        from backfire.organisms.catalog import folder_of

        return folder_of(reference)
    if not reference.strip():
        raise ModelError(
            "the model reference is blank: name a checkpoint folder, or a hub name such as org/model"
        )
    folder = Path(reference).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
            packed = sorted(folder.glob(f"*{ENDING}"))
            instead = (
                f"the GGUF file in it, {packed[0]}"
                if packed
                else "a checkpoint folder written by `save_pretrained`"
            )
            raise ModelError(f"{reference} has no config.json: name {instead}")
        check_plain_files(folder)
        if (folder / "config.json").is_file():
            check_configuration(folder)
        return folder
    if folder.is_file():
        if is_gguf(folder):
            return check_gguf(folder).path
        raise ModelError(f"{reference} is a file: name the checkpoint folder that holds it, or a GGUF file")
    if is_gguf(reference) and reference.count("/") == 2 and not reference.startswith((".", "/", "~")):
        return check_gguf(_fetch_file(*reference.rsplit("/", 1))).path
    if is_gguf(reference):
        raise ModelError(
            f"there is no file {reference!r}: name a GGUF file that is here, or one on the hub as org/model/file.gguf"
        )
    if reference.startswith((".", "/", "~")) or reference.count("/") > 1:
        raise ModelError(
            f"there is no folder {reference!r}: name a checkpoint folder, or a hub name such as org/model"
        )
    return _fetch(reference, weights)


def open_folder(auto: Any, folder: Path, dtype: str, *, fresh: Collection[str] = (), **options: Any) -> Any:
    """`auto.from_pretrained` of safetensors or a GGUF file only, without remote code.

    Every weight must come from it, but for those named `fresh`, which are made anew where it has none.
    """
    from transformers.utils import logging

    if dtype not in ("auto", "float32", "bfloat16", "float16"):
        raise InputError(f"dtype {dtype!r}: use auto, float32, bfloat16 or float16")
    if not is_gguf(folder) and not any(folder.glob("*.safetensors")):
        raise ModelError(no_weights(folder))
    if not is_gguf(folder):
        check_weight_files(folder)
    bar = logging.is_progress_bar_enabled()
    level = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with named(f"{folder} does not open as a checkpoint"):
            if is_gguf(folder):
                model, report = gguf_model(auto, folder, dtype, **options)
            else:
                model, report = auto.from_pretrained(
                    folder,
                    dtype=dtype,
                    use_safetensors=True,
                    trust_remote_code=False,
                    local_files_only=True,
                    output_loading_info=True,
                    **options,
                )
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
    if missing := sorted(set(report["missing_keys"]) - set(fresh)):
        raise ModelError(
            f"{folder} lacks weights of {type(model).__name__}, which would be random: {', '.join(missing[:4])}"
            f"{' and others' if len(missing) > 4 else ''}; name a checkpoint of this kind "
            "(a policy is a causal language model, a reward model a trained sequence classifier)"
        )
    give_back_freed(model)
    check_finite(model, folder)
    return model


def check_device(device: str | None) -> None:
    """Raise InputError for a device that torch does not know or cannot use here."""
    if device in (None, "auto"):
        return
    import torch

    try:
        if torch.empty(0, device=device).is_meta:
            raise RuntimeError("it holds no numbers")
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {device!r} cannot be used here ({_first_line(error)}): give cpu, cuda or auto, or leave it out"
        ) from error


def place(model: Any, device: str | None) -> Any:
    """Move a model to `device` (None: a GPU where there is one) and put it in evaluation mode."""
    import torch

    if device != "auto":
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return model.eval()


def open_tokenizer(folder: Path) -> Any:
    if is_gguf(folder):
        return gguf_tokenizer(folder)
    from transformers import AutoTokenizer

    with named(f"{folder} has no tokenizer that transformers can open: save the model's tokenizer into it"):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        check_tokenizer(tokenizer, folder)
    return tokenizer


def _causal_model(folder: Path, adapter: Path | None, dtype: str, device: str | None) -> Any:
    model = open_weights(folder, dtype, device)
    return model if adapter is None else place(put_on(model, adapter, folder), device)


def open_weights(folder: Path, dtype: str, device: str | None) -> Any:
    """A whole model's weights, placed, in evaluation mode."""
    from transformers import AutoModelForCausalLM

    spread = {"device_map": "auto"} if device == "auto" else {}
    return place(
        open_folder(AutoModelForCausalLM, folder, reading_dtype(folder, dtype, device), **spread), device
    )


def reading_dtype(folder: Path, dtype: str, device: str | None) -> str:
    """What a model that is not trained is opened in: `auto` is float32 where a CPU has no units for 16 bits, and weights
    twice as large fit it with ease."""
    from backfire.models.memory import available, slow_in_16_bits

    if dtype != "auto" or not slow_in_16_bits(device):
        return dtype
    head = check_gguf(folder) if is_gguf(folder) else None
    if head is not None:
        size = 2 * head.numbers
    else:
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    stored_in = head.dtype if head else _dtype_of(folder)
    if size < LARGE or stored_in not in HALVES:
        return dtype
    free = available()
    return "float32" if free is None or 4 * size < free else dtype


def _dtype_of(folder: Path) -> str | None:
    """What a checkpoint says its weights are stored in."""
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return (stored.get("dtype") or stored.get("torch_dtype")) if isinstance(stored, dict) else None


def put_on(model: Any, adapter: Path, folder: Path) -> Any:
    """Put an adapter on the whole model of a folder.

    The model's generation defaults stay. Raises ModelError where the adapter does not fit, or was trained on other weights.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModelError(f"{adapter} is a PEFT adapter: pip install 'backfire[train]'") from error
    check_base(adapter, model, folder)
    check_patterns(adapter, model)
    ends = model.generation_config
    with named(f"adapter {adapter} does not fit {folder}"):
        model = PeftModel.from_pretrained(model, str(adapter), is_trainable=False)
    check_finite(model, adapter, only=".default")
    model.generation_config = ends
    return model


def policy_tokenizer(folder: Path, adapter: Path | None, chat_template: Path | None) -> Any:
    own = adapter is not None and (adapter / "tokenizer_config.json").is_file()
    tokenizer = open_tokenizer(adapter if own and adapter else folder)
    if chat_template is not None:
        try:
            tokenizer.chat_template = Path(chat_template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(
                f"{setting('chat_template')} {chat_template}: {error}; name a Jinja file"
            ) from error
    return tokenizer


def open_configuration(folder: Path) -> tuple[Any, list[int]]:
    """A checkpoint's configuration, and the end tokens of its generation configuration; without the weights."""
    from transformers import AutoConfig, GenerationConfig

    if is_gguf(folder):
        configuration = gguf_configuration(folder)
        return configuration, _ends(GenerationConfig.from_model_config(configuration))

    with named(f"{folder} has no configuration that transformers can open"):
        configuration = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        try:
            generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
        except OSError:
            generation = GenerationConfig.from_model_config(configuration)
    return configuration, _ends(generation)


def _eos_ids(model: Any) -> list[int]:
    return _ends(model.generation_config)


def _ends(generation: Any) -> list[int]:
    ends = getattr(generation, "eos_token_id", None)
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def model_parts(reference: str, adapter: Path | None, *, weights: bool = True) -> tuple[Path, Path | None]:
    """The folder of the whole model, and the adapter's where there is one."""
    folder = resolve(reference, weights=weights)
    if adapter is not None:
        return folder, resolve(str(adapter), weights=weights)
    return (_base_of(folder), folder) if is_adapter(folder) else (folder, None)


def _parts_digest(folder: Path, adapter: Path | None, base: str | None = None) -> str:
    return digest("parts", base or folder_digest(folder), folder_digest(adapter) if adapter else None)


def is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file() and not any(folder.glob("model*.safetensors"))


def _base_of(adapter: Path) -> Path:
    base = base_named(adapter)
    if not base:
        raise ModelError(
            f"adapter {adapter} does not say what it adapts: open its base model with {setting('adapter')} {adapter}"
        )
    try:
        return resolve(base)
    except ModelError as error:
        raise ModelError(
            f"adapter {adapter} adapts {base}, which does not open ({error}); "
            f"open the base model from where it lies with {setting('adapter')} {adapter}"
        ) from error


def _fetch_file(name: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file))
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{name}/{file} is neither a file here nor one that the Hugging Face hub gives "
            f"({type(error).__name__}: {_first_line(error)}): check the name, or download it and name the file"
        ) from error


def _fetch(name: str, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        wanted = [pattern for pattern in HUB_FILES if weights or "safetensors" not in pattern]
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=list(HUB_LEAVES)))
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{name} is neither a folder here nor a model that the Hugging Face hub gives "
            f"({type(error).__name__}: {_first_line(error)}): check the name, log in with `hf auth login`, "
            "or download it and name its folder"
        ) from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
