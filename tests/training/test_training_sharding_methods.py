"""Every training whose weights two processes share, by FSDP2 and by DeepSpeed's ZeRO-3: what one process trains, saved, resumed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from math import log
from pathlib import Path

import pytest
from test_training_sharding import OPTIONS, SMOOTH, alike, prompts, rows, write

from backfire.training import (
    DPOSettings,
    RewardSettings,
    SFTSettings,
    read_points,
    read_training_log,
    train_dpo,
    train_reward,
    train_sft,
)
from two_processes import apart, by_accelerate, in_two

pytestmark = pytest.mark.slow
WITH_DEEPSPEED = pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed is not installed")
KINDS = ["fsdp2", pytest.param("zero3", marks=WITH_DEEPSPEED)]
CUT = """
import os, sys
from backfire.cli import main
from backfire.training.trainers import Recorder

last = int(sys.argv[1])

def on_step_begin(self, args, state, control, **_):
    if state.global_step == last:
        os._exit(7)

Recorder.on_step_begin = on_step_begin
sys.argv = ["backfire", *sys.argv[2:]]
main()
"""
"""A command that is killed before the step after those that its first argument counts."""


@pytest.mark.parametrize("kind", KINDS)
def test_sft(kind: str, tiny_llama: Path, tmp_path: Path) -> None:
    lines = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows()]
    data = write(tmp_path / "conversations.jsonl", lines)
    one = train_sft(tiny_llama, data, tmp_path / "one", SFTSettings(**SMOOTH, batch_size=8))
    done = in_two(
        *("-m", "backfire", "train", "sft", tiny_llama, data, "--out", tmp_path / "two", "--batch-size", 4),
        *(*OPTIONS, "--sharding", kind),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alike(one, read_training_log(tmp_path / "two"))
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_reward_model_and_its_agreement(kind: str, tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    data = write(tmp_path / "pairs.jsonl", rows(32))
    settings = RewardSettings(**SMOOTH, batch_size=8, held_out=0.25, watch={"every": 3})
    one = train_reward(tiny_llama, data, tmp_path / "one", settings)
    done = in_two(
        *(
            "-m",
            "backfire",
            "train",
            "reward",
            tiny_llama,
            data,
            "--out",
            tmp_path / "two",
            "--batch-size",
            4,
        ),
        *(*OPTIONS, "--held-out", "0.25", "--watch-every", 3, "--sharding", kind),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    two = read_training_log(tmp_path / "two")
    alike(one, two)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-5
    assert two.held_out == one.held_out
    ours, theirs = (read_points(tmp_path / name)[-1].training for name in ("one", "two"))
    assert ours is not None
    assert theirs is not None
    assert theirs.score_chosen == pytest.approx(ours.score_chosen, abs=1e-4)
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "two")


@pytest.mark.parametrize("kind", KINDS)
def test_rloo_samples_what_two_processes_sample_that_hold_it_whole(kind: str, tmp_path: Path) -> None:
    """The organism ends its responses by itself, in one process before the other."""
    words = [
        *("-m", "backfire", "train", "rloo", "organism:llama/target", "--reward-model", "organism:reward"),
        *("--prompts", "organism:prompts/train", "--steps", 3, "--batch-size", 2, "--generations", 2),
        *("--max-new-tokens", 48, "--max-length", 128, "--lr", "5e-4", "--save-dtype", "float32"),
    ]
    for name, how in (("whole", []), ("shared", ["--sharding", kind])):
        done = in_two(*words, "--out", tmp_path / name, *how)
        assert done.returncode == 0, done.stderr[-3000:]
    whole, shared = (read_training_log(tmp_path / name) for name in ("whole", "shared"))
    samples = [(tmp_path / name / "samples.jsonl").read_text().splitlines() for name in ("whole", "shared")]
    texts = [[json.loads(line)["response"] for line in lines] for lines in samples]
    assert texts[0] == texts[1]
    assert len({json.loads(line)["tokens"] for line in samples[0]}) > 1
    assert [line.grad_norm for line in shared.log] == pytest.approx(
        [line.grad_norm for line in whole.log], rel=1e-3
    )
    assert shared.sharded is not None
    assert apart(tmp_path / "whole", tmp_path / "shared") < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_goes_on(kind: str, tiny_llama: Path, tmp_path: Path) -> None:
    data, asked = write(tmp_path / "pairs.jsonl", rows(32)), prompts(tmp_path)
    watch = {"prompts": (str(asked),), "every": 2, "max_new_tokens": 4, "samples": 2}
    one = train_dpo(tiny_llama, data, tmp_path / "one", DPOSettings(**SMOOTH, batch_size=8, watch=watch))
    script = tmp_path / "cut.py"
    script.write_text(CUT)
    words = [
        *("train", "dpo", tiny_llama, data, "--out", tmp_path / "two", "--batch-size", 4, *OPTIONS),
        *("--watch-prompts", asked, "--watch-every", 2, "--watch-max-new-tokens", 4, "--watch-samples", 2),
        *("--checkpoint-every", 3, "--sharding", kind),
    ]
    assert in_two(script, 5, *words).returncode != 0
    assert not (tmp_path / "two").exists()
    assert (tmp_path / "two.checkpoints" / "checkpoint-3" / "backfire.json").is_file()
    done = in_two("-m", "backfire", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    two = read_training_log(tmp_path / "two")
    assert two.resumed_from == 3
    alike(one, two)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-5
    assert not (tmp_path / "two.checkpoints").exists()
    ours, theirs = (read_points(tmp_path / name) for name in ("one", "two"))
    assert [(a.step, a.refused) for a in ours] == [(b.step, b.refused) for b in theirs]


@pytest.mark.parametrize("kind", KINDS)
def test_16_bits_in_and_out(kind: str, tiny_qwen2: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = tmp_path / "source"
    AutoModelForCausalLM.from_pretrained(tiny_qwen2, dtype=torch.bfloat16).save_pretrained(source)
    AutoTokenizer.from_pretrained(tiny_qwen2).save_pretrained(source)
    data = write(tmp_path / "pairs.jsonl", rows())
    one = train_dpo(source, data, tmp_path / "one", DPOSettings(**SMOOTH, batch_size=8))
    words = ["-m", "backfire", "train", "dpo", source, data, "--batch-size", 4, *OPTIONS, "--sharding", kind]
    done = in_two(*words, "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    two = read_training_log(tmp_path / "two")
    alike(one, two)
    assert two.saved_dtype == "bfloat16"
    assert two.update_lost == pytest.approx(one.update_lost, rel=1e-3)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-2
    done = in_two(*words, "--out", tmp_path / "half", "--dtype", "bfloat16")
    assert done.returncode == 0, done.stderr[-3000:]
    half = read_training_log(tmp_path / "half")
    assert half.dtype == "bfloat16"
    assert half.log[0].loss == pytest.approx(log(2), abs=0.02)
    assert half.final_loss == pytest.approx(one.final_loss, rel=0.2)


def test_the_best_step_of_a_shared_model(tiny_llama: Path, tmp_path: Path) -> None:
    data, asked = write(tmp_path / "pairs.jsonl", rows()), prompts(tmp_path)
    words = [
        *("-m", "backfire", "train", "dpo", tiny_llama, data, "--batch-size", 4, *OPTIONS),
        *("--watch-prompts", asked, "--watch-every", 1, "--watch-max-new-tokens", 4, "--watch-samples", 2),
        *("--sharding", "fsdp2"),
    ]
    for name in ("keep", "load"):
        done = in_two(*words, "--out", tmp_path / name, f"--watch-{name}-best")
        assert done.returncode == 0, done.stderr[-3000:]
    best = tmp_path / "keep" / "best"
    assert apart(best, tmp_path / "load") == 0
    watched = read_training_log(tmp_path / "load").watch
    assert watched is not None
    assert watched.loaded_best


@WITH_DEEPSPEED
def test_accelerate_launches_deepspeed(tiny_llama: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.jsonl", rows())
    one = train_dpo(tiny_llama, data, tmp_path / "one", DPOSettings(**SMOOTH, batch_size=8))
    done = by_accelerate(
        ["--use_deepspeed", "--zero_stage", "3"],
        *("-m", "backfire", "train", "dpo", tiny_llama, data, "--out", tmp_path / "two", "--batch-size", 4),
        *OPTIONS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alike(one, read_training_log(tmp_path / "two"))
