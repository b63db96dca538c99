"""The one place where a reference becomes a model whose insides can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.models import EndpointModel, Opening
from backfire.models.local_policy import open_local


def test_a_reference_is_opened_as_asked_and_an_opened_model_stays(tiny_llama: Path) -> None:
    model = open_local(tiny_llama, Opening(dtype="float32", device="cpu"))
    assert model.name == str(tiny_llama)
    assert open_local(model) is model
    with pytest.raises(InputError, match="is opened already: leave out dtype, or give its reference"):
        open_local(model, Opening(dtype="float32"))


def test_an_endpoint_shows_nothing_inside() -> None:
    with pytest.raises(InputError, match=r"'openai:m.*shows no gradients: name a checkpoint folder"):
        open_local("openai:m@http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match="shows no hidden states"):
        open_local(EndpointModel("m", "http://127.0.0.1:9/v1"), lacks="hidden states")
