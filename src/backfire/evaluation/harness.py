"""EleutherAI's lm-evaluation-harness, kept quiet: the model it asks, in this process or through vLLM."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError
from backfire.models import LocalModel
from backfire.models.opening import model_files


@dataclass(frozen=True)
class VllmModel:
    """A checkpoint that vLLM has opened for the harness; `name` and `id` are those that `open_model` gives it."""

    name: str
    id: str
    dtype: str
    """As it was asked for: `auto` is the checkpoint's own."""
    lm: Any
    """The harness's own `VLLM`."""


def open_vllm(
    reference: str | Path,
    *,
    chat_template: Path | None = None,
    dtype: str = "auto",
    adapter: Path | None = None,
) -> VllmModel:
    """Open a checkpoint or LoRA adapter through vLLM, for `general`; a GPU's memory is vLLM's from then on.

    Options are those of `open_model`. Raises InputError where vLLM is not installed, and ModelError for an
    endpoint.
    """
    if str(reference).startswith("openai:"):
        raise no_endpoint(str(reference))
    if find_spec("vllm") is None:
        raise InputError(
            "backend vllm: vLLM is not installed here; pip install vllm, or use the backend hf, which needs no more"
        )
    files = model_files(str(reference), adapter, chat_template)
    with quiet():
        from lm_eval.models.vllm_causallms import VLLM

        lora: dict[str, Any] = {}
        if files.adapter is not None:
            lora = {"lora_local_path": str(files.adapter), "max_lora_rank": _room_for(files.adapter)}
        lm = VLLM(pretrained=str(files.folder), dtype=dtype, batch_size="auto", **lora)
        lm.tokenizer.chat_template = lm.hf_chat_template = files.tokenizer.chat_template
    return VllmModel(name=str(reference), id=files.id, dtype=dtype, lm=lm)


def harness_of(model: LocalModel | VllmModel, batch_size: int) -> Any:
    """The harness's view of an opened model, whose weights it shares."""
    if isinstance(model, VllmModel):
        return model.lm
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=batch_size)


def no_endpoint(name: str) -> ModelError:
    return ModelError(
        f"{name} is an endpoint: general tasks need log-probabilities of given answers, so name a "
        "checkpoint folder, or run lm-eval against the server"
    )


def over_long(lm: Any, samples: list[dict[str, Any]]) -> int:
    """Requests of more tokens than the context. A text has no more tokens than bytes, plus BOS."""
    texts = ["".join(map(str, request[:2])) for item in samples for request in item["arguments"]]
    long = [text for text in texts if len(text.encode()) >= lm.max_length]
    return sum(len(lm.tok_encode(text)) > lm.max_length for text in long)


@contextmanager
def quiet() -> Iterator[None]:
    """Neither log lines nor progress bars of the harness. Errors pass as exceptions."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _room_for(adapter: Path) -> int:
    """The rank that vLLM is to make room for: a power of two, 8 or more, which is what it accepts."""
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    if settings.get("peft_type", "LORA") != "LORA" or not settings.get("r"):
        raise InputError(f"adapter {adapter} is no LoRA adapter: vLLM runs no other kind; use the backend hf")
    rank, most = 8, max([settings["r"], *(settings.get("rank_pattern") or {}).values()])
    while rank < most:
        rank *= 2
    return rank
