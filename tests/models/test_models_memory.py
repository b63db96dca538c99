"""Batches from arithmetic: what a model's shape says, and what generation and reading make of it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backfire.errors import ModelError
from backfire.models import memory, open_model
from backfire.records import Decoding, Prompt
from backfire.responses import sample
from backfire.store import Ledger
from models.wide_vocabulary import VOCABULARY, logits_made, save_wide


def test_a_shape_is_what_the_configuration_and_the_weights_say(tiny_qwen2: Path) -> None:
    model = open_model(tiny_qwen2).model
    shape = memory.Shape.of(model)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert (shape.layers, shape.hidden, shape.inner) == (2, 32, 64)
    assert shape.cached == 2 * 2 * 2 * 8, "keys and values of two layers with two heads of eight"
    assert shape.vocabulary == model.config.vocab_size


def test_what_a_layer_keeps_is_no_less_than_autograd_keeps(tmp_path: Path) -> None:
    """Saved tensors of a forward pass, the model's own weights left out, against the arithmetic."""
    model = open_model(save_wide(tmp_path / "wide", hidden=64, layers=3)).model
    weights = {p.data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for p in model.parameters():
        p.requires_grad_(True)
    ids = torch.randint(5, 300, (4, 64))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    assert sum(kept.values()) <= 1.5 * 4 * 64 * memory.Shape.of(model).with_gradients


@pytest.mark.parametrize("adapter", [False, True])
def test_a_prompt_gives_the_logits_of_its_last_position_alone(tmp_path: Path, adapter: bool) -> None:
    model = open_model(save_wide(tmp_path / "wide"))
    if adapter:
        peft = pytest.importorskip("peft")
        settings = peft.LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
        model.model = peft.get_peft_model(model.model, settings)
    prompts = [Prompt.of(f"How do I clean a brass lamp, number {n}?") for n in range(3)]
    with Ledger(tmp_path / "ledger.db") as ledger, logits_made(model.model) as positions:
        sample(model, prompts, ledger=ledger, decoding=Decoding(max_new_tokens=3, temperature=0))
    assert max(positions) == 3


def test_batches_of_generation_fit_and_do_not_change_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_llama: Path
) -> None:
    model = open_model(tiny_llama)
    prompts = [Prompt.of("word " * n) for n in range(1, 13)]
    decoding = Decoding(max_new_tokens=5, temperature=0)
    sizes: list[int] = []
    generate = model.generate
    monkeypatch.setattr(model, "generate", lambda batch: sizes.append(len(batch)) or generate(batch))
    with Ledger(tmp_path / "one.db") as ledger:
        whole = sample(model, prompts, ledger=ledger, decoding=decoding)
    assert sizes == [12]
    monkeypatch.setattr(memory, "batch_room", lambda _: 5 * memory.Shape.of(model.model).at_work * 40)
    sizes.clear()
    with Ledger(tmp_path / "two.db") as ledger:
        parts = sample(model, prompts, ledger=ledger, decoding=decoding)
    assert len(sizes) > 2
    assert sum(sizes) == 12
    assert sizes[:-1] == sorted(sizes[:-1]), "shorter prompts, more at once"
    assert [r.text for r in parts.responses] == [r.text for r in whole.responses]


def test_rows_shrink_with_the_vocabulary_and_the_length(tmp_path: Path, tiny_llama: Path) -> None:
    narrow, wide = open_model(tiny_llama).model, open_model(save_wide(tmp_path / "wide")).model
    assert memory.rows_to_generate(narrow, 50, 500) > memory.rows_to_generate(narrow, 50, 5000)
    assert memory.positions_at_once(VOCABULARY) == memory.PIECE // (16 * VOCABULARY)
    assert memory.tokens_to_read(wide) <= memory.MOST_TOKENS


def test_what_does_not_fit_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free", lambda: 3 * 10**9)
    memory.check_room(10**9, "cpu", "all of it", "take less")
    with pytest.raises(
        ModelError, match=r"all of it takes about 9\.0 GB, and .* GB are free here: take less"
    ):
        memory.check_room(9 * 10**9, "cpu", "all of it", "take less")


BATCHES = """
import sys, torch
from backfire.models import memory, open_model

def resident():
    return 4096 * int(open("/proc/self/statm").read().split()[1])

memory.LARGE = int(sys.argv[2])
model = open_model(sys.argv[1]).model
# A free of 24 MB, after which glibc would keep smaller pieces in its heap.
del [torch.ones(6_000_000)][0]
start = resident()
for width in (300, 400, 500):
    # What a layer keeps, among what it makes and frees.
    pieces = [torch.ones(width * 1000) for _ in range(200)]
    kept = pieces[::4] + pieces[-1:]
    del pieces
memory.release(model)
print((resident() - start) / sum(4 * piece.numel() for piece in kept))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc keeps freed memory so")
def test_freed_memory_of_a_large_model_goes_back(tmp_path: Path) -> None:
    folder = save_wide(tmp_path / "wide")

    def resident_of_kept(large: int) -> float:
        done = subprocess.run(
            [sys.executable, "-c", BATCHES, str(folder), str(large)],
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    assert resident_of_kept(0) < 1.2
    assert resident_of_kept(2**40) > 2
