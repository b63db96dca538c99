"""The whole text-only audit at 10 thousand, 100 thousand and a million pairs: seconds, memory, and what the time goes into.

    python benchmarks/audit_scale.py [PAIRS ...] [--data FOLDER]

Each size runs in a process of its own on a JSONL file in a temporary folder. Pairs are real text that is repeated and
perturbed: windows of 20 to 90 words out of AlpacaEval's answers and HH's (folders `alpaca-eval` and `hh-rlhf` under
--data, BACKFIRE_DATA or ../shared/data), their words in part exchanged between responses, prompts numbered so that all
differ; from a fixed word list where that data is absent. A *read* is the yardstick: the file's text is opened as pairs
and every byte of it touched once. Prints one row of a Markdown table for each size; the parts on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

SIZES = (10_000, 100_000)
"""`make bench` stays within minutes; a million by name: `python benchmarks/audit_scale.py 10000 100000 1000000`."""
MODELS = ("gpt4_1106_preview", "Meta-Llama-3-8B-Instruct")
EXCHANGED = 0.1
"""Share of words taken from another place of the text."""


def sources(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Prompts, and the words of each side's answers, all joined."""
    if not (folder / "alpaca-eval").is_dir():
        rng = np.random.default_rng(0)
        words = [f"w{i}" for i in rng.zipf(1.3, 200_000) % 20_000]
        return [f"Request of {w}" for w in words[:500]], [words[:100_000], words[100_000:]]
    prompts: list[str] = []
    sides = []
    for model in MODELS:
        rows = json.loads((folder / "alpaca-eval" / f"{model}.json").read_text(encoding="utf-8"))
        prompts = [row["instruction"] for row in rows]
        sides.append(" ".join(row["output"] for row in rows).split(" "))
    return prompts, sides


def write_pairs(path: Path, pairs: int, folder: Path) -> int:
    """Write so many pairs; give the bytes."""
    rng = np.random.default_rng(1)
    prompts, sides = sources(folder)
    with path.open("w", encoding="utf-8") as file:
        for number in range(pairs):
            row = {
                "prompt": f"{prompts[number % len(prompts)][:300]} (request {number}: {rng.integers(1 << 60):x})"
            }
            for name, words in zip(("chosen", "rejected"), sides, strict=True):
                count = int(rng.integers(20, 90))
                start = int(rng.integers(len(words) - count))
                text = words[start : start + count]
                for place in rng.integers(count, size=int(EXCHANGED * count)):
                    text[place] = words[int(rng.integers(len(words)))]
                row[name] = " ".join(text)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path.stat().st_size


def one_read(path: Path) -> float:
    """Seconds to open the pairs and touch every byte of their text once."""
    from backfire.preferences import open_preferences

    start = perf_counter()
    total = 0
    for block in open_preferences(path).blocks():
        for name in ("prompt", "chosen", "rejected"):
            data = block[name].buffers()[2]
            total += int(np.frombuffer(data, dtype=np.uint8).sum(dtype=np.uint64))
    return perf_counter() - start


def run(path: Path) -> None:
    """In a process of its own: audit, and print what it took as JSON."""
    import scipy.linalg  # noqa: F401  (imports are not timed)

    from backfire.auditing import audit
    from backfire.texts import Vocabulary  # noqa: F401

    read = one_read(path)
    start = perf_counter()
    report = audit(path)
    told = {
        "pairs": report.pairs,
        "seconds": perf_counter() - start,
        "read": read,
        "parts": report.seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "words": report.probe("words").pointwise.model_dump(),  # type: ignore[union-attr]
    }
    print(json.dumps(told))


def measured(
    script: str, about: str | None, sizes: Sequence[int], run: Callable[[Path], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """For each size that the command line names: the bytes of its pairs, and what `run` prints of them, as JSON on its last line.

    The script calls itself with `--run FILE` for each size, so that it runs in a process of its own.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=int, nargs="*", default=list(sizes))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BACKFIRE_DATA", beside)))
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        run(arguments.run)
        return
    with tempfile.TemporaryDirectory() as folder:
        for pairs in arguments.pairs:
            path = Path(folder) / f"{pairs}.jsonl"
            size = write_pairs(path, pairs, arguments.data)
            done = subprocess.run(
                [sys.executable, script, "--run", path], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{script} failed on {pairs} pairs:\n{done.stderr}")
            path.unlink()
            yield size, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    for size, told in measured(__file__, __doc__, SIZES, run):
        for name, seconds in told["parts"].items():
            print(f"{told['pairs']} pairs, {name:10} {seconds:7.1f} s", file=sys.stderr)
        words = told["words"]
        print(f"words {words['auroc']:.3f} [{words['low']:.3f}, {words['high']:.3f}]", file=sys.stderr)
        print(
            f"| audit, whole, text only | {told['pairs']:,} pairs, {size / 1e6:,.0f} MB | {told['seconds']:.0f} s, "
            f"{told['seconds'] / told['read']:.0f} reads of the text ({told['read']:.1f} s each), "
            f"peak {told['peak'] / 2**30:.2f} GiB | {1e6 * told['seconds'] / told['pairs']:.0f} µs/pair |",
            flush=True,
        )


if __name__ == "__main__":
    main()
