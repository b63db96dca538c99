"""Predictors by hidden states against one epoch of `train dpo` on the same pairs, in one run.

    python benchmarks/predictors.py --model REFERENCE --data DATA [--pairs 32] [--probes 8] [--parameters all|lora]

DATA: anything that `backfire audit` reads. The first pairs are read and trained on; the sides of the next ones stand for the policy's
refusals and compliances, since what they say changes no time. Prints rows of a Markdown table: seconds of each predictor over all the
pairs, in parts of the training's; what the probes take, which does not grow with the pairs; and the same by arithmetic of multiplications.
Seconds are those of the processor, so that other work on the machine changes them little: set OMP_NUM_THREADS=1. The training's are those
of all pairs less those of two, in proportion, so that opening and saving the model are not in them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from backfire.influence.encoded_probes import encoded_probes
from backfire.influence.predictors.readings import Pairs, Probed, Readings
from backfire.influence.predictors.registry import measured
from backfire.influence.probe_sets import Probe, ProbeSet, ProbeSets
from backfire.influence.shards import shards_of
from backfire.judges import PhraseJudge
from backfire.models import open_model
from backfire.models.memory import Shape
from backfire.preferences import open_preferences, pairs_of
from backfire.training import DPOSettings, train_dpo


def readings_of(model: Any, bodies: list[Any], probes: ProbeSet) -> Readings:
    groups = np.arange(len(bodies))
    parts = shards_of(groups, 20, 0)
    sets = encoded_probes(model, ProbeSets(probes), len(parts), 0)
    probed = {name: Probed(one.probe_set, one.encoded, one.parts, None) for name, one in sets.items()}
    whole = Pairs.of(model, bodies, False, 1024)
    return Readings(model, whole, groups + 1, groups, parts, None, probed, PhraseJudge())


def trained(model: str, rows: list[dict[str, Any]], parameters: Any) -> float:
    """Seconds of the processor for one epoch, with all that is around it."""
    settings = DPOSettings(parameters=parameters, epochs=1, batch_size=8, dtype="float32", lr=1e-6)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        train_dpo(model, rows, Path(folder) / "out", settings)
        return time.process_time() - begin


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--model", required=True)
    parse.add_argument("--data", required=True)
    parse.add_argument("--pairs", type=int, default=32)
    parse.add_argument("--probes", type=int, default=8)
    parse.add_argument("--parameters", choices=("all", "lora"), default="all")
    parse.add_argument("--dtype", default="float32")
    given = parse.parse_args()
    bodies: list[Any] = []
    for block in open_preferences(given.data).blocks():
        bodies += pairs_of(block)
        if len(bodies) >= given.pairs + given.probes:
            break
    read, beside = bodies[: given.pairs], bodies[given.pairs : given.pairs + given.probes]
    probes = ProbeSet(
        "refusal",
        tuple(Probe(p, (str(c),), (str(r),), "given", "all") for p, c, r in beside),
        {"all": len(beside)},
    )
    model: Any = open_model(given.model, dtype=given.dtype)
    readings_of(model, read[:2], probes).block  # noqa: B018
    seconds: dict[str, float] = {}
    readings = readings_of(model, read, probes)
    begin = time.process_time()
    block = readings.block.number
    of_probes = time.process_time() - begin
    for name in ("activation-contrast", "ches"):
        begin = time.process_time()
        measured(readings, [name], {})
        seconds[name] = time.process_time() - begin
    tokens = sum(len(ids) for ids, _ in readings.pairs.encoded.rows)
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt.text}],
            "chosen": [{"role": "assistant", "content": str(chosen)}],
            "rejected": [{"role": "assistant", "content": str(rejected)}],
        }
        for prompt, chosen, rejected in read
    ]
    few = trained(given.model, rows[:2], given.parameters)
    training = (trained(given.model, rows, given.parameters) - few) * len(rows) / (len(rows) - 2)
    shape = Shape.of(model.model)
    head = shape.vocabulary * shape.hidden
    tied = bool(getattr(model.model.config.get_text_config(), "tie_word_embeddings", False))
    body = shape.parameters - (1 if tied else 2) * head
    epoch = (body + head) * (4 if given.parameters == "all" else 3)
    parts = {"activation-contrast": body * block / (model.layers - 1), "ches": float(body)}
    print("| reads | seconds | of the epoch, measured | of the epoch, by multiplications |\n|-|-|-|-|")
    print(
        f"| one epoch of `train dpo`, {given.parameters}, {given.pairs} pairs, {tokens:,} tokens | {training:.1f} | 1 | 1 |"
    )
    for name, taken in seconds.items():
        depth = f"block {block} of {model.layers - 1}" if name == "activation-contrast" else "all blocks"
        print(f"| {name}, {depth} | {taken:.1f} | {taken / training:.3f} | {parts[name] / epoch:.3f} |")
    print(f"| {given.probes} probes, all blocks, once | {of_probes:.1f} | | |")


if __name__ == "__main__":
    main()
