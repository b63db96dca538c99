"""The model that is trained: opened from a checkpoint, saved as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError, TemplateError
from backfire.models.adapter_base import weights_digest, write_base
from backfire.models.rendering import Renders
from backfire.training.fitting import fitted
from backfire.training.log import FILE
from backfire.training.settings import TrainingSettings


@dataclass(frozen=True)
class Tokens:
    """What turns the data into token rows: read before the weights, so that data that cannot be used end a run early."""

    reference: str
    folder: Path
    tokenizer: Any
    how: Renders
    """The checked chat template, or raw text."""
    template: str
    """Digest of the chat template; empty for raw text."""
    max_length: int | None
    """Of the settings, or the model's context where that is shorter."""


@dataclass
class Policy:
    """A model in the dtype it is trained in, with what is needed to save it as it came."""

    reference: str
    settings: TrainingSettings
    """As they were given, with what is trained decided."""
    why: str
    """Why an adapter is trained, where that was not asked for."""
    model: Any
    tokenizer: Any
    dtype: str
    """float32 or bfloat16: the dtype of the matrix products."""
    device: str
    source_dtypes: dict[str, Any]
    """Parameter name to the torch dtype it came in."""
    initial: dict[str, Any]
    """Parameters as they came, where saving will round them; empty otherwise."""
    special_ids: tuple[int | None, int | None]
    """The pad token's id in the configuration and in the generation configuration, which TRL overwrites; a classifier has
    no generation configuration."""
    max_length: int | None
    """Of the settings, or the model's context where that is shorter."""
    use_cache: bool
    """From the configuration, in which the Trainer switches it off."""
    weights: str | None
    """Digest of the weights that an adapter is trained on (`models.adapter_base`); None where all weights are trained."""


def open_tokens(
    reference: str | Path,
    settings: TrainingSettings,
    *,
    plain: bool = False,
) -> Tokens:
    """The tokenizer and checked template of a checkpoint folder, GGUF file, `organism:` reference or hub name.

    `plain` takes the data as raw text: no template is needed then. Raises ModelError or TemplateError.
    """
    from backfire.models import open_tokens as opened_by
    from backfire.models.opening import resolve

    folder = resolve(str(reference))
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"policy {reference} is an adapter: training starts from a whole model. Merge it into its base first "
            "(PEFT: merge_and_unload, then save_pretrained)"
        )
    opened = opened_by(reference, plain=plain, chat_template=settings.opening.chat_template)
    if opened.refused:
        raise TemplateError(f"policy {reference}: {opened.refused}")
    limit = opened.limit(settings.max_length)
    return Tokens(opened.name, folder, opened.tokenizer, opened.how, opened.template_digest, limit)


def open_weights(tokens: Tokens, settings: TrainingSettings) -> Policy:
    """The weights, in the dtype that they are trained in. Raises ModelError."""
    from transformers import AutoModelForCausalLM

    from backfire.models.opening import check_device, open_folder

    check_device(settings.opening.on())
    # An absolute path, because an adapter stores it as its base.
    model = open_folder(AutoModelForCausalLM, tokens.folder.resolve(), "auto")
    return in_training_dtype(model, tokens, settings)


def in_training_dtype(model: Any, tokens: Tokens, settings: TrainingSettings) -> Policy:
    """A model that was opened in its own dtype, in the dtype that it is trained in, with what is trained decided."""
    import torch

    device = settings.opening.on()
    settings, why = fitted(settings, model)
    dtype = settings.dtype
    if dtype == "auto":
        dtype = "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    weights = weights_digest(model) if settings.adapter is not None else None
    sources = {name: p.dtype for name, p in model.named_parameters()}
    rounded = settings.adapter is None and settings.save_dtype == "source"
    initial = {
        name: p.detach().clone()
        for name, p in model.named_parameters()
        if rounded and p.dtype not in (torch.float32, torch.float64)
    }
    model.to(torch.bfloat16 if settings.adapter is not None and dtype == "bfloat16" else torch.float32)
    return Policy(
        reference=tokens.reference,
        settings=settings,
        why=why,
        model=model,
        tokenizer=tokens.tokenizer,
        dtype=dtype,
        device=device,
        source_dtypes=sources,
        initial=initial,
        special_ids=(
            model.config.get_text_config().pad_token_id,
            getattr(getattr(model, "generation_config", None), "pad_token_id", None),
        ),
        max_length=tokens.max_length,
        use_cache=model.config.use_cache,
        weights=weights,
    )


def save_policy(model: Any, policy: Policy, folder: Path, settings: TrainingSettings) -> dict[str, Any]:
    """Write weights (or adapter), configuration, tokenizer and template; what the log says of it: `saved_dtype`,
    `update_lost`.

    `policy.tokenizer` must be as it was opened.
    """
    policy.tokenizer.save_pretrained(folder)
    if settings.adapter is not None:
        # The vocabulary is never changed. Left to itself, PEFT would look for the base's configuration on the hub.
        model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        write_base(folder, policy=policy.reference, weights=policy.weights)
        return {"saved_dtype": "float32", "update_lost": None}
    lost = as_it_came(model, policy) if settings.save_dtype == "source" else None
    model.config.get_text_config().pad_token_id, model.generation_config.pad_token_id = policy.special_ids
    model.config.use_cache = policy.use_cache
    model.save_pretrained(folder)
    return {"saved_dtype": str(model.dtype).removeprefix("torch."), "update_lost": lost}


def usable_folder(out: str | Path) -> Path:
    """`out` as a path, unless something else stands there that writing would destroy."""
    folder = Path(out)
    if folder.is_file():
        raise InputError(f"out {folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FILE).is_file():
        raise InputError(f"out {folder} holds something that no training run wrote: name a new folder")
    return folder


def as_it_came(model: Any, policy: Policy) -> float | None:
    """Put every parameter back into the dtype it came in; how much of the update that took away."""
    lost = changed = 0.0
    for name, p in model.named_parameters():
        if name in policy.initial:
            trained = p.detach().float()
            rounded = trained.to(policy.source_dtypes[name])
            first = policy.initial[name].to(trained.device).float()
            lost += float((trained - rounded.float()).square().sum())
            changed += float((trained - first).square().sum())
        p.data = p.data.to(policy.source_dtypes[name])
    return (lost / changed) ** 0.5 if changed else None
