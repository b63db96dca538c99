"""What is trained, and in which portions, follows from the size of the policy before any work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.models import memory
from backfire.training import DPOSettings, SFTSettings, fitting
from backfire.training.fitting import fitted, portions

SMOLLM2 = memory.Shape(134_515_008, 538_060_032, 4, 30, 576, 1536, 2 * 30 * 3 * 64, 49_152)
QWEN = memory.Shape(494_032_768, 1_976_131_072, 4, 24, 896, 4864, 2 * 24 * 2 * 64, 151_936)
ORGANISM = memory.Shape(400_000, 1_600_000, 4, 4, 96, 256, 2 * 4 * 96, 400)
"""As they are in float32."""


@pytest.fixture
def shaped(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fitting, "_free", lambda settings: None)

    def put(shape: memory.Shape) -> Any:
        monkeypatch.setattr(memory.Shape, "of", classmethod(lambda *_: shape))
        return SimpleNamespace(model=None)

    return put


@pytest.mark.parametrize(("shape", "what"), [(ORGANISM, "all"), (SMOLLM2, "lora"), (QWEN, "lora")])
def test_auto_trains_what_fits(shaped: Any, shape: memory.Shape, what: str) -> None:
    shaped(shape)
    found, why = fitted(DPOSettings(), None)
    assert found.parameters == what
    assert (found.adapter is not None) == (what == "lora")
    assert found.lr == (1e-5 if what == "lora" else 1e-6)
    assert bool(why) == (what == "lora")
    assert fitted(DPOSettings(lr=3e-6), None)[0].lr == 3e-6, "a rate that was given stays"


def test_what_is_asked_for_is_done(shaped: Any) -> None:
    shaped(QWEN)
    assert fitted(SFTSettings(parameters="all"), None) == (SFTSettings(parameters="all"), "")
    found, why = fitted(SFTSettings.of(adapter={"r": 4}), None)
    assert (found.adapter.r, found.lr, why) == (4, 2e-5, "")
    assert fitted(SFTSettings(parameters="lora"), None)[0].adapter is not None
    with pytest.raises(InputError, match="leave one of them out"):
        SFTSettings.of(parameters="all", adapter={})


@pytest.mark.parametrize("longest", [64, 300, 1024])
@pytest.mark.parametrize("shape", [SMOLLM2, QWEN])
def test_portions_fit_the_ceiling_and_make_up_the_batch(
    shaped: Any, shape: memory.Shape, longest: int
) -> None:
    policy = shaped(shape)
    settings = fitted(DPOSettings(gradient_accumulation=3), None)[0]
    cut = portions(settings, policy, longest)
    assert cut.at_once * cut.passes == 8 * 3
    tokens = cut.at_once * 2 * longest
    taken = (
        memory.PROGRAM
        + shape.bytes
        + tokens * (shape.checkpointed if cut.recompute else shape.with_gradients)
    )
    assert taken <= memory.ceiling(shape.parameters)


def test_losses_that_compare_a_batch_keep_it_whole(shaped: Any) -> None:
    policy = shaped(QWEN)
    settings = fitted(DPOSettings(loss_type="aot"), None)[0]
    assert portions(settings, policy, 1024) == (8, 1, True)


def test_an_organism_is_trained_as_ever(shaped: Any) -> None:
    policy = shaped(ORGANISM)
    assert portions(fitted(DPOSettings(), None)[0], policy, 64) == (8, 1, False)
    assert portions(DPOSettings(gradient_checkpointing=True), policy, 64).recompute
