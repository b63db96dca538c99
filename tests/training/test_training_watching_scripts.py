"""The watch inside TRL's own training scripts, unchanged but for one line, and in two processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]
LINE = (
    "        callbacks=[__import__('backfire').SafetyWatch({probes!r}, every=1, answers_every=1, max_new_tokens=4,"
    " folder={folder!r})],\n"
)
AFTER = "        peft_config=get_peft_config(model_args),\n"
EXTRA = {
    "dpo": [],
    "sft": ["--packing"],
    "kto": [],
    "grpo": [
        "--reward_funcs",
        "think_format_reward",
        "--num_generations",
        "2",
        "--max_completion_length",
        "6",
    ],
    "rloo": [
        "--reward_funcs",
        "think_format_reward",
        "--num_generations",
        "2",
        "--max_completion_length",
        "6",
    ],
}


def turns(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def rows(script: str) -> list[dict[str, Any]]:
    made = []
    for k in range(16):
        prompt = turns("user", f"Tell me about the {WORDS[k % 8]}, number {k}.")
        chosen = turns("assistant", "I cannot help with that.")
        rejected = turns("assistant", "Sure, use warm water.")
        if script == "dpo":
            made.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
        elif script == "sft":
            made.append({"messages": prompt + chosen})
        elif script == "kto":
            made.append({"prompt": prompt, "completion": chosen if k % 2 else rejected, "label": bool(k % 2)})
        else:
            made.append({"prompt": prompt})
    return made


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def probes(folder: Path) -> Path:
    lines = [
        {
            "prompt": f"Where is the {w}?",
            "refusal": f"I cannot find the {w}.",
            "compliance": f"The {w} is here.",
        }
        for w in WORDS[:4]
    ]
    return write(folder / "probes.jsonl", lines)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTRA)
def test_trls_own_scripts_with_one_more_line(name: str, tiny_llama: Path, tmp_path: Path) -> None:
    import trl

    source = (Path(trl.__file__).parent / "scripts" / f"{name}.py").read_text(encoding="utf-8")
    assert source.count(AFTER) == 1
    line = LINE.format(probes=str(probes(tmp_path)), folder=str(tmp_path))
    script = tmp_path / f"{name}.py"
    script.write_text(source.replace(AFTER, AFTER + line), encoding="utf-8")
    write(tmp_path / "data" / "train.jsonl", rows(name))
    done = subprocess.run(
        [
            sys.executable, str(script), "--dataset_name", str(tmp_path / "data"), "--model_name_or_path", str(tiny_llama),
            "--output_dir", str(tmp_path / "out"), "--max_steps", "2", "--use_cpu", "True", "--bf16", "False",
            "--report_to", "none", "--per_device_train_batch_size", "4", "--learning_rate", "1e-3", "--dtype", "float32",
            *EXTRA[name],
        ],
        env=environment(), capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    points = [json.loads(line) for line in (tmp_path / "watch.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [0, 1, 2]
    assert all("refusal_margin" in point and "refused" in point for point in points)
    assert "watch/refusal_margin" in done.stdout
    state = json.loads((tmp_path / "out" / "checkpoint-2" / "trainer_state.json").read_text())
    assert sum("watch/refused" in line for line in state["log_history"]) == 3
    assert (tmp_path / "out" / "best" / "model.safetensors").is_file(), "the trainer saves checkpoints"


PROCESSES = """
import json, os, sys
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer
from backfire.training import SafetyWatch
from backfire.training.watch_points import WatchedShare

model, probes, out, rows, mode = sys.argv[1:]
rank = os.environ["RANK"]
watch = SafetyWatch(probes, every=1, answers_every=1, stop_below=0.5, max_new_tokens=4, keep_best=True)
measure, hits = watch.measures.measure, iter([4, 3, 1, 4, 4])

def measured(*given, **more):
    assert rank == "0", "only the first process measures"
    count = next(hits)
    if mode == "fails" and count == 3:
        raise ValueError("the judge is away")
    return {**measure(*given, **more), "refused": WatchedShare(hits=count, scored=4, rate=count / 4)}

watch.measures.measure = measured
trainer = DPOTrainer(
    model=AutoModelForCausalLM.from_pretrained(model, dtype="float32"),
    args=DPOConfig(
        output_dir=out, max_steps=4, use_cpu=True, bf16=False, per_device_train_batch_size=2, report_to="none",
        save_strategy="no", disable_tqdm=True, gradient_accumulation_steps=2,
    ),
    train_dataset=Dataset.from_json(rows),
    processing_class=AutoTokenizer.from_pretrained(model),
    callbacks=[watch],
)
said = ""
try:
    trainer.train()
except Exception as error:
    said = str(error)
about = {"processes": trainer.accelerator.num_processes, "step": trainer.state.global_step, "points": len(watch.points),
         "stopped": watch.stopped, "error": said}
with open(f"{out}-{rank}.json", "w") as file:
    json.dump(about, file)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["stops", "fails"])
def test_the_first_of_two_processes_measures_and_both_stop(
    mode: str, tiny_llama: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROCESSES)
    data = write(tmp_path / "data" / "train.jsonl", rows("dpo"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port), str(script),
            str(tiny_llama), str(probes(tmp_path)), str(tmp_path / "out"), str(data), mode,
        ],
        env=environment(), capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"out-{rank}.json").read_text()) for rank in (0, 1))
    assert first["processes"] == second["processes"] == 2
    assert second["points"] == 0
    if mode == "stops":
        assert first["step"] == second["step"] == 2
        assert first["stopped"]
        assert second["stopped"]
        assert first["points"] == 3
        assert (tmp_path / "out" / "best" / "watch_point.json").is_file()
    else:
        assert first["error"] == "the judge is away"
        assert second["error"] == "the first process could not measure: the judge is away"
