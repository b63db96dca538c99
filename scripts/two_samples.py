"""Two unranked samples of one organism as chosen and rejected: pairs whose label says nothing.

    python scripts/two_samples.py OUT.jsonl [MODEL]

The audit of such a set is a reference point (`scripts/reference_points.py`): the floor beneath sets that were ranked.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import backfire as bf
from backfire.organisms import catalog


def main(out: Path, model: str = "organism:llama/target") -> None:
    prompts = catalog.world_prompts("organism:prompts/train")
    warm = bf.Decoding(max_new_tokens=64, temperature=0.7)
    with tempfile.TemporaryDirectory() as folder, bf.Ledger(Path(folder) / "ledger.db") as ledger:
        drawn = bf.sample(bf.open_model(model), prompts, ledger=ledger, n=2, decoding=warm).responses
    sides = {(r.prompt_id, r.index): r.text for r in drawn}
    with out.open("w", encoding="utf-8") as lines:
        for prompt in prompts:
            row = {
                "prompt": prompt.text,
                "chosen": sides.get((prompt.id, 0)),
                "rejected": sides.get((prompt.id, 1)),
                "kind": prompt.kind,
            }
            lines.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
