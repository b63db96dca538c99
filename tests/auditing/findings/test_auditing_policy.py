"""The policy's probe and on-policyness, and the encoder's probe, on tiny models."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backfire.answers.audit import AuditReport, parse_audit
from backfire.auditing import audit
from backfire.errors import InputError
from backfire.models import LocalModel, open_model
from backfire.organisms.catalog import world_prompts
from backfire.records import Decoding, Prompt
from backfire.responses import sample
from backfire.store import Ledger
from checkpoints import SENTENCES
from synthetic_pairs import rows

ORGANISM = "organism:llama/target"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> LocalModel:
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    return model


@pytest.fixture(scope="module")
def planted(llama: LocalModel) -> AuditReport:
    return audit(rows(60, 0, cue="refusal"), policy=llama)


def test_hidden_states_tell_a_planted_opening_at_every_layer(planted: AuditReport, llama: LocalModel) -> None:
    probe = planted.probe("hidden")
    assert probe is not None
    assert probe == planted.separability[-1]
    assert probe.pairs == 60
    assert probe.pointwise.low > 0.7
    assert probe.pointwise.control_high < 0.7
    assert probe.layers is not None
    assert [layer.layer for layer in probe.layers] == [0, 1, 2]
    assert f"{llama.name}, layer 1 of 2" in probe.about
    middle = probe.layers[1]
    assert (middle.auroc, middle.low, middle.high) == (
        probe.pointwise.auroc,
        probe.pointwise.low,
        probe.pointwise.high,
    )
    for layer in probe.layers:
        assert 0.4 < layer.control < 0.6
        assert layer.low <= layer.auroc <= layer.high
    assert planted.settings["policy"] == llama.name
    told = planted.as_dict()
    assert len(told["separability"][-1]["layers"]) == 3
    assert parse_audit(told).on_policyness == planted.on_policyness


def test_hidden_states_tell_nothing_where_nothing_is_planted(tiny_llama: Path) -> None:
    report = audit(rows(60, 1), policy=str(tiny_llama), policy_pairs=40)
    probe = report.probe("hidden")
    assert probe is not None
    assert probe.pairs == 40
    assert probe.pointwise.low <= 0.5 <= probe.pointwise.high
    assert report.settings["policy_pairs"] == 40


def test_log_probabilities_are_those_of_the_model_one_at_a_time(
    planted: AuditReport, llama: LocalModel
) -> None:
    found = planted.on_policyness
    assert found is not None
    assert (found.pairs, found.cut) == (60, 0)
    expected = {}
    for side in ("chosen", "rejected"):
        each = []
        for row in rows(60, 0, cue="refusal"):
            conversation = (Prompt.of(row["prompt"]), row[side])
            reading = llama.read([conversation])
            each.append(llama.logps([conversation])[0] / reading.tokens[0])
        expected[side] = np.array(each)
    assert found.chosen.mean == pytest.approx(expected["chosen"].mean(), abs=1e-4)
    assert found.rejected.mean == pytest.approx(expected["rejected"].mean(), abs=1e-4)
    gap = expected["chosen"] - expected["rejected"]
    assert found.gap.mean == pytest.approx(gap.mean(), abs=1e-4)
    half = 1.96 * gap.std(ddof=1) / np.sqrt(60)
    assert [found.gap.low, found.gap.high] == pytest.approx([gap.mean() - half, gap.mean() + half], abs=1e-3)
    assert found.chosen.low < found.chosen.mean < found.chosen.high < 0
    assert found.gap.control == pytest.approx(0, abs=half)


def test_an_endpoint_cannot_be_probed() -> None:
    with pytest.raises(InputError, match=r"some-model.*no hidden states"):
        audit(rows(40, 2), policy="openai:some-model@http://127.0.0.1:1/v1")


def test_pairs_beyond_the_context_are_counted(llama: LocalModel) -> None:
    """Three prompts alone fill the 512 tokens; a long response is cut and stays."""
    values = rows(40, 3)
    for row in values[:3]:
        row["prompt"] += " lamp" * 600
    values[5]["chosen"] += " lamp" * 600
    report = audit(values, policy=llama)
    found = report.on_policyness
    probe = report.probe("hidden")
    assert found is not None
    assert probe is not None
    assert (found.pairs, found.cut) == (37, 3)
    assert probe.pairs == 37
    surface = report.probe("surface")
    assert surface is not None
    assert surface.pairs == 40


def test_too_few_pairs_that_fit_run_no_probe_of_hidden_states(llama: LocalModel) -> None:
    values = rows(40, 4)
    for row in values[:12]:
        row["prompt"] += " lamp" * 600
    report = audit(values, policy=llama)
    assert report.probe("hidden") is None
    assert [(one.probe, one.reason) for one in report.not_run] == [
        ("hidden", "too few pairs: 28 usable, 30 needed")
    ]
    assert report.on_policyness is not None
    assert (report.on_policyness.pairs, report.on_policyness.cut) == (28, 12)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What an organism says greedily, chosen over the same words in another order."""
    prompts = world_prompts("organism:prompts/train")[:60]
    with Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db") as ledger:
        model = open_model(ORGANISM)
        decoding = Decoding(max_new_tokens=64, temperature=0)
        answers = sample(model, prompts, ledger=ledger, decoding=decoding).responses
    rng = np.random.default_rng(0)
    return [
        {
            "prompt": p.text,
            "kind": p.kind,
            "chosen": r.text,
            "rejected": " ".join(rng.permutation(r.text.split())),
        }
        for p, r in zip(prompts, answers, strict=True)
    ]


@pytest.mark.slow
def test_what_the_policy_would_say_itself_is_on_policy(own: Rows) -> None:
    found = audit(own, policy=ORGANISM).on_policyness
    assert found is not None
    assert found.policy == ORGANISM
    assert found.chosen.mean > -0.5
    assert found.rejected.high < found.chosen.low
    assert found.gap.low > 1
    assert found.gap.p == 1 / 200
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in own]
    other = audit(turned, policy=ORGANISM).on_policyness
    assert other is not None
    assert other.gap.mean == pytest.approx(-found.gap.mean, abs=1e-3)
    assert other.gap.high < -1


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 32 dimensions; mean pooling."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = sorted(set(re.findall(r"\w+|[^\w\s]", " ".join(SENTENCES).lower())))
    # No training: trainers number pieces of one frequency differently from run to run.
    letters = [mark + letter for mark in ("", "##") for letter in string.ascii_lowercase + string.digits]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys([*specials, *letters, *words]))}
    pieces = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    settings = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=256,
        pad_token_id=0,
        initializer_range=0.3,
    )
    folder = tmp_path_factory.mktemp("encoders") / "bert"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(settings, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_embeddings_are_a_probe_of_their_own(encoder: Path) -> None:
    told: list[tuple[int, int]] = []
    values = [
        {**row, "chosen": "I cannot help with that request. " * 3 + row["chosen"]} for row in rows(60, 5)
    ]
    report = audit(values, embedder=encoder, progress=lambda done, total: told.append((done, total)))
    probe = report.probe("embeddings")
    assert probe is not None
    assert (probe.pairs, probe.about) == (60, f"{encoder}, 32 numbers a response")
    assert probe.pointwise.low > 0.5
    assert probe.pairwise.low > 0.5
    assert report.settings["embedder"] == str(encoder)
    assert told[-1][0] == told[-1][1]
    assert all(d <= t for d, t in told)
    few = audit(rows(10, 5), embedder=encoder)
    assert "embeddings" in {one.probe for one in few.not_run}


def test_embeddings_tell_nothing_where_nothing_is_planted(encoder: Path) -> None:
    probe = audit(rows(60, 6), embedder=str(encoder)).probe("embeddings")
    assert probe is not None
    assert probe.pointwise.low <= 0.5 <= probe.pointwise.high
