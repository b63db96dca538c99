"""Reward models of several architectures score a pair as the plain transformers call does."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DebertaV2Config

from backfire.errors import InputError, ModelError
from backfire.models import open_reward_model
from backfire.records import Prompt
from checkpoints import save_policy, save_reward, tokenizer_of

PAIRS = [
    (Prompt.of(question), answer)
    for question in ("Hi", "How do I clean a brass lamp without scratching it?")
    for answer in ("Yes.", "Use a soft cloth and warm water, then let it dry in the sun for two hours.", "")
]


@pytest.fixture(scope="module")
def deberta(tmp_path_factory):
    """DeBERTa-v2 architecture (v3 has it too): relative positions, [CLS] question [SEP] answer [SEP]."""
    from tokenizers import processors

    folder = tmp_path_factory.mktemp("reward") / "deberta"
    tokenizer = tokenizer_of("qwen2")
    tokenizer.chat_template = None
    tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    cls, sep = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]"])
    tokenizer.backend_tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    tokenizer.model_max_length = 10**30
    configuration = DebertaV2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_labels=1,
        intermediate_size=64, max_position_embeddings=64, relative_attention=True, position_buckets=16,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0,
        position_biased_input=False, pad_token_id=tokenizer.pad_token_id, initializer_range=0.5,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_config(configuration).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def plain_scores(folder, encode):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [model(**encode(tokenizer, p, text)).logits[0, 0].item() for p, text in PAIRS]


def as_pair(tokenizer, prompt, text):
    return tokenizer(prompt.text, text, return_tensors="pt")


def as_chat(tokenizer, prompt, text):
    turns = [*prompt.as_messages(), {"role": "assistant", "content": text}]
    return tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)


def test_deberta_scores_question_and_answer_as_a_pair(deberta):
    model = open_reward_model(deberta)
    found = model.score(PAIRS, batch_size=4)
    assert found == pytest.approx(plain_scores(deberta, as_pair), abs=1e-4)
    assert max(found) - min(found) > 0.01
    assert (model.max_length, model.truncated) == (64, 0)


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2"])
def test_causal_classifiers_score_through_their_template(family, tmp_path):
    folder = save_reward(tmp_path / family, family)
    found = open_reward_model(folder).score(PAIRS, batch_size=4)
    assert found == pytest.approx(plain_scores(folder, as_chat), abs=1e-4)
    assert len({round(v, 4) for v in found}) == len(PAIRS)


def test_without_a_padding_token_rows_go_one_at_a_time(tiny_reward, tmp_path):
    folder = shutil.copytree(tiny_reward, tmp_path / "unpadded")
    for name in ("config.json", "tokenizer_config.json"):
        settings = json.loads((folder / name).read_text())
        settings = {k: v for k, v in settings.items() if k not in ("pad_token_id", "pad_token")}
        (folder / name).write_text(json.dumps(settings))
    assert open_reward_model(folder).score(PAIRS) == pytest.approx(
        open_reward_model(tiny_reward).score(PAIRS), abs=1e-4
    )


def test_cut_inputs_are_counted(deberta):
    model = open_reward_model(deberta)
    long = [(PAIRS[0][0], "word " * 200), (PAIRS[0][0], "word " * 300), PAIRS[0]]
    found = model.score(long)
    assert model.truncated == 2
    assert found[2] == pytest.approx(open_reward_model(deberta).score([PAIRS[0]])[0], abs=1e-4)
    assert open_reward_model(deberta, max_length=32).id != model.id
    with pytest.raises(InputError, match="max_length 0: at least 1"):
        open_reward_model(deberta, max_length=0)


def test_a_head_that_was_never_trained_is_refused(tmp_path):
    folder = save_policy(tmp_path / "policy", "llama")
    with pytest.raises(ModelError, match=r"lacks weights of LlamaForSequenceClassification.*score\.weight"):
        open_reward_model(folder)


def test_several_labels_need_a_choice(tmp_path):
    folder = save_reward(tmp_path / "three", labels=3)
    with pytest.raises(ModelError, match=r"3 labels .*LABEL_0, LABEL_1, LABEL_2.*label="):
        open_reward_model(folder)
    with pytest.raises(ModelError, match="no label 'good'"):
        open_reward_model(folder, label="good")
    second, third = open_reward_model(folder, label="LABEL_1"), open_reward_model(folder, label=2)
    assert second.id != third.id
    assert second.score(PAIRS) != third.score(PAIRS)


def test_progress_ends_at_the_number_of_pairs(tiny_reward):
    seen = []
    open_reward_model(tiny_reward).score(PAIRS, batch_size=2, progress=lambda *at: seen.append(at))
    assert seen == [(2, 6), (4, 6), (6, 6)]
