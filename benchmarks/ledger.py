"""The ledger as it grows: responses stored a second, and what it takes to learn that all of them are there.

    python benchmarks/ledger.py [--rows 100000] [--batch 64] [--words 120]

Prints one row of a Markdown table, in seconds of the processor and not of the clock: the ratio is the rate of the last tenth
of the rows / that of the first tenth, which is 1 where time is linear in their number. Beside it, what a second run does first:
it looks which requests are answered.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

from backfire.records import Decoding, Prompt, Request, Response
from backfire.store import Ledger

WORDS = "how do i clean mend polish carry find keep the old brass lamp clock bell rope box by the sea".split()
DECODING = Decoding(max_new_tokens=256)
TENTHS = 10


def requests(rows: int) -> list[str]:
    """Ids of requests, made as those of a sampler are, from two samples a prompt."""
    return [
        Request(Prompt.of(f"Question {k // 2}?"), "m" * 32, "t" * 32, DECODING, 0, k % 2).id
        for k in range(rows)
    ]


def responses(ids: list[str], first: int, words: int, chance: random.Random) -> list[Response]:
    return [
        Response(
            *(request, Prompt.of(f"Question {k // 2}?").id, "m" * 32, "model", text(words, chance)),
            *("stop", words, DECODING, 0, k % 2),
        )
        for k, request in enumerate(ids, start=first)
    ]


def text(words: int, chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=words))


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--words", type=int, default=120)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    chance = random.Random(0)
    ids = requests(given.rows)
    seconds = [0.0] * TENTHS
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "ledger.db"
        with Ledger(path) as ledger:
            for start in range(0, given.rows, 10_000):
                part = range(start, min(start + 10_000, given.rows))
                ledger.put_prompts([Prompt.of(f"Question {k // 2}?") for k in part])
            before = megabytes()
            for start in range(0, given.rows, given.batch):
                some = responses(ids[start : start + given.batch], start, given.words, chance)
                begin = time.process_time()
                ledger.put_responses(some)
                seconds[start * TENTHS // given.rows] += time.process_time() - begin
            inserting = megabytes() - before
        size = path.stat().st_size / 2**30
        with Ledger(path) as ledger:
            before, begin = megabytes(), time.process_time()
            there = ledger.known(ids)
            resumed, resuming = time.process_time() - begin, megabytes() - before
        assert len(there) == given.rows
    rate = given.rows / sum(seconds)
    print(
        f"| ledger, {given.rows:,} responses in batches of {given.batch} | {size:.1f} GB | "
        f"{seconds[0] / seconds[-1]:.2f} | {rate:,.0f} responses stored a second (+{inserting:.0f} MB); which are there: "
        f"{resumed:.1f} s (+{resuming:.0f} MB) |"
    )


if __name__ == "__main__":
    main()
