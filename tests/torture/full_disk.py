"""Commands whose disk is full, at one place after another: the cause is named, nothing is left over, and the exit code is not 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torture.figures import Figures, timed

SMALLEST, LARGEST = 16, 2_048
"""KiB of the disks that are tried, one after another, until a command succeeds on one."""
LONGEST = 300.0


@contextmanager
def small_disk(place: Path, kibibytes: int) -> Iterator[Path]:
    """A disk of so many KiB, mounted in memory. Raises OSError where this process may not mount."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "backfire-torture", str(place)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise OSError(f"this process may not mount a small disk ({done.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


def limited(kibibytes: int) -> Callable[[], None]:
    """What bounds the files that a process writes, where no disk can be mounted."""

    def limit() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * kibibytes, resource.RLIM_INFINITY))

    return limit


def commands(inputs: Path, out: Path) -> dict[str, list[str]]:
    """Commands that write, by what they write."""
    pairs, answers, prompts = (
        str(inputs / name) for name in ("pairs.jsonl", "answers.jsonl", "prompts.jsonl")
    )
    policy = str(inputs / "policy")
    audit = ["audit", pairs]
    return {
        "import into a ledger": ["import", answers, "--ledger", str(out / "l.db"), "--source", "people"],
        "sample into a ledger": [
            *("sample", policy, "--prompts", prompts, "--ledger", str(out / "l.db")),
            *("--max-new-tokens", "8"),
        ],
        "convert": ["convert", pairs, "--out", str(out / "converted.jsonl")],
        "convert to Parquet": ["convert", pairs, "--out", str(out / "converted.parquet")],
        "repair": ["repair", pairs, "--method", "clean", "--out", str(out / "repaired"), "--no-audit"],
        "audit --json": [*audit, "--json", str(out / "audit.json")],
        "audit --html": [*audit, "--html", str(out / "audit.html")],
        "audit --per-pair": [*audit, "--per-pair", str(out / "pairs.parquet")],
        "audit --per-pair, lines": [*audit, "--per-pair", str(out / "pairs.jsonl")],
        "audit --rows": [*audit, "--rows", str(out / "rows.csv")],
        "judge file": ["judge", "file", answers, "--out", str(out / "judged.jsonl"), "--judge", "phrases"],
        "judge train": ["judge", "train", answers, "--out", str(out / "judge.json"), "--what", "refusal"],
        "attack --json": [
            *("attack", policy, "--benign", prompts, "--ledger", str(out / "l.db")),
            *("--json", str(out / "attack.json"), "--max-new-tokens", "8"),
        ],
        "train dpo": ["train", "dpo", policy, pairs, "--out", str(out / "policy"), "--batch-size", "4"],
        "study": ["study", "run", str(inputs / "study.yaml"), "--out", str(out / "run")],
    }


def write_inputs(inputs: Path) -> None:
    import yaml

    from checkpoints import save_policy

    inputs.mkdir()
    words = "a lamp of brass that stands beside the long road home".split()
    pairs, answers, prompts = [], [], []
    for k in range(80):
        text = " ".join(words[(k + n) % len(words)] for n in range(20))
        pairs.append(
            {"prompt": f"Question {k}?", "chosen": f"Yes {k}: {text}.", "rejected": f"No {k}, {text}."}
        )
        answers.append(
            {
                "prompt": f"Question {k}?",
                "response": f"I cannot {k} {text}" if k % 2 else text,
                "label": k % 2,
            }
        )
        prompts.append({"prompt": f"Question {k}?", "kind": "harmful"})
    for name, rows in (("pairs", pairs), ("answers", answers), ("prompts", prompts)):
        (inputs / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    policy = save_policy(inputs / "policy", "llama")
    target = {"family": "llama", "policy": str(policy)}
    target["responders"] = [
        {"role": "self", "model": str(policy)},
        {"role": "gpt4o", "model": str(policy), "n": 2},
    ]  # type: ignore[assignment]
    study = {
        "name": "small",
        "prompts": str(inputs / "prompts.jsonl"),
        "targets": [target],
        "recipes": ["gpt4o+self"],
        "decoding": {"max_new_tokens": 6},
        "attacks": {"harmful": {"asks": str(inputs / "prompts.jsonl")}, "judges": ["phrases"]},
    }
    (inputs / "study.yaml").write_text(yaml.safe_dump(study))


def full_disk(place: Path, names: list[str] | None = None, sizes: int = 4) -> Figures:
    """Run each command on disks of growing size, until it succeeds or so many have been tried."""
    figures = Figures("full disk", "runs")
    inputs = place / "inputs"
    write_inputs(inputs)
    mounts = True
    try:
        with small_disk(place / "disk", SMALLEST):
            pass
    except OSError:
        mounts = False
    figures.seen["by a small disk" if mounts else "by a limit of the size of files"] = 0
    how = next(iter(figures.seen))
    with timed(figures):
        for name in names or list(commands(inputs, place)):
            size = SMALLEST
            for _ in range(sizes):
                if _succeeds(name, inputs, place, size, mounts, figures, how):
                    figures.seen["succeeded on a larger disk"] += 1
                    break
                size *= 4
    return figures


def _succeeds(
    name: str, inputs: Path, place: Path, size: int, mounts: bool, figures: Figures, how: str
) -> bool:
    disk = place / "disk"
    with small_disk(disk, size) if mounts else _plain(disk):
        command = [sys.executable, "-m", "backfire", *commands(inputs, disk)[name]]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                preexec_fn=None if mounts else limited(size),
                env={**os.environ, "TMPDIR": str(place)},
            )
        except subprocess.TimeoutExpired:
            figures.fault("hang", f"{name} on {size} KiB")
            return True
        figures.times += 1
        figures.seen[how] += 1
        _judge(name, size, done, disk, figures)
        return done.returncode == 0


@contextmanager
def _plain(disk: Path) -> Iterator[Path]:
    import shutil

    disk.mkdir(parents=True, exist_ok=True)
    try:
        yield disk
    finally:
        with suppress(OSError):
            shutil.rmtree(disk)


CAUSES = (
    "No space left on device",
    "File too large",
    "disk is full",
    "disk I/O error",
    "Disk quota exceeded",
)


def _judge(
    name: str, size: int, done: subprocess.CompletedProcess[str], disk: Path, figures: Figures
) -> None:
    where = f"{name} on {size} KiB"
    said = done.stdout + done.stderr
    if "Traceback" in said:
        figures.fault("traceback", f"{where}: {said[said.index('Traceback') :][-700:]}")
    named = any(cause in said for cause in CAUSES)
    figures.seen["named the cause"] += named
    if named and done.returncode == 0:
        figures.fault("wrong", f"{where}: it exited 0: {done.stderr[-300:]}")
    if done.returncode not in (0, 1, 2, 3) or (done.returncode and not named):
        figures.fault("wrong", f"{where}: it exited {done.returncode}: {done.stderr[-400:]}")
    for path in disk.rglob("*"):
        if path.name.startswith(".") and path.name.rpartition(".")[2].isdigit():
            figures.fault("left over", f"{where}: {path.relative_to(disk)}")
