"""How much the topics of prompts stay the same when 1% of the prompts are left out.

    python scripts/topic_stability.py PROMPTS ... [--draws 4]

PROMPTS: what `backfire sample --prompts` reads. Prints a row of a Markdown table for each: different prompts, topics, the share of
prompts that belong to none, and the adjusted Rand index (1: the same groups, 0: chance) on the common prompts, for each draw of 99%.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

import backfire as bf
from backfire.prompts import open_prompts

LEFT_OUT = 0.01


def topics_of(prompts: list[str], folder: Path) -> NDArray[np.str_]:
    """The topic of each prompt. Its responses are made up, since topics are those of prompts."""
    rows = [
        {"prompt": prompt, "chosen": f"yes {place}", "rejected": f"no {place}"}
        for place, prompt in enumerate(prompts)
    ]
    file = folder / "pairs.parquet"
    bf.audit(rows, per_pair=file)
    table = pq.read_table(file, columns=["row", "topic"]).to_pydict()
    topics = np.full(len(prompts), "", dtype=object)
    topics[np.array(table["row"]) - 1] = [topic or "" for topic in table["topic"]]
    return topics.astype(np.str_)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--draws", type=int, default=4)
    arguments = parser.parse_args()
    print("| prompts | different | topics | in none | adjusted Rand index |\n|-|-|-|-|-|")
    with tempfile.TemporaryDirectory(prefix="backfire-") as scratch:
        for name in arguments.prompts:
            prompts = sorted({prompt.text for prompt in open_prompts(name).prompts})
            whole = topics_of(prompts, Path(scratch))
            indices = []
            for seed in range(arguments.draws):
                order = np.random.default_rng(seed).permutation(len(prompts))
                places = np.sort(order[: round((1 - LEFT_OUT) * len(prompts))])
                fewer = topics_of([prompts[place] for place in places.tolist()], Path(scratch))
                indices.append(adjusted_rand_score(whole[places], fewer))
            none = float((whole == "").mean())
            count = len(set(whole.tolist()) - {""})
            drawn = ", ".join(f"{index:.2f}" for index in indices)
            print(f"| {Path(name).name} | {len(prompts):,} | {count} | {none:.0%} | {drawn} |", flush=True)


if __name__ == "__main__":
    main()
