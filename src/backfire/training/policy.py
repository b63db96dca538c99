"""The model that is trained: opened from a checkpoint, saved as one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError, TemplateError
from backfire.models.adapter_base import weights_digest, write_base
from backfire.models.rendering import Renders
from backfire.models.sharded import local_part, whole_weights
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
    whole: dict[str, Any] | None = None
    """Where processes share the model: in the first one its weights whole, in the dtype that they are saved in."""
    lost: float | None = None
    """How much of the update that dtype took away."""
    weights: str | None = None
    """Digest of the weights that an adapter is trained on (`models.adapter_base`); None where all weights are trained."""

    def gather(self, model: Any) -> None:
        """Collect the weights that processes share, in the first one. All processes have to call this."""
        import torch.distributed as group

        if group.get_rank() == 0:
            self.take(whole_weights(model))
            return
        for _ in whole_weights(model):
            pass

    def take(self, weights: Iterable[tuple[str, Any]]) -> None:
        """Keep whole weights as they are to be saved."""
        rounding = Rounding(self)
        source = self.settings.save_dtype == "source"
        self.whole = {
            name: (rounding.of(name, weight) if source else weight).cpu().contiguous()
            for name, weight in weights
        }
        self.lost = rounding.lost if source else None


class Rounding:
    """Weights put back into the dtype they came in, and what that takes away of what training changed."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lost = self._changed = 0.0

    def of(self, name: str, weight: Any) -> Any:
        """A weight in the dtype it came in; one that is no weight of the model as it came stays as it is."""
        dtype = self._policy.source_dtypes.get(name)
        if dtype is None:
            return weight
        rounded = weight.to(dtype)
        if name in self._policy.initial:
            trained = weight.detach().float()
            first = self._policy.initial[name].to(trained.device).float()
            self._lost += float((trained - rounded.float()).square().sum())
            self._changed += float((trained - first).square().sum())
        return rounded

    @property
    def lost(self) -> float | None:
        """The norm of what rounding took away over the norm of what training changed; None where nothing was rounded."""
        return (self._lost / self._changed) ** 0.5 if self._changed else None


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
    rounded = settings.adapter is None and settings.save_dtype == "source" and saves(settings)
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
    whole = policy.whole
    lost = policy.lost
    if whole is None:
        lost = as_it_came(model, policy) if settings.save_dtype == "source" else None
    model.config.get_text_config().pad_token_id, model.generation_config.pad_token_id = policy.special_ids
    model.config.use_cache = policy.use_cache
    model.save_pretrained(folder, state_dict=whole)
    return {"saved_dtype": dtype_of(model, whole), "update_lost": lost}


def dtype_of(model: Any, whole: dict[str, Any] | None) -> str:
    """The dtype of what is saved, by the first weight, as transformers has it."""
    dtype = model.dtype if whole is None else next(w.dtype for w in whole.values() if w.is_floating_point())
    return str(dtype).removeprefix("torch.")


def usable_folder(out: str | Path) -> Path:
    """`out` as a path, unless something else stands there that writing would destroy."""
    folder = Path(out)
    if folder.is_file():
        raise InputError(f"out {folder} is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FILE).is_file():
        raise InputError(f"out {folder} holds something that no training run wrote: name a new folder")
    return folder


def saves(settings: TrainingSettings) -> bool:
    """Whether this process may save the weights: where processes share them, the first does."""
    return settings.sharding is None or os.environ.get("RANK", "0") == "0"


def as_it_came(model: Any, policy: Policy) -> float | None:
    """Put every parameter back into the dtype it came in; how much of the update that took away."""
    rounding = Rounding(policy)
    for name, p in model.named_parameters():
        p.data = rounding.of(name, p.data)
    return rounding.lost


def as_saved(model: Any, policy: Policy) -> None:
    """Round every weight of a model that processes share to the numbers that are saved, in the dtype that it is held in."""
    if policy.settings.save_dtype == "source":
        for name, p in model.named_parameters():
            part = local_part(p).data
            part.copy_(part.to(policy.source_dtypes.get(name, part.dtype)))
