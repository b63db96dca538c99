"""The best step of a watched training: which it is, and its weights, beside those of the last step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backfire.errors import InputError
from backfire.models.logps import inner_model
from backfire.models.sharded import is_sharded, spread, whole_on_first
from backfire.store import artifact, read_json
from backfire.training.watch_points import WatchPoint

FOLDER = "best"
POINT = "watch_point.json"


def better(one: WatchPoint, other: WatchPoint | None) -> bool:
    """Whether one measured step is better than an earlier one.

    The better step refuses the larger share of the harmful prompts. Where the shares are equal, it refuses fewer of the benign
    prompts; where these are equal, too, the later step counts as better. A step at which no prompts were answered is never
    better.
    """
    if one.refused is None or one.refused.rate is None:
        return False
    return other is None or _key(one) >= _key(other)


def _key(point: WatchPoint) -> tuple[float, float]:
    refused = None if point.refused is None else point.refused.rate
    needless = None if point.needless_refusals is None else point.needless_refusals.rate
    return (-1.0 if refused is None else refused, -(needless or 0.0))


def save_step(model: Any, tokenizer: Any, folder: Path, point: WatchPoint) -> None:
    """Write a checkpoint folder, or an adapter folder, of the model as it is, in place of an earlier one; whole or not at all.

    Where processes share the model, all of them call this, and the first one writes.
    """
    whole = whole_on_first(model) if is_sharded(model) else None
    if is_sharded(model) and whole is None:
        return
    with artifact(folder, {"watched_step": point.step}) as aside:
        if inner_model(model) is not model:
            # Left to itself, PEFT would look for the base's configuration on the hub.
            model.save_pretrained(aside, save_embedding_layers=False)
            (aside / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        else:
            model.save_pretrained(aside, state_dict=whole)
        tokenizer.save_pretrained(aside)
        (aside / POINT).write_text(
            point.model_dump_json(exclude_none=True, indent=1) + "\n", encoding="utf-8"
        )


def saved_step(folder: Path) -> WatchPoint | None:
    """The measurement of the step whose weights a folder holds; None where it holds none."""
    path = folder / POINT
    if not path.is_file():
        return None
    try:
        return WatchPoint.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        raise InputError(f"{path} is no measurement ({error}): remove {folder}, and train again") from error


def forget_step(folder: Path) -> None:
    """Remove the weights of an earlier training's best step."""
    if (folder / POINT).is_file():
        shutil.rmtree(folder)


def saved_weights(folder: Path) -> dict[str, Any]:
    """The weights of a saved step, whole, by name."""
    from safetensors.torch import load_file

    return {name: w for file in sorted(folder.glob("*.safetensors")) for name, w in load_file(file).items()}


def load_step(model: Any, folder: Path) -> None:
    """Put the weights of a saved step into the model, in the dtype that it has. Where processes share it, all of them call this."""
    import torch

    if is_sharded(model):
        spread(model, saved_weights(folder))
        return
    inner = inner_model(model)
    with torch.no_grad():
        if inner is not model:
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(model, load_peft_weights(str(folder), device=str(model.device)))
            return
        fresh = type(model).from_pretrained(folder, dtype=model.dtype, local_files_only=True)
        model.load_state_dict(fresh.state_dict())
