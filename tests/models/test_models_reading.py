"""One pass gives what a plain computation gives, once for each conversation, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from backfire.errors import ModelError
from backfire.models import memory, open_model
from backfire.records import Prompt
from checkpoints import save_policy

QUESTIONS = ("Hi", "How do I clean a brass lamp?", "Explain how a bicycle stays upright, " * 6)
ANSWERS = ("", "Use a soft cloth.", "I cannot help with that request. " * 4)
CONVERSATIONS = [(Prompt.of(q), a) for q in QUESTIONS for a in ANSWERS]


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_mistral", "tiny_qwen2"])
def model(request):
    return open_model(request.getfixturevalue(request.param))


def plainly(model, conversation):
    """Row by row without padding: log-probability in float64, tokens, states averaged by a slice."""
    prompt, text = conversation
    turns = [*prompt.as_messages(), {"role": "assistant", "content": text}]
    ids = model.tokenizer.apply_chat_template(turns)["input_ids"]
    ids = ids[: len(ids) - ids[::-1].index(model.tokenizer.eos_token_id)]
    start = len(
        model.tokenizer.apply_chat_template(prompt.as_messages(), add_generation_prompt=True)["input_ids"]
    )
    with torch.inference_mode():
        out = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    table = out.logits[0].double().log_softmax(-1)
    logp = sum(table[k - 1, ids[k]].item() for k in range(start, len(ids)))
    return logp, len(ids) - start, torch.stack([s[0, start:].mean(0) for s in out.hidden_states]).numpy()


@pytest.fixture
def passes(model):
    """How many rows each forward pass had."""
    rows = []
    hook = model.model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    yield rows
    hook.remove()


@pytest.mark.parametrize("size", [1, 4, 32])
def test_a_reading_equals_a_plain_computation_whatever_the_batch(model, size):
    found = model.read(CONVERSATIONS, batch_size=size)
    expected = [plainly(model, c) for c in CONVERSATIONS]
    assert (found.logps.dtype, found.tokens.dtype, found.states.dtype) == (np.float64, np.int64, np.float32)
    np.testing.assert_allclose(found.logps, [e[0] for e in expected], rtol=1e-5)
    assert found.tokens.tolist() == [e[1] for e in expected]
    assert found.tokens.min() >= 1, "an empty response still closes with EOS"
    np.testing.assert_allclose(found.states, np.stack([e[2] for e in expected]), atol=1e-4)


def test_one_pass_gives_what_the_two_give(model, passes):
    found = model.read(CONVERSATIONS, batch_size=4)
    assert passes == [4, 4, 1]
    assert np.array_equal(found.logps, model.logps(CONVERSATIONS, batch_size=4))
    assert passes == [4, 4, 1] * 2
    np.testing.assert_allclose(found.states, model.hidden_states(CONVERSATIONS, batch_size=4), atol=1e-6)


def test_progress_counts_conversations_and_nothing_is_nothing(model):
    told = []
    model.read(CONVERSATIONS, batch_size=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 9), (8, 9), (9, 9)]
    empty = model.read([])
    assert (empty.logps.shape, empty.tokens.shape, empty.states.shape) == ((0,), (0,), (0, 3, 32))


def test_little_room_means_small_batches_and_pieces_but_the_same_numbers(model, passes, monkeypatch):
    long = [(Prompt.of("Hi"), "a soft cloth and warm water " * n) for n in (9, 10, 11, 12)]
    wide = model.read(long)
    assert passes == [4]
    monkeypatch.setattr(memory, "batch_room", lambda _: 1)
    monkeypatch.setattr(memory, "PIECE", 3 * 16 * model.model.config.vocab_size)
    narrow = model.read(long)
    assert len(passes) > 2, "256 tokens a batch at the least"
    np.testing.assert_allclose(narrow.logps, wide.logps, rtol=1e-5)
    np.testing.assert_allclose(narrow.states, wide.states, atol=1e-4)


def test_no_more_logits_are_made_than_responses_need(model):
    shapes = []
    head = model.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, args, out: shapes.append(tuple(out.shape)))
    try:
        conversation = (Prompt.of("Explain how a bicycle stays upright, " * 6), "Use a soft cloth.")
        tokens = int(model.read([conversation]).tokens[0])
        model.hidden_states([conversation])
    finally:
        hook.remove()
    sizes = [int(np.prod(shape[:-1])) for shape in shapes]
    assert max(sizes) <= tokens
    assert sum(sizes) <= tokens + 3, "the last position of a pass comes for nothing"


def test_where_no_response_token_fits_there_is_no_number(tiny_llama):
    model, told = open_model(tiny_llama), []
    conversations = [
        (Prompt.of("word " * 600), "ok"),
        (Prompt.of("Hi"), "ok"),
        (Prompt.of("Hi"), "word " * 600),
    ]
    with pytest.warns(UserWarning, match="2 of 3 conversations exceed the context .* 1 of them"):
        found = model.read(conversations, progress=lambda *n: told.append(n))
    assert np.isfinite(found.logps).tolist() == [False, True, True]
    assert np.isnan(found.states).all((1, 2)).tolist() == [True, False, False]
    assert np.isfinite(found.states[1:]).all()
    assert (found.tokens[0], told) == (0, [(1, 3), (3, 3)])
    assert found.tokens[2] + len(model.template.prompt_ids([Prompt.of("Hi")])[0]) == model.context


def half_model(folder, factor=1.0):
    save_policy(folder, "llama")
    policy = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    with torch.no_grad():
        policy.get_input_embeddings().weight.mul_(factor)
    policy.save_pretrained(folder)
    return open_model(folder)


def test_a_model_of_sixteen_bits_has_states_of_sixteen(tmp_path):
    model = half_model(tmp_path / "half")
    found = model.read(CONVERSATIONS)
    exact = model.hidden_states(CONVERSATIONS)
    assert (found.states.dtype, exact.dtype) == (np.float16, np.float32)
    np.testing.assert_allclose(found.states, exact, rtol=2**-11, atol=1e-7)
    assert np.array_equal(found.logps, model.logps(CONVERSATIONS))


def test_states_beyond_float16_are_float32(tmp_path):
    model = half_model(tmp_path / "loud", factor=1e6)
    found = model.read(CONVERSATIONS, batch_size=4)
    assert found.states.dtype == np.float32
    assert np.abs(found.states).max() > 65504
    np.testing.assert_allclose(found.states, model.hidden_states(CONVERSATIONS, batch_size=4), rtol=2**-11)


def test_numbers_that_a_model_cannot_give_are_an_error(tiny_llama):
    model = open_model(tiny_llama)
    with torch.no_grad():
        model.model.get_output_embeddings().weight[5] = float("nan")
    with pytest.raises(ModelError, match="NaN or infinity for conversation 8: "):
        model.read(CONVERSATIONS)
    assert np.isfinite(model.hidden_states(CONVERSATIONS)).all()
