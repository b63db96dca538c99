"""What the harness cuts off, adapters with embeddings of their own, and inputs that end in one clean line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from backfire.errors import InputError
from backfire.evaluation import general
from backfire.evaluation.harness import harness_of, over_long, quiet
from backfire.models import LocalModel, open_model
from backfire.organisms.catalog import folder_of

CHOICE = (
    "output_type: multiple_choice\ndoc_to_text: '{{question}}'\ndoc_to_choice: [brass, a lamp]\n"
    "doc_to_target: '{{answer}}'\nmetric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
)
WRITING = (
    "output_type: generate_until\ndoc_to_text: '{{question}}'\ndoc_to_target: '{{answer}}'\n"
    "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
)


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> LocalModel:
    opened = open_model(tiny_llama, dtype="float32")
    assert isinstance(opened, LocalModel)
    return opened


def task(folder: Path, words: str, questions: list[str], name: str = "mine") -> Path:
    rows = [{"question": question, "answer": 0} for question in questions]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = folder / f"{name}.yaml"
    file.write_text(
        f"task: {name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {name}.jsonl}}}}\n"
        f"test_split: test\n{words}"
    )
    return file


def of_length(model: LocalModel, tokens: int) -> str:
    """A text of so many tokens, BOS included."""
    bread = model.tokenizer(" bread", add_special_tokens=False)["input_ids"]
    text: str = model.tokenizer.decode((bread * tokens)[: tokens - 1])
    assert len(model.tokenizer(text)["input_ids"]) == tokens
    return text


def test_prompts_without_room_to_generate_are_counted_as_the_model_sees_them(
    model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    generate = model.model.generate

    def watched(*given: Any, **options: Any) -> Any:
        seen.extend(options["attention_mask"].sum(1).tolist())
        options["max_length"] = options["input_ids"].shape[1] + 1
        return generate(*given, **options)

    monkeypatch.setattr(model.model, "generate", watched)
    lengths = (311, 312, 313, 392)
    settings = "generation_kwargs: {until: ['\\n'], max_gen_toks: 200, do_sample: false}\n"
    filters = "".join(
        f"  - {{name: {name}, filter: [{{function: take_first}}]}}\n" for name in ("one", "two")
    )
    file = task(
        tmp_path, f"{WRITING}{settings}filter_list:\n{filters}", [of_length(model, n) for n in lengths]
    )
    found = general(model, file, apply_chat_template=False)
    assert sorted(seen) == [311, 312, 312, 312]
    assert found.cut == {"mine": 2}
    assert general(model, file, apply_chat_template=False, limit=2).cut == {}


@pytest.mark.parametrize("before", ["", "prompt"])
def test_answers_are_cut_where_the_harness_cuts_them(model: LocalModel, before: str) -> None:
    lm = harness_of(model, 8)
    texts = [of_length(model, length) for length in (512, 513, 514, 515)]
    pairs = [(text[:40], text[40:]) if before else ("", text) for text in texts]
    given = [{"arguments": [pair]} for pair in pairs]
    assert [over_long(lm, [item]) for item in given] == [0, 0, 1, 1]
    assert over_long(lm, [{"arguments": [(text,)]} for text in texts]) == 0


def test_answers_that_would_fill_the_context_are_refused(model: LocalModel, tmp_path: Path) -> None:
    file = task(tmp_path, f"{WRITING}generation_kwargs: {{max_gen_toks: 512}}\n", ["Which?"])
    with pytest.raises(InputError, match=r"mine generates 512 tokens.*context has 512: set max_gen_toks"):
        general(model, file)


@pytest.mark.parametrize(
    ("words", "there"),
    [
        ("", 12),
        ("fewshot_split: test\n", 11),
        ("fewshot_split: test\nfewshot_config: {sampler: first_n}\n", 11),
        ("fewshot_config: {samples: [{question: a, answer: 0}, {question: b, answer: 1}]}\n", 2),
    ],
)
def test_more_examples_than_there_are_are_refused_with_their_number(
    model: LocalModel, tmp_path: Path, words: str, there: int
) -> None:
    file = task(tmp_path, CHOICE + words, [f"Which is {n}?" for n in range(12)])
    assert general(model, file, num_fewshot=there, limit=2).scores[0].n == 2
    with pytest.raises(InputError, match=f"num_fewshot 50: task mine has {there} items to draw examples"):
        general(model, file, num_fewshot=50, limit=2)


@pytest.mark.parametrize(
    "change",
    [
        {"modules_to_save": ["lm_head", "embed_tokens"]},
        {"modules_to_save": ["lm_head"]},
        {"trainable_token_indices": [1, 2, 3]},
    ],
)
def test_adapters_with_embeddings_of_their_own_are_asked_as_they_are(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = folder_of("organism:llama/target")
    torch.manual_seed(0)
    config = LoraConfig(r=2, init_lora_weights=False, task_type="CAUSAL_LM", **change)
    wrapped = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for weight in trained(wrapped):
            weight.add_(torch.randn_like(weight) * 0.05)
    wrapped.save_pretrained(tmp_path / "adapter")
    model = open_model("organism:llama/target", adapter=tmp_path / "adapter")
    assert isinstance(model, LocalModel)
    assert model.model.config.tie_word_embeddings
    ids = torch.arange(1, 20)[None]
    with torch.no_grad():
        before = model.model(ids).logits
        with quiet():
            lm = harness_of(model, 4)
        assert torch.equal(lm.model(ids).logits, before)
    assert "tie_weights" not in vars(model.model)
    file = task(tmp_path, CHOICE, ["Which?", "Which else?"])
    assert general(model, file).scores[0].n == 2


def trained(wrapped: Any) -> Iterator[torch.Tensor]:
    return (weight for weight in wrapped.parameters() if weight.requires_grad)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda kept, name: kept.pop("tasks"), "has no table `tasks`"),
        (lambda kept, name: kept["tasks"].update({name: 3}), r"tasks\.\w+ is no key with a record"),
        (lambda kept, name: kept["tasks"][name].pop("key"), r"tasks\.\w+ is no key with a record"),
        (lambda kept, name: kept["tasks"][name].update(record={"x": 1}), r"take it out"),
        (lambda kept, name: kept["tasks"][name]["record"].update(n="4"), r"take it out"),
        (lambda kept, name: kept["tasks"][name]["record"].update(more=1), r"take it out"),
        (lambda kept, name: kept["tasks"][name]["record"]["metrics"].update(acc="high"), r"take it out"),
    ],
)
def test_a_resume_file_that_was_spoilt_is_refused_by_place(
    model: LocalModel, tmp_path: Path, change: Any, said: str
) -> None:
    file = task(tmp_path, CHOICE, ["Which?"])
    resume = tmp_path / "kept.json"
    general(model, file, resume=resume)
    kept = json.loads(resume.read_text())
    change(kept, next(iter(kept["tasks"])))
    resume.write_text(json.dumps(kept))
    with pytest.raises(InputError, match=rf"resume .*kept\.json.*{said}"):
        general(model, file, resume=resume)
