"""General tasks in bounded memory: the harness's numbers, from the logits of the answers alone."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.evaluation.harness import harness_of, quiet
from backfire.models import memory, open_model
from models.wide_vocabulary import logits_made, save_wide

pytest.importorskip("lm_eval")

QUESTION = list(range(10, 50))
REQUESTS = [
    (("a", "1"), QUESTION, [60]),
    (("a", "2"), QUESTION, [61, 62, 63]),
    (("a", "3"), QUESTION, [64, 65]),
    (("b", "1"), QUESTION[:30], [60, 61]),
    (("b", "2"), QUESTION[:30], [60]),
    (("c", "1"), [7], [8, 9]),
    (("c", "2"), [7], [9]),
    (("d", "1"), list(range(20, 90)), [5, 6, 7]),
    ((None, "long"), list(range(20, 90)) * 9, [5, 6, 7]),
]


@pytest.fixture(scope="module", params=["llama", "mistral", "qwen2"])
def model(request, tmp_path_factory):
    return open_model(save_wide(tmp_path_factory.mktemp("wide"), request.param))


@pytest.mark.parametrize("packing", [True, False])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_numbers_are_the_harnesses(model, batch_size, packing, monkeypatch) -> None:
    from lm_eval.models.huggingface import HFLM

    from backfire.evaluation import harness_model

    assert harness_model.packs(model.model)
    if not packing:
        monkeypatch.setattr(harness_model, "packs", lambda _: False)
    with quiet():
        plain = HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=batch_size)
        expected = plain._loglikelihood_tokens(REQUESTS, disable_tqdm=True)
        found = harness_of(model, batch_size)._loglikelihood_tokens(REQUESTS, disable_tqdm=True)
    assert [a for a, _ in found] == pytest.approx([a for a, _ in expected], rel=1e-4)
    assert [b for _, b in found] == [b for _, b in expected]


def test_an_answer_that_is_likeliest_is_told(model) -> None:
    lm = harness_of(model, 8)
    first = lm._loglikelihood_tokens([(None, QUESTION, [k]) for k in range(0, 50_000, 500)])
    assert not all(greedy for _, greedy in first)
    import torch

    with torch.inference_mode():
        ids = torch.tensor([QUESTION])
        out = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=3, do_sample=False
        )
    best = out[0, len(QUESTION) :].tolist()
    answers = lm._loglikelihood_tokens(
        [(None, QUESTION, best), (None, QUESTION, best[:1]), (None, QUESTION, [3])]
    )
    assert [greedy for _, greedy in answers] == [True, True, False]


@pytest.mark.parametrize("packing", [True, False])
def test_logits_are_made_for_answers_only_and_a_shared_question_is_read_once(
    model, packing, monkeypatch
) -> None:
    from backfire.evaluation import harness_model

    monkeypatch.setattr(harness_model, "packs", lambda _: packing)
    monkeypatch.setattr(memory, "PIECE", 16 * 50_000 * 4)
    read: list[int] = []
    hook = model.model.register_forward_pre_hook(
        lambda _, __, options: read.append(options["input_ids"].numel()), with_kwargs=True
    )
    requests = [(None, QUESTION * 5, [60 + k, 61, 62, 63]) for k in range(4)]
    try:
        lm = harness_of(model, 64)
        lm._loglikelihood_tokens(requests)
        read.clear()
        with logits_made(model.model) as positions:
            lm._loglikelihood_tokens(requests)
    finally:
        hook.remove()
    if packing:
        assert sum(read) == 199 + 4 * 4, (
            "the question once, then its last token and the answers but for theirs"
        )
    elif lm._caches:
        assert sum(read) == 200 + 4 * 3, "the question once, then the answers but for their last tokens"
    else:
        assert sum(read) == 4 * 203, "a window slides over the cache: each answer with its question"
    assert max(positions) <= 4
    assert sum(positions) <= 4 * 4 + 5


def test_what_does_not_fit_goes_in_parts(model, monkeypatch) -> None:
    whole = harness_of(model, 64)._loglikelihood_tokens(REQUESTS)
    monkeypatch.setattr(memory, "batch_room", lambda _: 1)
    parts = harness_of(model, 64)._loglikelihood_tokens(REQUESTS)
    np.testing.assert_allclose([a for a, _ in parts], [a for a, _ in whole], rtol=1e-4)
