"""The sampler (length-sorted batches) against one prompt at a time, side by side in one run.

    python benchmarks/sampling.py [--model REFERENCE] [--prompts 96] [--n 2] [--new-tokens 48] [--rounds 3]

Prints one row of a Markdown table: the ratio is the median over rounds of seconds one at a time / seconds of
the sampler, the two taken in turns. `organism:llama/target` is sampled where it is there, else a random Llama
of about the same size is built. Prompts have 4 to 60 words, so that batches in the given order would be ragged.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from backfire.errors import BackfireError
from backfire.models import LocalModel, open_model
from backfire.records import Decoding, Prompt, Request
from backfire.responses import sample
from backfire.store import Ledger

WORDS = "how do i clean mend polish carry find keep the old brass lamp clock bell rope box by the sea".split()


def prompts(count: int, seed: int = 0) -> list[Prompt]:
    draw = random.Random(seed)
    return [Prompt.of(" ".join(draw.choices(WORDS, k=draw.randint(4, 60)))) for _ in range(count)]


def one_at_a_time(model: LocalModel, wanted: list[Prompt], n: int, decoding: Decoding) -> float:
    begin = time.perf_counter()
    for prompt in wanted:
        for index in range(n):
            model.generate([Request(prompt, model.id, model.template_digest, decoding, 0, index)])
    return time.perf_counter() - begin


def sampler(model: LocalModel, wanted: list[Prompt], n: int, decoding: Decoding, batch_size: int) -> float:
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.db") as ledger:
        begin = time.perf_counter()
        found = sample(model, wanted, ledger=ledger, n=n, decoding=decoding, batch_size=batch_size)
        seconds = time.perf_counter() - begin
    assert len(found.responses) == len(wanted) * n, found.failures[:1]
    return seconds


def open_subject(reference: str, folder: Path) -> LocalModel:
    try:
        model = open_model(reference, device="cpu")
    except (BackfireError, ImportError):
        from checkpoints import save_policy

        model = open_model(save_policy(folder / "random-llama", "llama", hidden=96, layers=3), device="cpu")
    assert isinstance(model, LocalModel)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="organism:llama/target")
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--n", type=int, default=2)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = open_subject(options.model, Path(folder))
        wanted, decoding = prompts(options.prompts), Decoding(options.new_tokens)
        sampler(model, wanted[:8], 1, decoding, options.batch_size)
        ratios, fast = [], []
        for _ in range(options.rounds):
            slow = one_at_a_time(model, wanted, options.n, decoding)
            fast.append(sampler(model, wanted, options.n, decoding, options.batch_size))
            ratios.append(slow / fast[-1])
        size = model.model.num_parameters() / 1e6
        count = options.prompts * options.n
        print(
            f"| sampling | {Path(model.name).name}, {size:.2f}M parameters, {count} responses of at most "
            f"{options.new_tokens} tokens, batch {options.batch_size} | {statistics.median(ratios):.1f} times as fast as one "
            f"prompt at a time ({min(ratios):.1f} to {max(ratios):.1f}) | {count / statistics.median(fast):.0f} responses/s |"
        )


if __name__ == "__main__":
    main()
