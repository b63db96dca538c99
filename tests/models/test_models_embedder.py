"""An encoder folder gives unit vectors, pooled as the folder says, whatever shares the batch."""

from __future__ import annotations

import json
import shutil

import huggingface_hub
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5Model,
)

from backfire.errors import InputError, ModelError
from backfire.models import open_embedder
from checkpoints import SENTENCES

TEXTS = ["Use a soft cloth.", "Paris", *SENTENCES, ""]


def wordpiece(limit=10**30):
    """A BERT tokenizer: [CLS] text [SEP], lower case."""
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=False)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces.train_from_iterator(
        [*SENTENCES, *(s.lower() for s in SENTENCES)],
        trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials, show_progress=False),
    )
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=limit,
    )


def shape(tokenizer):
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.3,
    }


def save(folder, kind, settings, tokenizer, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind(settings, **options).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A random BERT without a pooler, saved by transformers alone."""
    tokenizer = wordpiece()
    folder = tmp_path_factory.mktemp("encoders") / "bert"
    return save(folder, BertModel, BertConfig(**shape(tokenizer)), tokenizer, add_pooling_layer=False)


def sentence_transformer(plain, folder, pooling, *, inner=None, general=None, kinds=("Pooling", "Normalize")):
    """A copy with the files that sentence-transformers writes beside the model's own."""
    shutil.copytree(plain, folder)
    kinds = ("Transformer", *kinds)
    modules = [
        {
            "idx": k,
            "name": str(k),
            "path": f"{k}_{kind}" if k else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for k, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
    (folder / "sentence_bert_config.json").write_text(json.dumps(inner or {"max_seq_length": 48}))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(general or {}))
    return folder


def states_of(folder, text, limit=64):
    """Token states of one text by itself: nothing padded."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


def unit(rows):
    rows = np.stack(rows)
    return rows / np.sqrt((rows**2).sum(1, keepdims=True))


def test_a_plain_encoder_is_pooled_by_the_mean(plain):
    embedder = open_embedder(plain)
    found = embedder.embed(TEXTS)
    assert (found.dtype, found.shape, embedder.name) == (np.float32, (len(TEXTS), 32), str(plain))
    np.testing.assert_allclose(found, unit([states_of(plain, t).mean(0) for t in TEXTS]), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_a_vector_does_not_depend_on_its_batch(plain):
    embedder = open_embedder(plain)
    together = embedder.embed(TEXTS)
    for size in (1, 3):
        np.testing.assert_allclose(embedder.embed(TEXTS, batch_size=size), together, atol=1e-5)
    np.testing.assert_allclose(embedder.embed(TEXTS[::-1], batch_size=4)[::-1], together, atol=1e-5)
    assert embedder.embed([]).shape == (0, 32)


def test_progress_counts_texts(plain):
    told = []
    open_embedder(plain).embed(TEXTS, batch_size=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]


POOLED = {
    "cls": lambda s: s[0],
    "max": lambda s: s.max(0),
    "mean": lambda s: s.mean(0),
    "lasttoken": lambda s: s[-1],
}


@pytest.mark.parametrize(
    ("settings", "modes"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ["cls"]),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, ["max"]),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}, ["mean"]),
        ({"pooling_mode_lasttoken": True, "pooling_mode_cls_token": False}, ["lasttoken"]),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ["cls", "mean"]),
        ({"pooling_mode": "cls"}, ["cls"]),
        ({"pooling_mode": ["mean", "max"]}, ["mean", "max"]),
    ],
)
def test_the_folders_pooling_holds(plain, tmp_path, settings, modes):
    folder = sentence_transformer(plain, tmp_path / "st", settings)
    expected = unit(
        [np.concatenate([POOLED[m](states_of(plain, t, limit=48)) for m in modes]) for t in TEXTS]
    )
    np.testing.assert_allclose(open_embedder(folder).embed(TEXTS, batch_size=4), expected, atol=1e-5)


def test_the_folders_prompt_lower_case_and_length_hold(plain, tmp_path):
    folder = sentence_transformer(
        plain,
        tmp_path / "st",
        {"pooling_mode": "mean"},
        inner={"max_seq_length": 12, "do_lower_case": True},
        general={"prompts": {"query": "Please write: ", "other": "The "}, "default_prompt_name": "query"},
    )
    with pytest.warns(UserWarning, match=r"7 of 10 texts exceed the 12 tokens"):
        found = open_embedder(folder).embed(TEXTS)
    expected = unit([states_of(plain, "please write: " + t.lower(), limit=12).mean(0) for t in TEXTS])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_plain_encoder_reads_as_far_as_its_positions_and_says_so(plain):
    long = "cloth " * 200
    with pytest.warns(UserWarning, match="1 of 2 texts exceed the 64 tokens"):
        found = open_embedder(plain).embed([long, "cloth"])
    np.testing.assert_allclose(found[0], unit([states_of(plain, long).mean(0)])[0], atol=1e-5)


def test_roberta_numbers_its_positions_from_the_padding_token_on(tmp_path):
    tokenizer = wordpiece()
    settings = RobertaConfig(**shape(tokenizer))
    folder = save(tmp_path / "roberta", RobertaModel, settings, tokenizer)
    with pytest.warns(UserWarning, match="exceed the 63 tokens"):
        assert np.isfinite(open_embedder(folder).embed(["cloth " * 200])).all()


def test_a_text_without_tokens_has_no_vector(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "bare")
    settings = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(settings | {"post_processor": None}))
    found = open_embedder(folder).embed(["", "a soft cloth"])
    assert np.isnan(found).all(1).tolist() == [True, False]


def test_a_module_or_pooling_that_is_not_applied_is_refused(plain, tmp_path):
    dense = sentence_transformer(plain, tmp_path / "dense", {}, kinds=("Pooling", "Dense"))
    with pytest.raises(ModelError, match="a module Dense"):
        open_embedder(dense)
    with pytest.raises(ModelError, match="modules Transformer in its"):
        open_embedder(sentence_transformer(plain, tmp_path / "bare", {}, kinds=()))
    weighted = sentence_transformer(plain, tmp_path / "weighted", {"pooling_mode_weightedmean_tokens": True})
    with pytest.raises(ModelError, match="pools by 'weightedmean'"):
        open_embedder(weighted)
    general = {"prompts": {"q": "Represent: "}, "default_prompt_name": "q"}
    prompted = sentence_transformer(plain, tmp_path / "asked", {"include_prompt": False}, general=general)
    with pytest.raises(ModelError, match="leaves its prompt 'Represent: '"):
        open_embedder(prompted)
    (weighted / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        open_embedder(weighted)


def test_what_is_no_encoder_is_refused_with_the_mend(plain, tmp_path):
    with pytest.raises(InputError, match="is an endpoint"):
        open_embedder("openai:text-embedding-3-small")
    with pytest.raises(ModelError, match="no folder"):
        open_embedder(tmp_path / "nowhere")
    pickled = shutil.copytree(plain, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle files can run code"):
        open_embedder(pickled)
    remote = shutil.copytree(plain, tmp_path / "remote")
    settings = json.loads((remote / "config.json").read_text())
    settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (remote / "config.json").write_text(json.dumps(settings))
    (remote / "own.py").write_text("raise SystemExit('remote code ran')")
    with pytest.raises(ModelError, match="without remote code"):
        open_embedder(remote)
    tokenizer = wordpiece()
    t5 = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4)
    with pytest.raises(ModelError, match="name a text encoder"):
        open_embedder(save(tmp_path / "t5", T5Model, t5, tokenizer))


def test_vectors_that_are_not_finite_are_an_error(plain):
    embedder = open_embedder(plain)
    with torch.no_grad():
        embedder.model.embeddings.position_embeddings.weight[20] = float("nan")
    assert np.isfinite(embedder.embed(["Paris"])).all()
    with pytest.raises(ModelError, match="no finite vector for text 1"):
        embedder.embed(["Paris", SENTENCES[0]])


def test_the_pooling_of_a_hub_model_is_fetched_too(plain, tmp_path, monkeypatch):
    """The hub is a folder here; which of its files come is decided by huggingface_hub's own filter."""
    hub = sentence_transformer(plain, tmp_path / "hub", {"pooling_mode": "cls"})
    snapshot = tmp_path / "snapshots" / "abc123"

    def snapshot_download(name, *, allow_patterns, ignore_patterns):
        names = [str(p.relative_to(hub)) for p in hub.rglob("*") if p.is_file()]
        for file in huggingface_hub.utils.filter_repo_objects(
            names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
        ):
            (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(hub / file, snapshot / file)
        return str(snapshot)

    def hf_hub_download(name, file, *, revision):
        assert (name, revision) == ("org/encoder", "abc123")
        if not (hub / file).is_file():
            raise huggingface_hub.errors.LocalEntryNotFoundError("offline")
        return str(hub / file)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    embedder = open_embedder("org/encoder")
    assert not (snapshot / "1_Pooling").exists()
    expected = unit([states_of(plain, t, limit=48)[0] for t in TEXTS])
    np.testing.assert_allclose(embedder.embed(TEXTS), expected, atol=1e-5)
    (hub / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModelError, match="hf download org/encoder"):
        open_embedder("org/encoder")
