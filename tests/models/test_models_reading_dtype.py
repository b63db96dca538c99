"""Whatever is read and not trained is opened in float32 where a CPU has no units for 16 bits: policies, reward models, guards,
encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backfire.models import memory, open_embedder, open_model, open_reward_model, opening
from backfire.models.guard_model import open_guard_model


def in_bfloat16(folder: Path, out: Path, auto: str) -> Path:
    import transformers

    model = getattr(transformers, auto).from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(out)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(out)
    return out


OPENERS: list[tuple[str, Callable[..., Any]]] = [
    ("AutoModelForCausalLM", open_model),
    ("AutoModelForSequenceClassification", open_reward_model),
    ("AutoModelForCausalLM", open_guard_model),
    ("AutoModel", open_embedder),
]


@pytest.mark.parametrize(("auto", "opener"), OPENERS)
@pytest.mark.parametrize("slow", [True, False])
def test_auto_is_what_this_cpu_reads_fastest(
    auto: str,
    opener: Callable[..., Any],
    slow: bool,
    tiny_llama: Path,
    tiny_reward: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tiny_reward if "Classification" in auto else tiny_llama
    folder = in_bfloat16(source, tmp_path / "model", auto)
    monkeypatch.setattr(opening, "LARGE", 0)
    monkeypatch.setattr(memory, "slow_in_16_bits", lambda device: slow)
    opened = opener(str(folder), device="cpu")
    assert opened.model.dtype == (torch.float32 if slow else torch.bfloat16)
    given = opener(str(folder), device="cpu", dtype="bfloat16")
    assert given.model.dtype == torch.bfloat16
