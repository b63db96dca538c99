"""A pass that ends at a block gives the model's own states, runs nothing after it, and leaves the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backfire.models import blocks, open_model
from backfire.models.forward_pass import Reader
from backfire.records import Prompt


@pytest.fixture(params=["tiny_llama", "tiny_mistral", "tiny_qwen2"])
def model(request: pytest.FixtureRequest) -> Any:
    return open_model(request.getfixturevalue(request.param))


def rows(model: Any) -> list[tuple[list[int], int]]:
    texts = [("Hi", "Use a soft cloth."), ("How do I clean a lamp?", "I cannot help."), ("Why?", "No. " * 20)]
    rendered = model.render([(Prompt.of(p), a, a) for p, a in texts])
    return list(rendered.rows("chosen"))


def hooks_of(model: Any) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.model.modules())


def test_states_of_any_layers_are_the_models_own(model: Any) -> None:
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 3]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    with torch.inference_mode():
        own = model.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        for layers in ([0], [1], [len(own) - 1], [1, len(own) - 1], range(len(own))):
            seen = blocks.states_at(model.model, ids, mask, list(layers))
            assert sorted(seen) == list(layers)
            for layer, state in seen.items():
                torch.testing.assert_close(state[mask.bool()], own[layer][mask.bool()], atol=1e-5, rtol=1e-5)
    assert blocks._BLOCKS_AGREE[model.model] is True


def test_neither_later_blocks_nor_the_head_run(model: Any) -> None:
    ran: list[str] = []
    watched = {"head": model.model.lm_head, "last": model.model.model.layers[-1]}
    reader = Reader(model.model, model.name, model.filler)
    reader.read(rows(model), scored=False, layers=[1])
    before = hooks_of(model)
    hooks = [m.register_forward_hook(lambda *_, name=n: ran.append(name)) for n, m in watched.items()]
    reader.read(rows(model), scored=False, layers=[1])
    assert ran == []
    reader.read(rows(model), scored=False, layers=[-1])
    assert set(ran) == {"last"}
    for hook in hooks:
        hook.remove()
    assert hooks_of(model) == before


def test_a_model_whose_blocks_are_not_found_runs_whole(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = open_model(tiny_llama)
    reader = Reader(model.model, model.name, model.filler)
    known = reader.read(rows(model), scored=False, layers=[1, 2]).states
    other: Any = open_model(tiny_llama)
    monkeypatch.setattr(blocks, "_blocks", lambda _: None)
    whole = (
        Reader(other.model, other.name, other.filler).read(rows(other), scored=False, layers=[1, 2]).states
    )
    assert blocks._BLOCKS_AGREE[other.model] is False
    np.testing.assert_allclose(known, whole, atol=1e-5)


def test_each_layer_has_its_own_pool(model: Any) -> None:
    some = rows(model)
    found = Reader(model.model, model.name, model.filler).read(
        some, scored=False, layers=[1, -1, -1], pool=("mean", "predicting", "last")
    )
    with torch.inference_mode():
        for (ids, start), got in zip(some, found.states, strict=True):
            own = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
            np.testing.assert_allclose(got[0], own[1][0, start:].mean(0), atol=1e-4)
            np.testing.assert_allclose(got[1], own[-1][0, start - 1 : -1].mean(0), atol=1e-4)
            np.testing.assert_allclose(got[2], own[-1][0, -1], atol=1e-4)
