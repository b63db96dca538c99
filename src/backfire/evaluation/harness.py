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
from backfire.evaluation.settings import TaskModels
from backfire.models import EndpointModel, LocalModel, open_adapters, open_model
from backfire.models.gguf import refuse_gguf
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
    refuse_gguf(str(reference), files.folder, "its checkpoint folder for vLLM, or take the backend hf")
    with quiet():
        from lm_eval.models.vllm_causallms import VLLM

        lora: dict[str, Any] = {}
        if files.adapter is not None:
            lora = {"lora_local_path": str(files.adapter), "max_lora_rank": _room_for(files.adapter)}
        lm = VLLM(pretrained=str(files.folder), dtype=dtype, batch_size="auto", **lora)
        lm.tokenizer.chat_template = lm.hf_chat_template = files.tokenizer.chat_template
    return VllmModel(name=str(reference), id=files.id, dtype=dtype, lm=lm)


def models_for_tasks(
    reference: str | Path, settings: TaskModels | None = None
) -> Iterator[LocalModel | EndpointModel | VllmModel]:
    """Open the model for `general`, once, or with one adapter after another: one is of use until the next is asked for.

    Raises what `open_model`, `open_adapters` and `open_vllm` raise.
    """
    settings = settings or TaskModels()
    how = {name: value for name, value in settings.opening.options().items() if name != "adapter"}
    adapters = list(settings.opening.adapter)
    alone = adapters[0] if adapters else None
    if settings.backend == "vllm":
        del how["device"]
        yield open_vllm(reference, adapter=alone, **how)
    elif len(adapters) > 1:
        yield from open_adapters(reference, adapters, **how)
    else:
        yield open_model(reference, adapter=alone, **how)


def harness_of(model: LocalModel | VllmModel, batch_size: int) -> Any:
    """The harness's view of an opened model, whose weights it shares."""
    if isinstance(model, VllmModel):
        return model.lm
    from backfire.evaluation.harness_model import BoundedHFLM

    with _tied_already(model.model):
        return BoundedHFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=batch_size)


def no_endpoint(name: str) -> ModelError:
    return ModelError(
        f"{name} is an endpoint: general tasks need log-probabilities of given answers, so name a "
        "checkpoint folder, or run lm-eval against the server"
    )


def over_long(lm: Any, samples: list[dict[str, Any]]) -> int:
    """Requests whose beginning the harness cuts off, each counted once, whatever the number of filters.

    A prompt to generate from must leave room in the context for what may be generated. Texts that are scored
    whole (rolling log-likelihood) are cut into windows, and lose nothing.
    """
    first = [item for item in samples if item.get("filter") == samples[0].get("filter")]
    requests = [request for item in first for request in item["arguments"] if len(request) > 1]
    return sum(_is_cut(lm, str(request[0]), request[1]) for request in requests)


def _is_cut(lm: Any, context: str, generation: str | dict[str, Any]) -> bool:
    """A text has no more tokens than bytes, plus BOS and a leading space; so most need not be tokenized."""
    from lm_eval.models.huggingface import HFLM

    if isinstance(generation, dict):
        bound, text = lm.max_length - _room_to_generate(lm, generation), context
    else:  # transformers need not read the last token, and vLLM writes one more
        bound, text = lm.max_length + (1 if isinstance(lm, HFLM) else -1), context + generation
    if len(text.encode()) + 2 <= bound:
        return False
    if context:
        return bool(len(lm.tok_encode(text)) > bound)
    alone = lm.tok_encode(text, add_special_tokens=False)
    return bool(len(alone) + (alone[0] != lm.prefix_token_id) > bound)


def check_room(lm: Any, name: str, task: Any) -> None:
    """Raise InputError where a task's answers may fill the context, and leave nothing for its prompts."""
    if task.OUTPUT_TYPE != "generate_until":
        return
    tokens_left = _room_to_generate(lm, task.get_config("generation_kwargs") or {})
    if tokens_left >= lm.max_length:
        raise InputError(
            f"task {name} generates {tokens_left} tokens, and the model's context has {lm.max_length}: set max_gen_toks "
            "below it in the task's generation_kwargs"
        )


def _room_to_generate(lm: Any, settings: dict[str, Any]) -> int:
    """The most tokens that the harness lets a model generate under a task's `generation_kwargs`."""
    from lm_eval.models.utils import normalize_gen_kwargs

    return int(normalize_gen_kwargs(settings, lm.max_gen_toks)["max_gen_toks"])


@contextmanager
def examples_bounded(name: str, task: Any) -> Iterator[None]:
    """While a task is asked: more examples than it has to draw from raise InputError, with the number there is."""
    sampler = getattr(task, "sampler", None)
    if sampler is None:
        yield
        return
    usual_sample = sampler.sample

    def sample(n: int, eval_doc: Any = None, **more: Any) -> Any:
        try:
            return usual_sample(n, eval_doc=eval_doc, **more)
        except (AssertionError, ValueError) as error:
            items = list(sampler.fewshot_docs())
            others = sum(item != eval_doc for item in items)
            there = min(others, len(items) - 1) if eval_doc else len(items)
            if n <= there:
                raise
            raise InputError(
                f"num_fewshot {n}: task {name} has {max(there, 0)} items to draw examples from; give no more, "
                f"or by task ({name}=N)"
            ) from error

    sampler.sample = sample
    try:
        yield
    finally:
        del sampler.sample


@contextmanager
def _tied_already(model: Any) -> Iterator[None]:
    """Tie no weights: opening has tied them, and an adapter's own embeddings do not bear it."""
    own = vars(model).get("tie_weights")
    model.tie_weights = lambda *_, **__: None
    try:
        yield
    finally:
        del model.tie_weights
        if own is not None:
            model.tie_weights = own


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
