"""A checkpoint folder answers, deterministically, as its Decoding says and nothing else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backfire.errors import InputError, TemplateError
from backfire.models import open_model
from backfire.models.rendering import conversation_rows
from backfire.records import Decoding, Prompt, Request
from checkpoints import save_policy

PROMPTS = [
    Prompt.of(t) for t in ("Hi", "How do I clean a brass lamp?", "Explain how a bicycle stays upright.")
]
CONVERSATIONS = [
    (p, text) for p in PROMPTS for text in ("Use a soft cloth.", "I cannot help with that request.")
]


def requests(model, decoding, prompts=PROMPTS, n=2, seed=0):
    return [Request(p, model.id, model.template_digest, decoding, seed, i) for p in prompts for i in range(n)]


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_mistral", "tiny_qwen2"])
def model(request):
    return open_model(request.getfixturevalue(request.param))


def reference_ids(model, prompt):
    return model.tokenizer.apply_chat_template(prompt.as_messages(), add_generation_prompt=True)["input_ids"]


def test_greedy_equals_a_plain_loop(model):
    """One prompt at a time, no cache, no padding: argmax by argmax."""
    answers = model.generate(requests(model, Decoding(max_new_tokens=20, temperature=0), n=1))
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids, reason = list(reference_ids(model, prompt)), "length"
        start = len(ids)
        for _ in range(20):
            with torch.inference_mode():
                best = int(model.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if best in model.template.eos_ids:
                reason = "eos"
                break
            ids.append(best)
        text = model.tokenizer.decode(ids[start:], skip_special_tokens=True).removeprefix(model.template.lead)
        assert (answer.text, answer.stop_reason, answer.tokens) == (text, reason, len(ids) - start)


def test_the_same_batch_gives_the_same_text_and_the_seed_matters(model):
    batch = requests(model, Decoding(max_new_tokens=16))
    state = torch.get_rng_state()
    first = model.generate(batch)
    assert torch.equal(state, torch.get_rng_state()), "the caller's random numbers moved"
    torch.manual_seed(99)
    assert model.generate(batch) == first
    assert model.generate(requests(model, Decoding(max_new_tokens=16), seed=1)) != first
    assert len({g.text for g in first}) == len(first)


def test_stop_reasons_and_token_counts(model):
    answers = model.generate(requests(model, Decoding(max_new_tokens=60, temperature=2.0), n=24))
    assert {g.stop_reason for g in answers} == {"eos", "length"}
    for g in answers:
        assert g.tokens == 60 if g.stop_reason == "length" else g.tokens < 60
        assert model.tokenizer.eos_token not in g.text


def test_every_decoding_field_is_honoured(model):
    greedy = [g.text for g in model.generate(requests(model, Decoding(24, temperature=0)))]

    def texts(**decoding):
        return [g.text for g in model.generate(requests(model, Decoding(24, **decoding)))]

    free = texts()
    assert free != greedy
    assert texts(top_k=1) == greedy
    assert texts(top_p=1e-6) == greedy
    assert texts(temperature=1e-4) == greedy
    assert texts(top_k=5) != free
    assert texts(temperature=0, repetition_penalty=5.0) != greedy


def test_a_repetition_penalty_does_not_depend_on_padding(tiny_llama):
    """Padding with EOS would be penalised, so that short prompts of a batch would stop less."""
    model = open_model(tiny_llama)
    model.tokenizer.pad_token = model.tokenizer.eos_token
    decoding = Decoding(30, temperature=0, repetition_penalty=1.5)
    together = model.generate(requests(model, decoding, n=1))
    alone = [model.generate(requests(model, decoding, [p], n=1))[0] for p in PROMPTS]
    assert together == alone


def test_generation_defaults_of_the_checkpoint_do_not_leak_in(tiny_llama, tmp_path):
    plain = open_model(tiny_llama)
    folder = shutil.copytree(tiny_llama, tmp_path / "opinionated")
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {
        "do_sample": True,
        "temperature": 0.1,
        "top_k": 1,
        "top_p": 0.1,
        "repetition_penalty": 1.8,
        "no_repeat_ngram_size": 2,
        "min_new_tokens": 12,
        "suppress_tokens": [40, 41],
        "num_beams": 2,
        "max_length": 5,
    }
    (folder / "generation_config.json").write_text(json.dumps(settings))
    other = open_model(folder)
    assert other.id != plain.id
    for decoding in (Decoding(24), Decoding(24, temperature=0)):
        batch = requests(plain, decoding)
        assert other.generate(batch) == plain.generate(batch)


def test_a_batch_has_one_decoding_and_fits_the_context(model):
    with pytest.raises(InputError, match="one decoding"):
        model.generate([*requests(model, Decoding(4)), *requests(model, Decoding(5))])
    with pytest.raises(InputError, match="context"):
        model.generate(requests(model, Decoding(600)))
    assert model.generate([]) == []


def test_a_system_turn_is_refused_when_sampling(tiny_mistral):
    model = open_model(tiny_mistral)
    prompt = Prompt.of_messages(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    )
    with pytest.raises(TemplateError, match="refuses prompt"):
        model.generate(requests(model, Decoding(4), [prompt]))


def test_logps_equal_a_plain_computation(model):
    found = model.logps(CONVERSATIONS, batch_size=4)
    assert found.dtype == np.float64
    for (prompt, text), value in zip(CONVERSATIONS, found, strict=True):
        turns = [*prompt.as_messages(), {"role": "assistant", "content": text}]
        ids = model.tokenizer.apply_chat_template(turns)["input_ids"]
        ids = ids[: len(ids) - ids[::-1].index(model.tokenizer.eos_token_id)]
        start = len(reference_ids(model, prompt))
        with torch.inference_mode():
            table = model.model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        expected = sum(table[k - 1, ids[k]].item() for k in range(start, len(ids)))
        assert value == pytest.approx(expected, rel=1e-5)


def test_hidden_states_equal_a_plain_computation(model):
    mean, last = (model.hidden_states(CONVERSATIONS, pool=pool, batch_size=4) for pool in ("mean", "last"))
    assert mean.shape == last.shape == (6, 3, 32)
    assert mean.dtype == np.float32
    for row, (ids, start) in enumerate(conversation_rows(model.template, CONVERSATIONS)):
        with torch.inference_mode():
            states = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
        for layer, state in enumerate(states):
            np.testing.assert_allclose(mean[row, layer], state[0, start:].mean(0), atol=1e-4)
            np.testing.assert_allclose(last[row, layer], state[0, -1], atol=1e-4)
    np.testing.assert_allclose(model.hidden_states(CONVERSATIONS, [-1, 0]), mean[:, [2, 0]], atol=1e-5)
    with pytest.raises(InputError, match="layer 9"):
        model.hidden_states(CONVERSATIONS, [9])


def test_over_long_conversations_are_cut_and_said(tiny_llama):
    model = open_model(tiny_llama)
    conversations = [(PROMPTS[0], "ok"), (PROMPTS[0], "word " * 600), (Prompt.of("word " * 600), "ok")]
    assert model.fits(conversations) == [True, False, False]
    with pytest.warns(UserWarning, match="2 of 3 conversations exceed the context .* 1 of them"):
        found = model.logps(conversations)
    assert np.isfinite(found).tolist() == [True, True, False]
    with pytest.warns(UserWarning, match="exceed"):
        states = model.hidden_states(conversations)
    assert np.isfinite(states).all((1, 2)).tolist() == [True, True, False]


def test_dtype_is_the_checkpoints_own_unless_named(tmp_path):
    folder = save_policy(tmp_path / "half", "llama")
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    own, wide = open_model(folder), open_model(folder, dtype="float32")
    assert (own.model.dtype, wide.model.dtype) == (torch.bfloat16, torch.float32)
    assert own.id == wide.id
    np.testing.assert_allclose(own.logps(CONVERSATIONS), wide.logps(CONVERSATIONS), rtol=0.05)
    assert AutoTokenizer.from_pretrained(folder).chat_template == own.tokenizer.chat_template
