"""The table of topics at 20 thousand pairs and at a million: seconds of the processor, and the peak of memory.

    python benchmarks/topic_scale.py [PAIRS ...] [--data FOLDER]

Each size runs in a process of its own on pairs that are made as `audit_scale.py` makes them (real prompts and windows of real answers,
where --data, BACKFIRE_DATA or ../shared/data has them). The text is read as an audit reads it; then the topics are found on a sample of the
prompts, given to every pair, and tabulated. Prints one row of a Markdown table for each size.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

from audit_scale import write_pairs

SIZES = (20_000,)
"""`make bench` stays within minutes; a million by name: `python benchmarks/topic_scale.py 20000 1000000`."""


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(path: Path) -> None:
    """In a process of its own: read, find topics, tabulate, and print what it took as JSON."""
    from backfire.auditing.inputs import open_inputs
    from backfire.auditing.reading import read
    from backfire.auditing.settings import AuditSettings
    from backfire.auditing.steps import Steps
    from backfire.auditing.topics.grouping import prompt_topics
    from backfire.auditing.topics.tabulating import topics_answer

    settings = AuditSettings(by_topic=True)
    inputs = open_inputs(path, settings)
    pairs = read(inputs, settings, Steps(None, total=inputs.weight, announce=None))
    before, started = peak(), process_time()
    topics = prompt_topics(pairs, inputs.encoder, settings.topics, settings.seed, None)
    table = topics_answer(topics, pairs.audited, {})
    seconds = process_time() - started
    told = {"pairs": pairs.audited.pairs, "seconds": seconds, "before": before, "peak": peak()}
    print(json.dumps(told | {"topics": len(table.topics)}))


def main() -> None:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BACKFIRE_DATA", beside)))
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        run(arguments.run)
        return
    with tempfile.TemporaryDirectory() as folder:
        for pairs in arguments.pairs:
            path = Path(folder) / f"{pairs}.jsonl"
            write_pairs(path, pairs, arguments.data)
            done = subprocess.run(
                [sys.executable, __file__, "--run", path], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"the topics of {pairs} pairs failed:\n{done.stderr}")
            told = json.loads(done.stdout.splitlines()[-1])
            path.unlink()
            print(
                f"| topics of prompts | {told['pairs']:,} pairs, {told['topics']} topics | {told['seconds']:.1f} s of the processor, peak"
                f" {told['peak'] / 2**30:.2f} GiB ({told['before'] / 2**30:.2f} once the text is read) |"
                f" {1e6 * told['seconds'] / told['pairs']:.0f} µs/pair |",
                flush=True,
            )


if __name__ == "__main__":
    main()
