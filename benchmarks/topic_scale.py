"""The table of topics at 20 thousand pairs and at a million: seconds of the processor, and the peak of memory.

    python benchmarks/topic_scale.py [PAIRS ...] [--data FOLDER]

Each size runs in a process of its own on pairs that are made as `audit_scale.py` makes them (real prompts and windows of real answers,
where --data, BACKFIRE_DATA or ../shared/data has them). The text is read as an audit reads it; then the topics are found on a sample of the
prompts, given to every pair, and tabulated. Prints one row of a Markdown table for each size.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path
from time import process_time

from audit_scale import measured

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
    for _, told in measured(__file__, __doc__, SIZES, run):
        print(
            f"| topics of prompts | {told['pairs']:,} pairs, {told['topics']} topics | {told['seconds']:.1f} s of the processor, peak"
            f" {told['peak'] / 2**30:.2f} GiB ({told['before'] / 2**30:.2f} once the text is read) |"
            f" {1e6 * told['seconds'] / told['pairs']:.0f} µs/pair |",
            flush=True,
        )


if __name__ == "__main__":
    main()
