"""A batch from which rows go as they end writes what a batch of transformers writes that runs until its longest row ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from backfire.models import LocalModel, local, open_model
from backfire.models.generating import leaves_rows_out
from backfire.records import Decoding, Prompt, Request
from checkpoints import configuration_of, tokenizer_of

PROMPTS = [Prompt.of(t) for t in ("Hi", "How do I clean a brass lamp?", "word " * 20, "Explain a bicycle.")]
GREEDY = Decoding(40, temperature=0)
DECODINGS = [
    GREEDY,
    Decoding(40, temperature=0, repetition_penalty=1.3),
    Decoding(40, temperature=2.0),
    Decoding(40, temperature=0.7, top_k=40, repetition_penalty=1.2),
    Decoding(40, temperature=1.0, top_p=0.9),
]


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen2", "sliding window"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    family = "mistral" if request.param == "sliding window" else request.param
    return tiny(
        tmp_path_factory.mktemp("generating"),
        family,
        {"sliding_window": 16} if family != request.param else {},
    )


def tiny(folder: Path, family: str, more: dict[str, int] | None = None) -> LocalModel:
    import torch

    tokenizer = tokenizer_of(family)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        AutoModelForCausalLM.from_config(configuration_of(family, tokenizer, **(more or {}))).save_pretrained(
            folder
        )
    tokenizer.save_pretrained(folder)
    opened = open_model(folder)
    assert isinstance(opened, LocalModel)
    return opened


def requests(model: LocalModel, decoding: Decoding, n: int = 4) -> list[Request]:
    return [Request(p, model.id, model.template_digest, decoding, 0, i) for p in PROMPTS for i in range(n)]


@contextmanager
def sizes_of(model: LocalModel) -> Iterator[list[tuple[int, int]]]:
    """Rows and columns of ids of every forward pass."""
    sizes: list[tuple[int, int]] = []
    hook = model.model.register_forward_pre_hook(
        lambda _, args, given: sizes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    yield sizes
    hook.remove()


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
def test_texts_are_those_of_a_whole_batch(
    model: LocalModel, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = model.generate(requests(model, decoding))
    monkeypatch.setattr(local, "leaves_rows_out", lambda _: False)
    whole = model.generate(requests(model, decoding))
    apart = sum(a != b for a, b in zip(ours, whole, strict=True))
    assert apart <= (0 if decoding.greedy else 4), (
        "rounding moves few samples of sixteen; other random numbers move all"
    )


def test_rows_go_as_they_end_and_a_prompt_is_read_once(model: LocalModel) -> None:
    with sizes_of(model) as sizes:
        answers = model.generate(requests(model, Decoding(60, temperature=9.0), n=24))
    assert sizes[0][0] == len(PROMPTS), "one reading of a prompt for all of its samples"
    written = [(g.tokens or 0) + (g.stop_reason == "eos") for g in answers]
    assert len(set(written)) > 3, "some end early"
    assert [rows for rows, _ in sizes[1:]] == [
        sum(count > step for count in written) for step in range(1, max(written))
    ]


def test_the_same_prompts_alone_or_together(model: LocalModel) -> None:
    together = model.generate(requests(model, GREEDY, n=1))
    assert together == [model.generate([one])[0] for one in requests(model, GREEDY, n=1)]


def test_a_model_whose_cache_has_no_rows_goes_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = tiny(tmp_path, "llama")
    assert leaves_rows_out(opened.model)
    peft = pytest.importorskip("peft")
    wrapped = peft.get_peft_model(
        opened.model, peft.LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
    )
    assert leaves_rows_out(wrapped)
    monkeypatch.setattr(type(opened.model), "forward", lambda self, input_ids, **more: None)
    assert not leaves_rows_out(opened.model)
