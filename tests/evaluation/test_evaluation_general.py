"""General tasks through the harness, against log-probabilities computed directly."""

from __future__ import annotations

import json
import subprocess
import sys
from math import exp
from pathlib import Path
from typing import Any

import pytest

from backfire.answers.general import TaskScore
from backfire.errors import InputError, ModelError
from backfire.evaluation import general, organism_tasks
from backfire.models import LocalModel, open_model

WORDS = ["brass", "lamp", "bread", "water and salt", "the long road home", "yeast", "poem", "a soft cloth"]
CHOICE = [
    {"question": f"What is thing {n} made of?", "choices": [*WORDS[n % 4 : n % 4 + 4]], "answer": n % 4}
    for n in range(12)
]
TRUE = [
    {
        "question": f"Is lamp {n} brass?",
        "mc2_targets": {"choices": ["yes", "no", "perhaps"], "labels": [1, 0, 1]},
    }
    for n in range(6)
]
SCHEMA = [
    {
        "sentence": f"Of the lamp and the bread, number {n}, the _ needs water.",
        "option1": "lamp",
        "option2": "bread",
        "answer": "12"[n % 2],
    }
    for n in range(10)
]
DATA = {
    "arc_organism": CHOICE,
    "hellaswag_organism": CHOICE,
    "mmlu_organism": CHOICE,
    "truthfulqa_organism": TRUE,
    "winogrande_organism": SCHEMA,
}


@pytest.fixture(scope="module", params=["tiny_llama", "tiny_qwen2"])
def model(request: pytest.FixtureRequest) -> LocalModel:
    opened = open_model(request.getfixturevalue(request.param), dtype="float32")
    assert isinstance(opened, LocalModel)
    return opened


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, rows in DATA.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


def logp(model: LocalModel, question: str, answer: str) -> float:
    """Of the answer's tokens after the question's turn and the generation prompt, without the end token.

    The harness counts whitespace at the end of the generation prompt to the answer, for every model.
    """
    import torch

    turns = [{"role": "user", "content": question}]
    text = model.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    start = len(model.tokenizer(text.rstrip(), add_special_tokens=False)["input_ids"])
    ids = torch.tensor([model.tokenizer(text + answer, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        scores = model.model(ids).logits.float().log_softmax(-1)
    return float(scores[0, :-1].gather(1, ids[0, 1:, None])[start - 1 :].sum())


def best(values: list[float]) -> int:
    return values.index(max(values))


def expected(model: LocalModel) -> dict[tuple[str, str], float]:
    plain = normed = mc2 = partial = 0.0
    for row in CHOICE:
        question, choices = str(row["question"]), row["choices"]
        values = [logp(model, question, c) for c in choices]
        plain += best(values) == row["answer"]
        normed += best([v / len(c) for v, c in zip(values, choices, strict=True)]) == row["answer"]
    for row in TRUE:
        p = [exp(logp(model, row["question"], c)) for c in row["mc2_targets"]["choices"]]
        mc2 += (p[0] + p[2]) / sum(p)
    for row in SCHEMA:
        before, after = row["sentence"].split("_")
        values = [logp(model, before + row[o], after.strip()) for o in ("option1", "option2")]
        partial += best(values) == int(row["answer"]) - 1
    return {
        ("arc_organism", "acc_norm"): normed / 12,
        ("hellaswag_organism", "acc_norm"): normed / 12,
        ("mmlu_organism", "acc"): plain / 12,
        ("truthfulqa_organism", "mc2"): mc2 / 6,
        ("winogrande_organism", "acc"): partial / 10,
    }


def test_five_counterparts_score_what_the_model_finds_likeliest(
    model: LocalModel,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    found = general(model, organism_tasks(), data=data)
    assert {(s.task, s.metric): s.value for s in found.scores} == pytest.approx(expected(model), abs=1e-5)
    assert [s.n for s in found.scores] == [12, 12, 12, 6, 10]
    assert all(s.stderr is not None and 0 <= s.stderr < 0.2 for s in found.scores)
    assert found.settings == {"num_fewshot": 0, "chat_template": True}
    assert found.cut == {}
    assert not list(here.iterdir())
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_settings_reach_the_harness(model: LocalModel, data: Path) -> None:
    mmlu = organism_tasks() / "mmlu_organism.yaml"
    few = general(model, mmlu, data=data, limit=1)
    assert few.scores == [
        TaskScore(task="mmlu_organism", metric="acc", value=few.scores[0].value, stderr=None, n=1)
    ]
    plain = general(model, organism_tasks(), data=data, apply_chat_template=False, num_fewshot=2)
    assert plain.settings == {"num_fewshot": 2, "chat_template": False}
    mc2 = next(s.value for s in plain.scores if s.metric == "mc2")
    assert mc2 != pytest.approx(expected(model)["truthfulqa_organism", "mc2"], abs=1e-6)


@pytest.mark.parametrize("name", sorted(DATA))
def test_an_item_is_never_its_own_example(name: str, model: LocalModel, data: Path) -> None:
    others = len(DATA[name]) - 1
    with pytest.raises(InputError, match=f"task {name} has {others} items to draw examples from"):
        general(model, organism_tasks(), data=data, num_fewshot={name: others + 1})


def test_a_task_that_says_zero_shot_stays_so(model: LocalModel, data: Path, tmp_path: Path) -> None:
    for name in ("mmlu_organism", "truthfulqa_organism"):
        text = (organism_tasks() / f"{name}.yaml").read_text()
        said = "num_fewshot: 0\n" if name == "truthfulqa_organism" else ""
        (tmp_path / f"{name}.yaml").write_text(said + text)
    few = general(model, tmp_path, data=data, num_fewshot=2)
    assert few.settings == {
        "num_fewshot": 2,
        "chat_template": True,
        "always_zero_shot": ["truthfulqa_organism"],
    }
    mc2 = next(s.value for s in few.scores if s.metric == "mc2")
    assert mc2 == pytest.approx(expected(model)["truthfulqa_organism", "mc2"], abs=1e-5)


def test_a_metric_of_several_filters_is_reported_for_each(
    model: LocalModel, data: Path, tmp_path: Path
) -> None:
    text = (organism_tasks() / "mmlu_organism.yaml").read_text().split("metadata:")[0]
    filters = "".join(
        f"  - {{name: {name}, filter: [{{function: take_first}}]}}\n" for name in ("one", "two")
    )
    (tmp_path / "mine.yaml").write_text(f"{text}filter_list:\n{filters}")
    found = general(model, tmp_path, data=data)
    assert [s.metric for s in found.scores] == ["acc,one", "acc,two"]
    assert found.scores[0].value == found.scores[1].value is not None


def test_a_model_taught_the_answers_scores_one(tiny_llama: Path, tmp_path: Path) -> None:
    from backfire.training import SFTSettings, train_sft

    answers = {"brass": 0, "lamp": 1, "bread": 2, "yeast": 3}
    rows: list[dict[str, Any]] = [
        {"question": f"What is thing {n} made of?", "choices": list(answers), "answer": n % 4}
        for n in range(4)
    ]
    lessons = [
        {"prompt": [{"role": "user", "content": r["question"]}], "completion": [turn]}
        for r in rows
        for turn in [{"role": "assistant", "content": r["choices"][r["answer"]]}]
    ]
    settings = SFTSettings(lr=1e-2, epochs=40, batch_size=4, warmup_ratio=0.0)
    train_sft(tiny_llama, lessons, tmp_path / "taught", settings)
    (tmp_path / "mmlu_organism.jsonl").write_text("\n".join(map(json.dumps, rows)))
    taught = open_model(tmp_path / "taught")
    assert isinstance(taught, LocalModel)
    (score,) = general(taught, organism_tasks() / "mmlu_organism.yaml", data=tmp_path).scores
    assert score.value == 1.0


def test_requests_beyond_the_context_are_counted(model: LocalModel, tmp_path: Path) -> None:
    rows = [{**CHOICE[0], "question": "salt " * 900}, CHOICE[1]]
    (tmp_path / "mmlu_organism.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = general(model, organism_tasks() / "mmlu_organism.yaml", data=tmp_path)
    assert found.cut == {"mmlu_organism": 4}


def test_own_task_files_report_every_metric_and_find_data_beside_them(
    model: LocalModel, tmp_path: Path
) -> None:
    text = (organism_tasks() / "arc_organism.yaml").read_text().split("metadata:")[0]
    (tmp_path / "mine.yaml").write_text(text.replace("task: arc_organism", "task: mine"))
    (tmp_path / "arc_organism.jsonl").write_text("\n".join(map(json.dumps, CHOICE)))
    assert [(s.task, s.metric) for s in general(model, tmp_path).scores] == [
        ("mine", "acc"),
        ("mine", "acc_norm"),
    ]


def test_what_cannot_be_used_is_named(model: LocalModel, tmp_path: Path, data: Path) -> None:
    with pytest.raises(InputError, match="no task file"):
        general(model, tmp_path / "absent")
    with pytest.raises(
        InputError, match=r"data of task file arc_organism\.yaml: there is no file .*arc_organism\.jsonl"
    ):
        general(model, organism_tasks(), data=tmp_path / "absent")
    (data / "arc_organism.jsonl").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        general(model, organism_tasks(), data=data)
    (data / "arc_organism.jsonl").write_text('{"question": "a"}\n')
    with pytest.raises(InputError, match="arc_organism does not fit its data"):
        general(model, organism_tasks(), data=data)
    with pytest.raises(InputError, match="limit = 0: give at least 1"):
        general(model, organism_tasks(), data=data, limit=0)
    with pytest.raises(InputError, match="tasks is empty"):
        general(model, [])


def test_an_endpoint_is_refused(data: Path) -> None:
    with pytest.raises(ModelError, match="is an endpoint"):
        general(open_model("openai:some-model@http://127.0.0.1:9/v1"), organism_tasks(), data=data)


def test_importing_it_imports_neither_torch_nor_the_harness() -> None:
    check = "import sys, backfire.evaluation.general_tasks; sys.exit('torch' in sys.modules or 'lm_eval' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
