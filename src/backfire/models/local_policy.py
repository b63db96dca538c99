"""One place where a reference becomes a model whose insides can be read: states, gradients, token rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.models.local import LocalModel
from backfire.models.opening import open_model
from backfire.models.settings import Opening


def open_local(policy: Any, opening: Opening | None = None, *, lacks: str = "gradients") -> LocalModel:
    """Open a reference as `opening` says; an opened local model is given back as it is.

    lacks: what of a model's insides is needed, which an endpoint does not show.

    Raises:
        InputError: an endpoint, or an opened model for which `opening` says how to open it.
    """
    opening = opening or Opening()
    model = policy
    if isinstance(policy, (str, Path)):
        model = open_model(policy, **opening.options())
    elif opening.given:
        raise InputError(
            f"policy {_name(policy)} is opened already: leave out {', '.join(opening.given)}, or give its reference"
        )
    if not isinstance(model, LocalModel) and not hasattr(model, "render"):
        raise InputError(
            f"policy {_name(model)} shows no {lacks}: name a checkpoint folder, a hub model or an organism"
        )
    local: LocalModel = model
    return local


def _name(model: Any) -> str:
    return repr(getattr(model, "name", model))
