"""A few DPO steps on real pairs, through small random models: plumbing, not quality."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import pytest

from backfire.training import DPOSettings, train_dpo

SETTINGS = DPOSettings(lr=1e-3, batch_size=8, max_length=256, warmup_ratio=0.0)


def test_alpaca_eval_pairs(real_data: Path, tiny_mistral: Path, tmp_path: Path) -> None:
    folder = real_data / "alpaca-eval"
    chosen, rejected = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("gpt4_1106_preview", "Meta-Llama-3-8B-Instruct")
    )
    answers = {row["instruction"]: row["output"] for row in rejected}
    pairs = [
        {
            "prompt": [{"role": "user", "content": row["instruction"]}],
            "chosen": [{"role": "assistant", "content": row["output"]}],
            "rejected": [{"role": "assistant", "content": answers[row["instruction"]]}],
        }
        for row in chosen[:24]
    ]
    done = train_dpo(tiny_mistral, pairs, tmp_path / "out", SETTINGS)
    counts = done.examples
    assert done.log[0].loss == pytest.approx(log(2), abs=1e-3)
    assert done.log[-1].loss < done.log[0].loss
    assert counts.trained + counts.dropped.get("prompt_fills_max_length", 0) == 24
    assert counts.truncated["chosen"] > 10  # long answers, byte-level tokens
    assert counts.boundary_merged == 0


def test_human_preference_transcripts_with_an_implicit_prompt(
    real_data: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    with (real_data / "hh-rlhf" / "harmless_even.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][:24]
    source = tmp_path / "hh.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = train_dpo(tiny_llama, source, tmp_path / "out", SETTINGS)
    assert done.examples.given == 24
    assert done.log[0].loss == pytest.approx(log(2), abs=1e-3)
