"""Which weights an adapter was trained on, kept beside it, so that it is not put on others of the same shape unseen."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from backfire.errors import ModelError
from backfire.store import write_text

FILE = "base.json"
VALUES = 256
"""About so many values of each weight matrix go into the digest, spread over the whole of it."""


class AdapterBase(BaseModel):
    """The file beside an adapter."""

    model_config = ConfigDict(frozen=True)

    policy: str
    """How the base was named when the adapter was trained."""
    weights: str
    """`weights_digest` of it."""


def weights_digest(model: Any) -> str | None:
    """Digest of values of every weight of an opened model, each rounded to bfloat16.

    It is the same for a checkpoint in other shards, for its GGUF file if the weights are not packed, and for a model that was
    opened in float32 or bfloat16. None where the weights do not lie there as numbers: quantized or offloaded ones.
    """
    import torch

    hashed = sha256()
    for name, weight in sorted(model.named_parameters()):
        if weight.is_meta or not weight.is_floating_point():
            return None
        flat = weight.detach().reshape(-1)
        values = flat[:: max(1, flat.numel() // VALUES)].to("cpu", torch.bfloat16).contiguous()
        hashed.update(f"{name} {tuple(weight.shape)}".encode())
        hashed.update(values.view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


def write_base(adapter: Path, *, policy: str, weights: str | None) -> None:
    """Say beside an adapter what it was trained on; nothing where no digest could be made."""
    if weights is not None:
        base = AdapterBase(policy=policy, weights=weights)
        write_text(adapter / FILE, base.model_dump_json(indent=2) + "\n")


def check_base(adapter: Path, model: Any, name: str | Path) -> None:
    """ModelError where an adapter was trained on other weights than those of `model`, which is called `name`.

    Adapters without the file are taken as they are: other programs wrote them. So are models that were opened in float16,
    whose values round otherwise, and those that `weights_digest` cannot read.
    """
    import torch

    path = adapter / FILE
    if not path.is_file():
        return
    try:
        base = AdapterBase.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise ModelError(
            f"{path} does not say what the adapter was trained on ({error}): train it again"
        ) from error
    if any(weight.dtype == torch.float16 for weight in model.parameters()):
        return
    weights = weights_digest(model)
    if weights is not None and weights != base.weights:
        raise ModelError(
            f"adapter {adapter} was trained on {base.policy}, whose weights are not those of {name}: name the model that "
            f"it was trained on, or, if it is meant for this one, remove {path}"
        )
