"""A command, or a script, in two processes over gloo, as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def in_two(*words: object) -> subprocess.CompletedProcess[str]:
    """What two processes left that ran `python WORDS`; a command of backfire begins with `-m backfire`."""
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port())]
    return subprocess.run(
        [sys.executable, *launcher, *map(str, words)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
    )


def by_accelerate(options: Sequence[str], *words: object) -> subprocess.CompletedProcess[str]:
    """The same by `accelerate launch OPTIONS`."""
    how = ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launcher = ["-m", "accelerate.commands.launch", *how, "--main_process_port", str(free_port()), *options]
    return subprocess.run(
        [sys.executable, *launcher, *map(str, words)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
    )


def apart(one: Path, other: Path) -> float:
    """The largest difference of two checkpoints' weights, which have the same names and dtypes."""
    ours, theirs = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert {name: w.dtype for name, w in ours.items()} == {name: w.dtype for name, w in theirs.items()}
    return max(float((ours[name].to(torch.float64) - theirs[name]).abs().max()) for name in ours)
