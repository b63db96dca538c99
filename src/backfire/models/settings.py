"""How a model is opened: the settings that everything shares which opens one, and the length that training cuts at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from backfire.settings import Commas, FileReference, FolderReference, Metavar, Names, Settings

MAX_LENGTH = 1024
"""Tokens of prompt and response together: TRL's default, and that of `train dpo`."""
DPO_RATE = 1e-6
"""The learning rate of DPO where none is given: TRL's default."""
LORA_RATE = 10
"""A learning rate that nobody gave is so many times higher where `auto` trains an adapter (Schulman et al. 2025, LoRA Without
Regret)."""


def rate_of(given: float | None, default: float, *, adapter_by_auto: bool) -> float:
    """The learning rate that is taken, by the one rule of training and of the pilot: what was given counts as it is."""
    if given is not None:
        return given
    return float(f"{LORA_RATE * default:.6g}") if adapter_by_auto else default


def _no_bound(value: Any) -> Any:
    return None if value in (0, "0") and not isinstance(value, bool) else value


MaxLength = Annotated[int | None, Field(ge=1), BeforeValidator(_no_bound), Metavar("TOKENS")]
"""The most tokens of prompt and response together; 0 and None set no bound."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class TokensOpening(Settings):
    """How a model's tokenizer and chat template are opened."""

    group = "Opening the model"

    chat_template: Annotated[FileReference | None, Metavar("FILE")] = None
    """A Jinja file that takes the place of the model's chat template, for a model that has none or a wrong one."""
    adapter: Annotated[FolderReference | None, Metavar("FOLDER")] = None
    """The folder of a PEFT adapter that is put on the model."""

    @property
    def given(self) -> tuple[str, ...]:
        """The fields that are not at their default."""
        fields = type(self).model_fields
        return tuple(name for name in fields if getattr(self, name) != fields[name].default)

    def options(self) -> dict[str, Any]:
        """The same as keywords of what opens it."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Opening(TokensOpening):
    """How a model is opened."""

    dtype: Annotated[Dtype, Metavar("NAME")] = "auto"
    """The numbers that the model computes in: auto is the checkpoint's own; or float32, bfloat16, float16."""
    device: Annotated[str | None, Metavar("NAME")] = None
    """Where the model computes: cpu, cuda, or auto to spread it over several devices. Where it is not given, a GPU is
    taken if there is one."""


class RewardOpening(Settings):
    """How a reward model is opened."""

    group = "Opening the model"

    label: Annotated[str | None, Metavar("NAME")] = None
    """The label whose logit is the score, where the classifier has several."""
    max_length: Annotated[int | None, Metavar("TOKENS")] = Field(default=None, ge=1)
    """The tokens that an input is cut to. Where it is not given, what the model allows."""
    dtype: Annotated[Dtype, Metavar("NAME")] = "auto"
    """The numbers that the model computes in: auto is the checkpoint's own; or float32, bfloat16, float16."""
    device: Annotated[str | None, Metavar("NAME")] = None
    """Where the model computes: cpu, cuda, or auto to spread it over several devices. Where it is not given, a GPU is
    taken if there is one."""

    def options(self) -> dict[str, Any]:
        """The same as keywords of `open_reward_model`."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class LoRASettings(Settings):
    """A low-rank adapter (Hu et al. 2021), made by PEFT; the base weights stay as they are."""

    group = "Training an adapter"

    r: int = Field(default=16, ge=1)
    """The rank of the update."""
    alpha: int = Field(default=32, ge=1)
    """The update is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The dropout before the adapter while it is trained. For DPO, TRL switches it off with all other dropout."""
    target_modules: Annotated[
        str | tuple[str, ...], Names("--lora-modules"), Commas(), Metavar("NAME,...")
    ] = "all-linear"
    """The names of the linear layers that get an adapter. `all-linear` is every one but the output layer."""
