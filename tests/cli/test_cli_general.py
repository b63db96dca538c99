"""`backfire general` as a command: shots by task, the resume file, several adapters, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from backfire.evaluation import organism_tasks
from running import Result, invoke

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
    return invoke(["general", *map(str, arguments)])


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


def test_adapters_of_several_kinds_go_into_one_answer(tiny_qwen2: Path, tasks: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = {"r": 4, "init_lora_weights": False, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    configs = {
        "biases": LoraConfig(bias="all", **lora),
        "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        "plain": LoraConfig(**lora),
    }
    given: list[object] = []
    for name, config in configs.items():
        torch.manual_seed(0)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_qwen2), config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(weight.requires_grad * torch.randn_like(weight))
        model.save_pretrained(str(tmp_path / name))
        given += ["--adapter", tmp_path / name]
    alone, out, kept = tmp_path / "alone.json", tmp_path / "all.json", tmp_path / "kept.json"
    assert run(tiny_qwen2, "--tasks", tasks, *given[-2:], "--json", alone).exit_code == 0
    done = run(tiny_qwen2, "--tasks", tasks, *given, "--json", out, "--resume", kept)
    assert done.exit_code == 0, done.output
    answers = json.loads(out.read_text())["models"]
    assert [Path(answer["model"]).name for answer in answers] == list(configs)
    plain = json.loads(alone.read_text())
    assert answers[-1] | {"model": plain["model"]} == plain
    again = run(tiny_qwen2, "--tasks", tasks, *given[-2:], "--json", alone, "--resume", kept)
    assert again.exit_code == 0, again.output
    after = json.loads(alone.read_text())
    assert len(after["resumed"]) == 2
    assert after["scores"] == plain["scores"]


def test_a_spoilt_resume_file_and_a_task_that_cannot_be_kept_are_said(
    tiny_llama: Path, tasks: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text('{"format": "backfire general tasks 2"}')
    done = run(tiny_llama, "--tasks", tasks, "--resume", kept)
    assert done.exit_code == 2
    assert "has no table `tasks`" in done.stderr
    text = (tasks / "mmlu_organism.yaml").read_text()
    (tasks / "reading.py").write_text(
        "from datasets import Dataset\n\ndef rows(**_):\n"
        f"    return {{'test': Dataset.from_list({ROWS['mmlu_organism']})}}\n"
    )
    file = tasks / "mmlu_organism.yaml"
    head = text[: text.index("dataset_path:")]
    rest = text[text.index("test_split:") :]
    file.write_text(f"{head}custom_dataset: !function reading.rows\n{rest}")
    done = run(tiny_llama, "--tasks", file, "--resume", tmp_path / "new.json")
    assert done.exit_code == 0, done.output
    assert "not taken from the resume file, nor kept in it" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--num-fewshot", "many"), "--num-fewshot many: give a number"),
        (("--num-fewshot", "arc_easy=2"), "num_fewshot names arc_easy"),
        (
            ("--num-fewshot", "winogrande_organism=50"),
            "winogrande_organism has 4 items to draw examples from",
        ),
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
