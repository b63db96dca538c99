"""Audit known sets and write src/backfire/auditing/conclusion/reference_points.yaml, the yardstick of an audit's conclusion.

    python scripts/reference_points.py DATA [NAME=PAIRS ...]

DATA has the layout of the folder that BACKFIRE_DATA names. PAIRS is a folder of pairs that a study or `backfire pair`
wrote, such as "tiny model's own samples, ranked by a reward model=runs/demo/pairs/self+rm". A set of the file that is
not audited anew keeps its numbers; one that was audited before both numbers were written has no pairwise one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import backfire
from backfire.answers import AuditReport

OUT = (
    Path(__file__).resolve().parents[1]
    / "src"
    / "backfire"
    / "auditing"
    / "conclusion"
    / "reference_points.yaml"
)
PROBES = ("length", "surface", "words", "characters")
HEAD = """\
# What the text probes of the ladder gave on known sets. Written by scripts/reference_points.py: change nothing here.
# Pointwise AUROC and pairwise accuracy, each with its 95% interval.
"""
ALPACA = (
    ("GPT-4 over Llama-3-8B", "gpt4_1106_preview", "Meta-Llama-3-8B-Instruct"),
    ("Llama-3-8B over Mistral-7B", "Meta-Llama-3-8B-Instruct", "Mistral-7B-Instruct-v0.2"),
    ("Llama-3-70B over Llama-3-8B", "Meta-Llama-3-70B-Instruct", "Meta-Llama-3-8B-Instruct"),
)


def of_two_models(folder: Path, chosen: str, rejected: str) -> Iterator[dict[str, Any]]:
    """One model's answers against another's, joined by instruction."""
    sides = []
    for name in (chosen, rejected):
        rows = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        sides.append({row["instruction"]: row["output"] for row in rows})
    for instruction, output in sides[0].items():
        if output != sides[1].get(instruction, output):
            yield {"prompt": instruction, "chosen": output, "rejected": sides[1][instruction]}


def entry(name: str, origin: str, report: AuditReport) -> dict[str, Any]:
    probes = {probe: report.probe(probe) for probe in PROBES}
    found = {
        probe: {
            "auroc": round(told.pointwise.auroc, 4),
            "low": round(told.pointwise.low, 4),
            "high": round(told.pointwise.high, 4),
            "pairwise": round(told.pairwise.accuracy, 4),
            "pairwise_low": round(told.pairwise.low, 4),
            "pairwise_high": round(told.pairwise.high, 4),
        }
        for probe, told in probes.items()
        if told is not None
    }
    print(
        f"{name}: "
        + ", ".join(f"{probe} {one['auroc']:.3f} {one['pairwise']:.3f}" for probe, one in found.items()),
        flush=True,
    )
    return {"name": name, "origin": origin, "pairs": report.pairs, "probes": found}


def main(data: Path, others: list[str]) -> None:
    sets = []
    with tempfile.TemporaryDirectory() as folder:
        for name, chosen, rejected in ALPACA:
            path = Path(folder, "pairs.jsonl")
            with path.open("w", encoding="utf-8") as lines:
                lines.writelines(
                    json.dumps(row) + "\n" for row in of_two_models(data / "alpaca-eval", chosen, rejected)
                )
            origin = f"AlpacaEval outputs of {chosen} and {rejected}, tatsu-lab/alpaca_eval @cd543a1"
            sets.append(entry(name, origin, backfire.audit(path)))
    humans = backfire.audit(data / "hh-rlhf" / "harmless_even.jsonl")
    origin = "people's labels on one model's responses, anthropics/hh-rlhf @354e5c3, harmless"
    sets.append(entry("human labels, HH harmless", origin, humans))
    for other in others:
        name, _, path = other.rpartition("=")
        sets.append(
            entry(name, "pairs of a backfire organism (docs/concepts/organisms.md)", backfire.audit(path))
        )
    audited = {known["name"] for known in sets}
    before = yaml.safe_load(OUT.read_text(encoding="utf-8"))["sets"] if OUT.is_file() else []
    sets += [known for known in before if known["name"] not in audited]
    text = yaml.safe_dump({"sets": sets}, sort_keys=False, allow_unicode=True, width=110)
    OUT.write_text(HEAD + text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 2 or not all("=" in argument for argument in sys.argv[2:]):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
