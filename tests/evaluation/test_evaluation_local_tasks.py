"""scripts/local_tasks.py: what it makes of items by hand, and of the real ones (counts; a tiny model runs them)."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.evaluation import general
from backfire.evaluation.harness import quiet
from backfire.evaluation.task_files import Tasks, load_tasks
from backfire.models import LocalModel, open_model

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "local_tasks.py"


def convert(items: Path, out: Path) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, items, out], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise InputError(done.stderr)
    return done.stdout


def load(folder: Path) -> Tasks:
    with quiet():
        return load_tasks(folder, None)


@pytest.fixture
def items(tmp_path: Path) -> Path:
    folder = tmp_path / "items"
    (folder / "mmlu").mkdir(parents=True)

    def lines(name: str, rows: list[dict[str, Any]]) -> None:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    lines(
        "arc_easy.jsonl",
        [
            {"query": f"Question: Which is {n}?", "choices": ["salt", "a lamp", "bread", "poem"], "gold": n}
            for n in range(4)
        ],
    )
    lines(
        "winogrande.jsonl",
        [
            {
                "context_options": [f"Lamp {n} so the lamp", f"Lamp {n} so the bread"],
                "continuation": "is brass.",
                "gold": n % 2,
            }
            for n in range(6)
        ],
    )
    with (folder / "TruthfulQA.csv").open("w", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(["Question", "Correct Answers", "Incorrect Answers"])
        sheet.writerow(["Is a lamp, brass?", "Yes; Yes, it is; ", "No;Never"])
        sheet.writerow(["Is bread brass?", "No", "Yes; Always"])
    for part, count in (("dev", 5), ("test", 3)):
        with (folder / "mmlu" / f"{part}_human_aging_{part}.csv").open("w", newline="") as file:
            sheet = csv.writer(file)
            sheet.writerow(["question", "choice0", "choice1", "choice2", "choice3", "answer"])
            for n in range(count):
                sheet.writerow([f" {part} {n}?", "w", 'x "1"', "y", "z", n % 4])
    endings = ["salts it.", "lamps it.", "breads it.", "reads it."]
    (folder / "hellaswag_first1000.txt").write_text(
        "".join("\n".join([f"Baking: She takes {n}. she", str(n), *endings]) + "\n" for n in range(3))
    )
    return folder


def prompt(tasks: Tasks, name: str, index: int) -> tuple[Any, Any, Any]:
    task = tasks.tasks[name]
    doc = list(task.eval_docs)[index]
    return task.doc_to_text(doc), task.doc_to_choice(doc), task.doc_to_target(doc)


def test_items_are_asked_as_the_harness_asks_them(items: Path, tmp_path: Path) -> None:
    told = convert(items, tmp_path / "out")
    assert "arc_easy_local: 4 items" in told
    tasks = load(tmp_path / "out")
    assert prompt(tasks, "arc_easy_local", 2) == (
        "Question: Which is 2?\nAnswer:",
        ["salt", "a lamp", "bread", "poem"],
        2,
    )
    assert prompt(tasks, "hellaswag_local", 1) == (
        "Baking: She takes 1. she",
        ["salts it.", "lamps it.", "breads it.", "reads it."],
        1,
    )
    assert prompt(tasks, "winogrande_local", 3) == (
        1,
        ["Lamp 3 so the lamp", "Lamp 3 so the bread"],
        "is brass.",
    )
    text, choices, _ = prompt(tasks, "truthfulqa_local", 0)
    assert choices == ["Yes", "Yes, it is", "No", "Never"]
    assert text.endswith("The 1992 Olympics were held in Barcelona, Spain.\n\nQ: Is a lamp, brass?\nA:")
    assert next(iter(tasks.tasks["truthfulqa_local"].eval_docs))["mc2_targets"]["labels"] == [1, 1, 0, 0]
    mmlu = tasks.tasks["mmlu_human_aging_local"]
    assert prompt(tasks, "mmlu_human_aging_local", 1) == (
        'test 1?\nA. w\nB. x "1"\nC. y\nD. z\nAnswer:',
        ["A", "B", "C", "D"],
        1,
    )
    assert len(list(mmlu.fewshot_docs())) == 5
    shots = {name: task.get_config("num_fewshot") for name, task in tasks.tasks.items()}
    assert shots == {
        "arc_easy_local": 25,
        "hellaswag_local": 10,
        "mmlu_human_aging_local": 5,
        "truthfulqa_local": 0,
        "winogrande_local": 5,
    }


def test_truthfulqa_is_asked_as_the_harnesss_own_task_does(items: Path, tmp_path: Path) -> None:
    import lm_eval.tasks
    from lm_eval.tasks._yaml_loader import load_yaml
    from lm_eval.utils import apply_template

    convert(items, tmp_path / "out")
    text, _, _ = prompt(load(tmp_path / "out"), "truthfulqa_local", 1)
    own = load_yaml(Path(lm_eval.tasks.__file__).parent / "truthfulqa" / "truthfulqa_mc1.yaml")
    assert text == apply_template(own["doc_to_text"], {"question": "Is bread brass?"}).lstrip()


def test_winogrande_scores_the_ending_after_either_beginning(
    items: Path, tmp_path: Path, tiny_llama: Path
) -> None:
    import torch

    convert(items, tmp_path / "out")
    model = open_model(tiny_llama, dtype="float32")
    assert isinstance(model, LocalModel)
    right = 0
    for n in range(6):
        sums = []
        for beginning in (f"Lamp {n} so the lamp", f"Lamp {n} so the bread"):
            start = len(model.tokenizer(beginning)["input_ids"])
            ids = torch.tensor([model.tokenizer(f"{beginning} is brass.")["input_ids"]])
            with torch.no_grad():
                logps = model.model(ids).logits.float().log_softmax(-1)
            sums.append(float(logps[0, :-1].gather(1, ids[0, 1:, None])[start - 1 :].sum()))
        right += sums.index(max(sums)) == n % 2
    found = general(
        model, tmp_path / "out" / "winogrande_local.yaml", num_fewshot=0, apply_chat_template=False
    )
    assert found.scores[0].value == pytest.approx(right / 6)


def test_what_is_not_there_is_said(items: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the files"):
        convert(tmp_path / "empty", tmp_path / "out")
    (items / "mmlu" / "dev_human_aging_dev.csv").unlink()
    with pytest.raises(InputError, match=r"dev_human_aging_dev\.csv is not there"):
        convert(items, tmp_path / "out")


@pytest.mark.slow
def test_the_real_items_are_all_there_and_run(real_data: Path, tiny_llama: Path, tmp_path: Path) -> None:
    convert(real_data / "general", tmp_path / "out")
    tasks = load(tmp_path / "out")
    assert {name: len(list(task.eval_docs)) for name, task in tasks.tasks.items()} == {
        "arc_easy_local": 2376,
        "hellaswag_local": 1000,
        "mmlu_astronomy_local": 152,
        "mmlu_high_school_geography_local": 198,
        "mmlu_moral_disputes_local": 346,
        "truthfulqa_local": 817,
        "winogrande_local": 1267,
    }
    golds = [doc["answer"] for doc in tasks.tasks["hellaswag_local"].eval_docs]
    assert set(golds) == {0, 1, 2, 3}
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    found = general(model, tmp_path / "out", limit=3, num_fewshot=0, resume=tmp_path / "tasks.json")
    assert [score.n for score in found.scores] == [3] * 7
    assert all(score.value is not None and 0 <= score.value <= 1 for score in found.scores)
    assert len(json.loads((tmp_path / "tasks.json").read_text())["tasks"]) == 7
