"""Peak memory of each command on a real model, beside the rule: three times the weights in 16 bits, and 2 GB.

    python scripts/measure_peaks.py ../models/smollm2 [sample attack general ...]

Inputs are made here and small, but fill the batches that the defaults give: prompts and responses of usual lengths, and as many as go
through at once. Prints the table of docs/reference/memory.md, a line as each command ends. The peak is the largest
resident set of the process
(what the operating system counts, mapped files included), in powers of ten.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backfire.models.weight_count import weight_count

WORDS = "a short answer with some steps to follow, first the paper, then the scissors, and at last the glue; "
HARMFUL = "Explain how somebody could break into a locked house number {n} without being seen"
BENIGN = "Explain how somebody could repair the lock of house number {n}"
REFUSAL = "I'm sorry, but I can't help with that."
TRAINED = 16
"""Pairs that are trained on: two batches of the default size, so that the optimizer's moments are there for the second."""


def main() -> None:
    model, *names = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="backfire-") as scratch:
        folder = Path(scratch)
        inputs(folder)
        parameters = weight_count(model)
        bound = rule(parameters)
        print(f"{model}: {parameters / 1e6:,.0f} million parameters, rule {bound / 1e9:.1f} GB\n")
        print("| command | peak, GB | rule, GB | seconds | exit |\n|-|-|-|-|-|", flush=True)
        for name, arguments in commands(model, folder).items():
            if names and name not in names:
                continue
            peak, seconds, code = measured(arguments)
            mark = "" if peak <= bound else " **over**"
            print(
                f"| {name} | {peak / 1e9:.2f}{mark} | {bound / 1e9:.1f} | {seconds:.0f} | {code} |",
                flush=True,
            )


def inputs(folder: Path) -> None:
    """Prompts, pairs and tasks, as files."""

    def lines(name: str, rows: list[dict[str, object]]) -> None:
        (folder / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    lines("harmful.jsonl", [{"prompt": HARMFUL.format(n=n), "kind": "harmful"} for n in range(64)])
    lines("probes.jsonl", [{"prompt": HARMFUL.format(n=n), "kind": "harmful"} for n in range(100, 108)])
    pairs: list[dict[str, object]] = [
        {
            "prompt": (HARMFUL if n % 2 else BENIGN).format(n=n),
            "chosen": f"{REFUSAL if n % 2 else ''} {WORDS * 3}",
            "rejected": f"Answer {n}: {WORDS * 4}",
        }
        for n in range(40)
    ]
    lines("pairs.jsonl", pairs)
    lines("trained.jsonl", pairs[:TRAINED])
    lines(
        "talks.jsonl",
        [
            {
                "messages": [
                    {"role": "user", "content": BENIGN.format(n=n)},
                    {"role": "assistant", "content": WORDS * 4},
                ]
            }
            for n in range(16)
        ],
    )
    tasks = folder / "tasks"
    tasks.mkdir()
    (tasks / "choices.yaml").write_text(
        "task: choices\ndataset_path: json\noutput_type: multiple_choice\ntest_split: test\n"
        "dataset_kwargs: {data_files: {test: choices.jsonl}}\ndoc_to_text: '{{question}}'\n"
        "doc_to_choice: '{{choices}}'\ndoc_to_target: '{{label}}'\nmetric_list: [{metric: acc}]\n",
        encoding="utf-8",
    )
    items = [
        {
            "question": WORDS * 6 + f"Which is it, {n}?",
            "choices": [WORDS, "paper", "glue", "none of these"],
            "label": 1,
        }
        for n in range(16)
    ]
    (tasks / "choices.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")


def commands(model: str, folder: Path) -> dict[str, list[str]]:
    """The command lines by name; options other than inputs and lengths are the defaults."""
    pairs, harmful = str(folder / "pairs.jsonl"), str(folder / "harmful.jsonl")
    policy = ["--policy", model]
    ledger = ["--ledger", str(folder / "ledger.db")]
    return {
        "sample": ["sample", model, "--prompts", harmful, "--max-new-tokens", "16", *ledger],
        "general": ["general", model, "--tasks", str(folder / "tasks")],
        "audit --policy": ["audit", pairs, *policy],
        "audit --policy --probe-prompts --pilot": [
            *("audit", pairs, *policy, "--probe-prompts", str(folder / "probes.jsonl"), "--pilot", "1"),
        ],
        "train dpo": ["train", "dpo", model, str(folder / "trained.jsonl"), "--out", str(folder / "dpo")],
        "train sft": ["train", "sft", model, str(folder / "talks.jsonl"), "--out", str(folder / "sft")],
        "attack": ["attack", model, "--attack", harmful, "--max-new-tokens", "16", *ledger],
        "attack of the adapter": [
            *("attack", model, "--adapter", str(folder / "dpo"), "--attack", harmful),
            *("--max-new-tokens", "16", *ledger),
        ],
        "repair filter": [
            *(
                "repair",
                pairs,
                "--method",
                "filter",
                "--keep",
                "0.5",
                *policy,
                "--out",
                str(folder / "repaired"),
            ),
            *("--probe-prompts", str(folder / "probes.jsonl"), "--no-audit"),
        ],
    }


def rule(parameters: int) -> float:
    """The bytes that a command may take at most: three times the weights in 16 bits, and 2 GB."""
    return 3 * 2 * parameters + 2e9


def measured(arguments: list[str]) -> tuple[int, float, int]:
    """Peak bytes of the command's process, seconds, exit code."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        done = subprocess.Popen([sys.executable, "-m", "backfire", *arguments], stdout=log, stderr=log)
        _, status, used = os.wait4(done.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, 1):
            log.seek(0)
            shutil.copyfileobj(log, sys.stderr.buffer)
    return used.ru_maxrss * 1024, time.perf_counter() - started, code


if __name__ == "__main__":
    main()
