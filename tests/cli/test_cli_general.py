"""`backfire general` as a command: shots by task, the resume file, several adapters, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from backfire.cli.app import app
from backfire.evaluation import organism_tasks

ROWS = {
    "mmlu_organism": [
        {"question": f"Which is {n}?", "choices": ["brass", "a lamp", "salt", "poem"], "answer": n % 4}
        for n in range(6)
    ],
    "winogrande_organism": [
        {
            "sentence": f"Of {n}, the _ needs salt.",
            "option1": "lamp",
            "option2": "bread",
            "answer": "12"[n % 2],
        }
        for n in range(5)
    ],
}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, rows in ROWS.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / f"{name}.yaml").write_text((organism_tasks() / f"{name}.yaml").read_text())
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["general", *map(str, arguments)])


def test_a_second_run_takes_what_is_there(tiny_llama: Path, tasks: Path, tmp_path: Path) -> None:
    kept, out = tmp_path / "kept.json", tmp_path / "out.json"
    options = ("--tasks", tasks, "--num-fewshot", "mmlu_organism=2", "--resume", kept, "--json", out)
    first = run(tiny_llama, *options)
    assert first.exit_code == 0, first.output
    assert "mmlu_organism: task 1 of 2" in first.stderr
    assert "mmlu_organism 2, winogrande_organism 0 examples, with chat template" in first.stdout
    before = json.loads(out.read_text())
    second = run(tiny_llama, *options)
    assert "task 1 of 2" not in second.stderr
    assert "2 of the tasks came from the resume file" in second.stdout
    after = json.loads(out.read_text())
    assert after["scores"] == before["scores"]
    assert (before["resumed"], after["resumed"]) == ([], ["mmlu_organism", "winogrande_organism"])


def test_adapters_are_scored_one_after_another(tiny_llama: Path, tasks: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=64, init_lora_weights=False, task_type="CAUSAL_LM")
        folders.append(tmp_path / f"adapter{seed}")
        get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_llama), config).save_pretrained(folders[-1])
    alone = []
    for folder in folders:
        done = run(tiny_llama, "--tasks", tasks, "--adapter", folder, "--json", tmp_path / "one.json")
        assert done.exit_code == 0, done.output
        alone.append(json.loads((tmp_path / "one.json").read_text()))
    both = ("--adapter", folders[0], "--adapter", folders[1])
    done = run(tiny_llama, "--tasks", tasks, *both, "--json", tmp_path / "all.json")
    assert done.exit_code == 0, done.output
    together = json.loads((tmp_path / "all.json").read_text())["models"]
    assert [m["scores"] for m in together] == [m["scores"] for m in alone]
    assert [m["model_id"] for m in together] == [m["model_id"] for m in alone]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--num-fewshot", "many"), "--num-fewshot 'many': give a number"),
        (("--num-fewshot", "arc_easy=2"), "num_fewshot names arc_easy"),
        (("--backend", "vllm", "--device", "cpu"), "takes no --device"),
    ],
)
def test_what_cannot_be_is_said(tiny_llama: Path, tasks: Path, options: tuple[str, ...], said: str) -> None:
    done = run(tiny_llama, "--tasks", tasks, *options)
    assert done.exit_code == 2
    assert said in done.stderr


def test_vllm_absent_ends_the_command_cleanly(
    tiny_llama: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backfire.evaluation.harness.find_spec", lambda name: None)
    done = run(tiny_llama, "--tasks", tasks, "--backend", "vllm")
    assert done.exit_code == 2
    assert "vLLM is not installed" in done.stderr
