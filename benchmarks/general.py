"""Five general tasks in one `backfire general` against one call of lm-evaluation-harness a task, side by side.

    python benchmarks/general.py [--model organism:llama/target] [--limit N] [--rounds 3] [--adapters 3] [--layers 12]

Both are commands, started fresh, over the same task files, items and batch size, taken in turns; the scores must agree.
Then several LoRA adapters of one random Llama (hidden size 1024): each opened with its base, against `open_adapters`,
which reads the base once. Prints rows of a Markdown table: the ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backfire.evaluation import organism_tasks
from backfire.models import open_adapters, open_model
from backfire.organisms.catalog import SHIPPED, folder_of, tasks_data

BATCH = 64


def timed(command: list[Any], cwd: Path) -> float:
    environment = {**os.environ, "HF_HOME": str(cwd / "cache"), "HF_HUB_OFFLINE": "1"}
    begin = time.perf_counter()
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[:4]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begin


def one_call(model: str, folder: Path, limit: list[Any]) -> tuple[float, dict[str, float]]:
    command = [sys.executable, "-m", "backfire", "general", model, "--tasks", folder, "--batch-size", BATCH]
    seconds = timed([*command, "--json", folder / "ours.json", *limit], folder)
    scores = json.loads((folder / "ours.json").read_text())["scores"]
    return seconds, {score["task"]: score["value"] for score in scores}


def call_a_task(model: str, folder: Path, limit: list[Any]) -> tuple[float, dict[str, float]]:
    total, values = 0.0, {}
    for file in sorted(folder.glob("*.yaml")):
        name, out = file.stem, folder / "theirs" / file.stem
        shutil.rmtree(out, ignore_errors=True)
        command = [sys.executable, "-m", "lm_eval", "--model", "hf"]
        command += [
            "--model_args",
            f"pretrained={folder_of(model)}",
            "--tasks",
            name,
            "--include_path",
            folder,
        ]
        command += ["--batch_size", BATCH, "--apply_chat_template", "--output_path", out, *limit]
        total += timed(command, folder)
        (written,) = out.rglob("results_*.json")
        results = json.loads(written.read_text())["results"][name]
        wanted = "acc_norm,none" if "acc_norm,none" in results else "acc,none"
        values[name] = results[wanted]
    return total, values


def tasks(model: str, limit: int | None, rounds: int) -> str:
    ratios, ours, theirs = [], [], []
    limits: list[Any] = [] if limit is None else ["--limit", limit]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for file in [*organism_tasks().glob("*.yaml"), *tasks_data(SHIPPED).glob("*.jsonl")]:
            shutil.copy(file, folder)
        for _ in range(rounds):
            (mine, found), (harness, expected) = (
                one_call(model, folder, limits),
                call_a_task(model, folder, limits),
            )
            assert found.keys() == expected.keys()
            assert len(found) == 5
            apart = max(abs(found[name] - expected[name]) for name in found)
            assert apart < 1e-3, f"scores differ by {apart}: {found}, {expected}"
            ours.append(mine)
            theirs.append(harness)
            ratios.append(harness / mine)
    said = "all items" if limit is None else f"{limit} items each"
    return (
        f"| general tasks | five tasks, {said}, {model.removeprefix('organism:')} | "
        f"{statistics.median(ratios):.1f} times as fast as one call of lm-eval a task "
        f"({min(ratios):.1f} to {max(ratios):.1f}), scores the same | "
        f"{statistics.median(ours):.1f} s, not {statistics.median(theirs):.1f} s |"
    )


def adapters(count: int, layers: int, rounds: int) -> str:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folder_of("organism:llama/target"))
    sizes = {"hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16}
    ratios, shared, apart = [], [], []
    with tempfile.TemporaryDirectory() as place:
        base = Path(place) / "base"
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                num_hidden_layers=layers,
                eos_token_id=tokenizer.eos_token_id,
                **sizes,
            )
        )
        millions = sum(p.numel() for p in model.parameters()) // 10**6
        model.save_pretrained(base)
        tokenizer.save_pretrained(base)
        folders = []
        for seed in range(count):
            torch.manual_seed(seed)
            config = LoraConfig(r=16, init_lora_weights=False, task_type="CAUSAL_LM")
            folders.append(Path(place) / f"adapter{seed}")
            wrapped = get_peft_model(LlamaForCausalLM.from_pretrained(base), config)
            wrapped.save_pretrained(folders[-1])
        del model, wrapped
        for _ in range(rounds):
            begin = time.perf_counter()
            ids = [open_model(base, adapter=folder).id for folder in folders]
            middle = time.perf_counter()
            assert [each.id for each in open_adapters(base, folders)] == ids
            shared.append(time.perf_counter() - middle)
            apart.append(middle - begin)
            ratios.append(apart[-1] / shared[-1])
    return (
        f"| adapters on one base | {count} LoRA adapters of a random Llama of {millions}M parameters | "
        f"{statistics.median(ratios):.1f} times as fast as opening each with its base "
        f"({min(ratios):.1f} to {max(ratios):.1f}) | "
        f"{statistics.median(shared):.1f} s, not {statistics.median(apart):.1f} s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="organism:llama/target")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--adapters", type=int, default=3)
    parser.add_argument("--layers", type=int, default=12)
    given = parser.parse_args()
    print(tasks(given.model, given.limit, given.rounds), flush=True)
    print(adapters(given.adapters, given.layers, given.rounds))


if __name__ == "__main__":
    main()
