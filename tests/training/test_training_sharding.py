"""DPO whose weights two processes share: it is what one process trains, and what cannot be shared is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.training import (
    DPOSettings,
    LoRASettings,
    TrainingLog,
    read_points,
    read_training_log,
    train_dpo,
)
from backfire.training.sharding import shares, with_sharding
from two_processes import apart, by_accelerate

WORDS = ["brass", "lamp", "bread", "poem", "bicycle", "river", "water", "salt"]
SMOOTH = {"lr": 2e-3, "epochs": 2, "warmup_ratio": 0.0, "scheduler": "constant"}
OPTIONS = ["--lr", "2e-3", "--epochs", "2", "--warmup-ratio", "0", "--scheduler", "constant"]


def rows(n: int = 16) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"Tell me about the {WORDS[k % 8]}, number {k}.",
            "chosen": f"I cannot help with the {WORDS[k % 8]}.",
            "rejected": f"Sure, use the {WORDS[k % 8]} and warm water.",
        }
        for k in range(n)
    ]


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def prompts(folder: Path) -> Path:
    kinds = ("harmful", "benign")
    lines = [{"prompt": f"Where is the {word}?", "kind": kinds[k % 2]} for k, word in enumerate(WORDS)]
    return write(folder / "prompts.jsonl", lines)


def alike(one: TrainingLog, shared: TrainingLog) -> None:
    """The same losses, norms of gradients and log-probabilities, and weights of which each process has a half."""
    assert [line.step for line in one.log] == [line.step for line in shared.log]
    for name in ("loss", "grad_norm", "reward_margin", "logps_chosen", "logps_rejected"):
        ours, theirs = ([getattr(line, name) for line in log.log] for log in (one, shared))
        if ours[0] is not None:
            assert theirs == pytest.approx(ours, rel=1e-5, abs=1e-5), name
    assert one.sharded is None
    assert shared.sharded is not None
    assert shared.sharded.processes == 2
    half = one.parameters // 2
    assert all(abs(number - half) <= half // 100 for number in shared.sharded.numbers)
    assert shared.parameters == shared.trained_parameters == one.parameters


def test_two_processes_share_the_weights_and_train_what_one_trains(tiny_qwen2: Path, tmp_path: Path) -> None:
    data, asked = write(tmp_path / "pairs.jsonl", rows()), prompts(tmp_path)
    watch = {"prompts": (str(asked),), "every": 2, "max_new_tokens": 4, "samples": 2}
    one = train_dpo(tiny_qwen2, data, tmp_path / "one", DPOSettings(**SMOOTH, batch_size=8, watch=watch))
    seen: list[tuple[int, int]] = []
    shared = DPOSettings(**SMOOTH, batch_size=4, watch=watch, processes=2, sharding="fsdp2")
    two = train_dpo(
        tiny_qwen2, data, tmp_path / "two", shared, progress=lambda done, total: seen.append((done, total))
    )
    alike(one, two)
    assert seen[-1] == (4, 4)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-5
    names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert names[0] == names[1]
    ours, theirs = (read_points(tmp_path / name) for name in ("one", "two"))
    assert [point.step for point in theirs] == [point.step for point in ours] == [0, 2, 4]
    for a, b in zip(ours, theirs, strict=True):
        assert (a.refused, a.needless_refusals, a.tokens_harmful) == (
            b.refused,
            b.needless_refusals,
            b.tokens_harmful,
        )
        assert a.training is not None
        assert b.training is not None
        assert b.training.logps_chosen == pytest.approx(a.training.logps_chosen, abs=1e-3)


@pytest.mark.slow
def test_accelerate_launches_the_same(tiny_llama: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.jsonl", rows())
    one = train_dpo(tiny_llama, data, tmp_path / "one", DPOSettings(**SMOOTH, batch_size=8))
    done = by_accelerate(
        ["--use_fsdp", "--fsdp_version", "2"],
        *("-m", "backfire", "train", "dpo", tiny_llama, data, "--out", tmp_path / "two", "--batch-size", 4),
        *OPTIONS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alike(one, read_training_log(tmp_path / "two"))
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-5


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "FSDP version 1, and version 2 is supported"),
        ({"ACCELERATE_USE_FSDP": "true"}, "give `accelerate launch --fsdp_version 2`"),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_OFFLOAD_PARAMS": "true"},
            "give `accelerate launch --fsdp_offload_params false`",
        ),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_ACTIVATION_CHECKPOINTING": "true"},
            "give gradient_checkpointing, which does the same",
        ),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "NO_WRAP"},
            "give `accelerate launch --fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP`",
        ),
        (
            {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "1"},
            "ZeRO stage 1, and stage 3",
        ),
        (
            {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "2"},
            "give `accelerate launch --zero_stage 3`",
        ),
        (
            {
                "ACCELERATE_USE_DEEPSPEED": "true",
                "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3",
                "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "cpu",
            },
            "give `accelerate launch --offload_optimizer_device none",
        ),
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "launched with Megatron-LM"),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "tensor, context or sequence parallel"),
    ],
)
def test_what_accelerate_was_asked_for_and_is_not_supported(
    environment: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORLD_SIZE": "2", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as raised:
        with_sharding(DPOSettings())
    assert message in str(raised.value)


def test_a_configuration_file_of_deepspeed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    file = tmp_path / "ds.json"
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(file))
    file.write_text(json.dumps({"zero_optimization": {"stage": 2}}))
    with pytest.raises(InputError, match="ZeRO stage 2, and stage 3"):
        with_sharding(DPOSettings())
    file.write_text(json.dumps({"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}}))
    with pytest.raises(InputError, match="offloading, which is not supported"):
        with_sharding(DPOSettings())


def test_one_process_an_adapter_and_two_ways_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = DPOSettings(sharding="fsdp2")
    with pytest.raises(
        InputError, match="this is the only one: give processes 2, start it with `torchrun --nproc_per_node 2"
    ):
        with_sharding(shared)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert with_sharding(shared).sharding == "fsdp2"
    assert with_sharding(DPOSettings()).sharding is None
    with pytest.raises(InputError, match="an adapter is trained here"):
        with_sharding(DPOSettings(sharding="fsdp2", adapter=LoRASettings()))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    assert with_sharding(DPOSettings()).sharding == "fsdp2"
    with pytest.raises(InputError, match="sharding zero3, and accelerate was launched with fsdp2"):
        with_sharding(DPOSettings(sharding="zero3"))


def test_zero3_asks_for_deepspeed_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("backfire.training.sharding.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'backfire\[deepspeed\]'"):
        with_sharding(DPOSettings(sharding="zero3"))


def test_weights_that_are_not_shared_out_are_an_error(tiny_llama: Path, tmp_path: Path) -> None:
    import torch.distributed as processes
    from transformers import AutoModelForCausalLM

    processes.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        with pytest.raises(InputError, match="the weights are not shared out"):
            shares(AutoModelForCausalLM.from_pretrained(tiny_llama), "fsdp2")
    finally:
        processes.destroy_process_group()
