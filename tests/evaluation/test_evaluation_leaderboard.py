"""The leaderboard's tasks, resuming and vLLM: the harness's own task files over rows in memory."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError, ModelError
from backfire.evaluation import LEADERBOARD, general, open_vllm
from backfire.evaluation.harness import quiet
from backfire.models import LocalModel, open_model

WORDS = ["brass", "lamp", "bread", "water and salt", "the long road home", "yeast", "poem", "a soft cloth"]


def arc(n: int) -> dict[str, Any]:
    texts = WORDS[n % 4 : n % 4 + 4]
    choices = {"text": texts, "label": ["A", "B", "C", "D"]}
    return {"question": f"What is thing {n} made of?", "choices": choices, "answerKey": "ABCD"[n % 3]}


def hellaswag(n: int) -> dict[str, Any]:
    return {
        "activity_label": "Baking",
        "ctx_a": f"Someone takes loaf {n}.",
        "ctx_b": "then she",
        "endings": [f"eats {word}" for word in WORDS[n % 4 : n % 4 + 4]],
        "label": str(n % 4),
    }


def mmlu(n: int) -> dict[str, Any]:
    return {"question": f"Which is word {n}?", "choices": WORDS[n % 4 : n % 4 + 4], "answer": n % 4}


def truthful(n: int) -> dict[str, Any]:
    one = {"choices": ["yes", "no"], "labels": [1, 0]}
    two = {"choices": ["yes", "no", "perhaps"], "labels": [1, 0, n % 2]}
    return {"question": f"Is lamp {n} brass?", "mc1_targets": one, "mc2_targets": two}


def winogrande(n: int) -> dict[str, Any]:
    sentence = f"Of lamp and bread, number {n}, the _ needs water."
    return {"sentence": sentence, "option1": "lamp", "option2": "bread", "answer": "12"[n % 2]}


SHAPES: dict[str, tuple[Callable[[int], dict[str, Any]], dict[str, int]]] = {
    "allenai/ai2_arc": (arc, {"train": 30, "validation": 5, "test": 6}),
    "Rowan/hellaswag": (hellaswag, {"train": 14, "validation": 5}),
    "cais/mmlu": (mmlu, {"dev": 5, "test": 2}),
    "truthfulqa/truthful_qa": (truthful, {"validation": 3}),
    "allenai/winogrande": (winogrande, {"train": 8, "validation": 4}),
}


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's data sets, in their columns, with few rows; every seventh subject of MMLU has one test row more."""
    import datasets

    def load(path: str, name: str | None = None, **_: Any) -> Any:
        shape, sizes = SHAPES[path]
        more = int(path == "cais/mmlu" and len(name or "") % 7 == 0)
        return datasets.DatasetDict(
            {
                split: datasets.Dataset.from_list([shape(k) for k in range(n + more * (split == "test"))])
                for split, n in sizes.items()
            }
        )

    monkeypatch.setattr(datasets, "load_dataset", load)


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> LocalModel:
    opened = open_model(tiny_llama, dtype="float32")
    assert isinstance(opened, LocalModel)
    return opened


def asked_directly(model: LocalModel, task: str, shots: int) -> dict[str, Any]:
    """The harness's own numbers, task by task, from its own entry point."""
    with quiet():
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM

        lm = HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=16)
        found = simple_evaluate(lm, tasks=[task], num_fewshot=shots, log_samples=False)
    assert found is not None
    return {**found["results"], **found.get("groups", {})}


@pytest.mark.slow
def test_the_preset_asks_as_the_harness_does_with_the_leaderboards_shots(model: LocalModel) -> None:
    seen: list[tuple[str, int, int]] = []
    found = general(model, ["leaderboard"], progress=lambda *at: seen.append(at))
    assert [(s.task, s.metric) for s in found.scores] == [
        ("arc_challenge", "acc_norm"),
        ("hellaswag", "acc_norm"),
        ("mmlu", "acc"),
        ("truthfulqa_mc2", "mc2"),
        ("winogrande", "acc"),
    ]
    assert found.settings == {
        "num_fewshot": {
            "arc_challenge": 25,
            "hellaswag": 10,
            "mmlu": 5,
            "truthfulqa_mc2": 0,
            "winogrande": 5,
        },
        "chat_template": False,
    }
    assert len(seen) == 61
    assert (seen[0], seen[-1]) == (("arc_challenge", 0, 61), ("winogrande", 60, 61))
    values = {s.task: s for s in found.scores}
    for task, key in [
        ("arc_challenge", "acc_norm"),
        ("hellaswag", "acc_norm"),
        ("truthfulqa_mc2", "acc"),
        ("winogrande", "acc"),
    ]:
        direct = asked_directly(model, task, LEADERBOARD[task].shots)[task]
        assert values[task].value == pytest.approx(direct[f"{key},none"], abs=1e-6)
        assert values[task].stderr == pytest.approx(direct[f"{key}_stderr,none"], abs=1e-6)
    direct = asked_directly(model, "mmlu", 5)
    subjects = {s.task: s for s in found.subtasks if s.task not in direct or s.task.startswith("mmlu_")}
    leaves = [s for s in found.subtasks if s.n in (2, 3)]
    assert len(leaves) == 57
    assert all(s.value == pytest.approx(direct[s.task]["acc,none"], abs=1e-6) for s in subjects.values())
    assert values["mmlu"].value == pytest.approx(
        sum(direct[s.task]["acc,none"] for s in leaves) / 57, abs=1e-6
    )
    assert values["mmlu"].n == sum(s.n for s in leaves)
    assert {s.task for s in found.subtasks} - {s.task for s in leaves} == {
        "mmlu_stem",
        "mmlu_other",
        "mmlu_social_sciences",
        "mmlu_humanities",
    }


@pytest.mark.slow
def test_a_group_by_name_has_the_harnesss_own_mean(model: LocalModel) -> None:
    found = general(model, ["mmlu_humanities"], num_fewshot={"mmlu_humanities": 1}, apply_chat_template=False)
    direct = asked_directly(model, "mmlu_humanities", 1)["mmlu_humanities"]
    (score,) = found.scores
    assert (score.task, score.metric) == ("mmlu_humanities", "acc")
    assert score.value == pytest.approx(direct["acc,none"])
    assert score.stderr == pytest.approx(direct["acc_stderr,none"])
    assert found.settings["num_fewshot"] == 1
    assert len(found.subtasks) == 13


def test_shots_by_task_stand_beside_those_of_the_preset(model: LocalModel) -> None:
    found = general(
        model, ["winogrande", "truthfulqa_mc2"], num_fewshot={"winogrande": 3, "truthfulqa_mc2": 4}
    )
    assert found.settings == {
        "num_fewshot": {"winogrande": 3, "truthfulqa_mc2": 0},
        "chat_template": True,
        "always_zero_shot": ["truthfulqa_mc2"],
    }
    with pytest.raises(InputError, match="num_fewshot names mmlu, which is not among the tasks"):
        general(model, ["winogrande"], num_fewshot={"mmlu": 3})
    with pytest.raises(InputError, match="num_fewshot = -1: give 0 or more"):
        general(model, ["winogrande"], num_fewshot=-1)


def test_an_interrupted_run_goes_on_and_gives_the_same(
    model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["arc_challenge", "hellaswag", "winogrande"]
    whole = general(model, names, num_fewshot=1)
    asked: list[str] = []

    def stop_at_third(name: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt
        asked.append(name)

    file = tmp_path / "tasks.json"
    with pytest.raises(KeyboardInterrupt):
        general(model, names, num_fewshot=1, resume=file, progress=stop_at_third)
    assert asked == names[:2]
    again: list[str] = []
    found = general(model, names, num_fewshot=1, resume=file, progress=lambda name, *_: again.append(name))
    assert again == names[2:]
    assert found.resumed == names[:2]
    assert found.scores == whole.scores
    kept = json.loads(file.read_text())["tasks"].values()
    assert {each["key"]["task"] for each in kept} == set(names)
    assert all(each["record"]["seconds"] > 0 for each in kept)


def test_what_changes_a_number_is_asked_again(model: LocalModel, tiny_qwen2: Path, tmp_path: Path) -> None:
    file = tmp_path / "tasks.json"
    name = ["winogrande"]
    general(model, name, resume=file)
    assert general(model, name, resume=file).resumed == name
    other = open_model(tiny_qwen2)
    assert isinstance(other, LocalModel)
    changes: list[tuple[LocalModel, dict[str, Any]]] = [
        (model, {"limit": 2}),
        (model, {"num_fewshot": 1}),
        (model, {"apply_chat_template": False}),
        (other, {}),
    ]
    for opened, change in changes:
        assert general(opened, name, resume=file, **change).resumed == []
        assert general(opened, name, resume=file, **change).resumed == name
    assert len(json.loads(file.read_text())["tasks"]) == 5


def test_local_data_that_changed_are_asked_again(model: LocalModel, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: mine.jsonl}}\ntest_split: test\n"
        "output_type: multiple_choice\nnum_fewshot: 2\n"
        "doc_to_text: '{{question}}'\ndoc_to_choice: '{{choices}}'\ndoc_to_target: '{{answer}}'\n"
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    data, file = tmp_path / "mine.jsonl", tmp_path / "tasks.json"
    for count in (4, 6):
        data.write_text("\n".join(json.dumps(mmlu(k)) for k in range(count)))
        found = general(model, tmp_path, resume=file)
        assert (found.resumed, found.scores[0].n, found.settings["num_fewshot"]) == ([], count, 2)
    assert general(model, tmp_path, resume=file).resumed == ["mine"]


def test_a_file_that_is_not_ours_is_left_alone(model: LocalModel, tmp_path: Path) -> None:
    for text, said in [("{}", "is no file of"), ("{", "cannot be read")]:
        (tmp_path / "tasks.json").write_text(text)
        with pytest.raises(InputError, match=said):
            general(model, ["winogrande"], resume=tmp_path / "tasks.json")
        assert (tmp_path / "tasks.json").read_text() == text


def test_vllm_absent_is_said(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setattr("backfire.evaluation.harness.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"vLLM is not installed.*pip install vllm"):
        open_vllm(tiny_llama)
    with pytest.raises(ModelError, match="is an endpoint"):
        open_vllm("openai:some-model")


def test_vllm_is_given_the_folder_and_asked_like_any_model(
    model: LocalModel, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in with the harness's signature: vLLM itself needs a GPU."""
    from lm_eval.models.huggingface import HFLM

    given: list[dict[str, Any]] = []

    def vllm(**options: Any) -> Any:
        given.append(options)
        return HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=8)

    stand_in = types.ModuleType("lm_eval.models.vllm_causallms")
    stand_in.VLLM = vllm  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.setattr("backfire.evaluation.harness.find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0")
    opened = open_vllm(tiny_llama)
    assert given == [{"pretrained": str(tiny_llama), "dtype": "auto", "batch_size": "auto"}]
    assert opened.id == model.id
    assert general(opened, ["winogrande"]).scores == general(model, ["winogrande"]).scores
