"""DPO by `train_dpo` against a plain loop on the same pairs, side by side in one run.

    python benchmarks/training.py [--model REFERENCE] [--pairs 600] [--epochs 2] [--batch-size 32] [--rounds 3]

Prints one row of a Markdown table: the median over rounds of the ratio of seconds, taken in turns, both with reference
log-probabilities computed beforehand (and counted), seconds a step, and what `train_dpo` spends besides its steps
(loading, saving). A random Llama of .4M parameters is built where no model is named; sequences have about 60 tokens.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import plain_dpo
from backfire.training import DPOSettings, train_dpo
from checkpoints import configuration_of, tokenizer_of

WORDS = [
    "how",
    "do",
    "I",
    "clean",
    "mend",
    "polish",
    "carry",
    "find",
    "keep",
    "the",
    "old",
    "brass",
    "lamp",
    "clock",
    "bell",
    "rope",
    "box",
    "by",
    "sea",
]


def random_policy(folder: Path) -> Path:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = tokenizer_of("llama", vocabulary=768)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configuration_of("llama", tokenizer, hidden=96, layers=3))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pairs(count: int) -> list[dict[str, Any]]:
    draw = random.Random(0)

    def turn(role: str, low: int, high: int) -> list[dict[str, str]]:
        return [{"role": role, "content": " ".join(draw.choices(WORDS, k=draw.randint(low, high)))}]

    return [
        {
            "prompt": turn("user", 6, 12),
            "chosen": turn("assistant", 8, 24),
            "rejected": turn("assistant", 8, 24),
        }
        for _ in range(count)
    ]


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--model", type=Path)
    parse.add_argument("--pairs", type=int, default=600)
    parse.add_argument("--epochs", type=int, default=2)
    parse.add_argument("--batch-size", type=int, default=32)
    parse.add_argument("--rounds", type=int, default=3)
    told = parse.parse_args()
    rows = pairs(told.pairs)
    settings = DPOSettings(
        lr=1e-4,
        epochs=told.epochs,
        batch_size=told.batch_size,
        warmup_ratio=0.0,
        scheduler="constant",
        dtype="float32",
    )
    ours, plain, rest = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        model = told.model or random_policy(Path(scratch) / "policy")
        train_dpo(model, rows[:8], Path(scratch) / "warm", settings)  # imports, once
        for _ in range(told.rounds):
            begin = time.perf_counter()
            log = train_dpo(model, rows, Path(scratch) / "out", settings)
            ours.append(log.seconds)
            rest.append(time.perf_counter() - begin - log.seconds)
            begin = time.perf_counter()
            plain_dpo.train(model, rows, lr=1e-4, beta=0.1, batch_size=told.batch_size, epochs=told.epochs)
            plain.append(time.perf_counter() - begin)
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    print(
        f"| training | DPO, {log.parameters / 1e6:.2f}M parameters, {told.pairs} pairs, {told.epochs} epochs, "
        f"batch {told.batch_size} | {statistics.median(ratios):.2f} times the seconds of a plain loop with references "
        f"({min(ratios):.2f} to {max(ratios):.2f}) | {statistics.median(ours) / log.steps:.3f} s/step, and "
        f"{statistics.median(rest):.1f} s besides steps |"
    )


if __name__ == "__main__":
    main()
