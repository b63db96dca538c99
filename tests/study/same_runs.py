"""Two run folders hold the same, but for clock times and the number of workers."""

from __future__ import annotations

from pathlib import Path

from tiny_study import timeless

from backfire.pairs import read_pairs
from backfire.store import Ledger, read_json


def responses(folder: Path) -> dict[str, str]:
    with Ledger(folder / "ledger.db") as ledger:
        every = [r for source in ledger.sources() for r in ledger.responses_of(source)]
    return {r.request_id: r.text for r in every}


def compare(one: Path, other: Path) -> None:
    """Everything that a run leaves is the same, but for clock times and the number of workers."""
    first, second = (timeless(read_json(folder / "results.json")) for folder in (one, other))
    for results in (first, second):
        results["study"].pop("workers")
    assert first == second
    assert responses(one) == responses(other)
    for cell in first["cells"]:
        if cell["recipe"] == "sft":
            continue
        folders = [root / "cells" / cell["id"] for root in (one, other)]
        pairs = [read_pairs(folder / "pairs").pairs for folder in folders]
        assert pairs[0] == pairs[1]
        weights = [(folder / "policy" / "model.safetensors").read_bytes() for folder in folders]
        assert weights[0] == weights[1]
