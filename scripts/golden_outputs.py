"""What the commands print and write, kept before a redesign and compared after it.

    python scripts/golden_outputs.py OUT [--data FOLDER] [--run FOLDER]     write the outputs into OUT
    python scripts/golden_outputs.py --compare BEFORE AFTER                 say where two such folders differ

The commands run on organisms, and with --data on files of public preference data as well. --run names a finished demo, whose
results.json is kept beside them. Times, paths and the version are left out of the comparison, and numbers count as equal within one
part in a million, since sums over several threads differ in their last digits. The exit code is 1 where anything else differs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from math import isclose
from pathlib import Path
from typing import Any

VARIES = {"seconds", "backfire", "file", "started", "finished", "wall_seconds"}
NEAR = 1e-6
SECONDS = re.compile(r"\b\d+(\.\d+)? (s|min)\b")


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    given = parser.parse_args()
    if given.compare:
        return compare(*given.compare)
    if given.out is None:
        parser.error("name the folder to write into")
    given.out.mkdir(parents=True, exist_ok=True)
    for name, arguments in commands(given.data).items():
        run(name, arguments, given.out)
    if given.run is not None:
        shutil.copy(given.run / "results.json", given.out / "demo.json")
    return 0


def commands(data: Path | None) -> dict[str, list[str]]:
    """Command lines by the name of their output; each writes into the current folder."""
    target, ledger = "organism:llama/target", ["--ledger", "ledger.db"]
    real: dict[str, list[str]] = {}
    if data is not None:
        files = {
            "hh": data / "hh-rlhf" / "harmless_even.jsonl",
            "saferlhf": data / "more-is-less" / "safeRLHF_test.jsonl",
            "gpt4o": data / "more-is-less" / "gpt4o_test.jsonl",
        }
        for name, file in files.items():
            per_pair = ["--per-pair", f"audit-{name}-pairs.jsonl"]
            real[f"audit-{name}"] = ["audit", str(file), "--max-pairs", "600", *per_pair]
    short = ["--max-new-tokens", "24"]
    own = ["sample", target, "--prompts", "organism:prompts/train", "--n", "2", *short, *ledger]
    strong = ["sample", "organism:gpt4o", "--prompts", "organism:prompts/train", *short, *ledger]
    pair = ["pair", "--recipe", "gpt4o+self", *ledger, "--role", "gpt4o=organism:gpt4o", "--out", "pairs"]
    probes = ["--policy", target, "--probe-prompts", "organism:prompts/probe"]
    judged = ["--attack", "organism:prompts/wrapped", "--benign", "organism:prompts/benign", *ledger]
    return {
        **real,
        "sample": own,
        "sample-strong": strong,
        "pair": [*pair, "--role", f"self={target}"],
        "audit-pairs": ["audit", "pairs"],
        "audit-human": ["audit", "organism:human"],
        "audit-policy": [*("audit", "pairs", *probes, "--pilot", "2"), "--policy-pairs", "60"],
        "show": ["show", "pairs", "--policy", target, "--rows", "1,2"],
        "convert": ["convert", "pairs", "--out", "converted.jsonl"],
        "repair-filter": [
            "repair",
            "pairs",
            "--method",
            "filter",
            "--by",
            "ease",
            "--keep",
            "0.5",
            "--out",
            "ease",
        ],
        "repair-restyle": [
            *(
                "repair",
                "pairs",
                "--method",
                "restyle",
                "--policy",
                target,
                "--tries",
                "2",
                "--out",
                "restyled",
            ),
            *(*short, "--no-audit"),
        ],
        "train-dpo": ["train", "dpo", target, "ease", "--out", "policy", "--lr", "1e-4", "--epochs", "1"],
        "attack-target": ["attack", target, *judged, "--json", "attack-target.json"],
        "attack-policy": ["attack", "policy", *judged, "--json", "attack-policy.json"],
        "compare": ["compare", "attack-target.json", "attack-policy.json"],
        "recipes": ["recipes"],
        "wrong-option": ["audit", "pairs", "--controls", "3"],
        "wrong-file": ["audit", "no-such-file.jsonl"],
        "gate": ["audit", "pairs", "--fail-on", "strong,some,duplicates"],
    }


def run(name: str, arguments: list[str], out: Path) -> None:
    """One command: its exit code, what it printed, and its JSON beside them."""
    takes_json = arguments[0] in ("audit", "compare") and "--json" not in arguments
    line = [sys.executable, "-m", "backfire", *arguments, *(["--json", f"{name}.json"] if takes_json else [])]
    environment = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1"}
    done = subprocess.run(line, cwd=out, capture_output=True, text=True, env=environment, check=False)
    text = f"exit {done.returncode}\n{done.stdout}\n--- errors\n{done.stderr}"
    (out / f"{name}.txt").write_text(text, encoding="utf-8")
    print(f"{name}: exit {done.returncode}", flush=True)


def compare(before: Path, after: Path) -> int:
    """Print every difference; 1 where there is one."""
    differences = 0
    for file in sorted([*before.glob("*.json"), *before.glob("*.jsonl"), *before.glob("*.txt")]):
        other = after / file.name
        if not other.is_file():
            lines = ["is not there any more"]
        elif file.suffix == ".json":
            lines = differing(json.loads(file.read_text()), json.loads(other.read_text()), "")
        elif file.suffix == ".jsonl":
            lines = differing(rows_of(file), rows_of(other), "")
        else:
            first, second = (plain(f.read_text(), f.parent) for f in (file, other))
            lines = [f"- {a}\n  + {b}" for a, b in zip(first, second, strict=False) if a != b]
            lines += [f"{len(first)} lines, then {len(second)}"] if len(first) != len(second) else []
        differences += len(lines)
        print(f"{file.name}: {'equal' if not lines else f'{len(lines)} differences'}")
        for line in lines[:20]:
            print(f"  {line}")
    return int(differences > 0)


def rows_of(file: Path) -> list[Any]:
    """The rows of a JSONL file."""
    return [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()]


def plain(text: str, folder: Path) -> list[str]:
    """Lines without times and without the folder's own path."""
    return [SECONDS.sub("TIME", line).rstrip() for line in text.replace(str(folder), "OUT").splitlines()]


def differing(before: Any, after: Any, where: str) -> list[str]:
    """Paths of two JSON values at which they differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted((before.keys() | after.keys()) - VARIES)
        absent = object()
        return [
            line
            for key in keys
            for line in differing(before.get(key, absent), after.get(key, absent), f"{where}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            line
            for number, (a, b) in enumerate(zip(before, after, strict=True))
            for line in differing(a, b, f"{where}[{number}]")
        ]
    numbers = all(isinstance(value, (int, float)) for value in (before, after))
    equal = isclose(before, after, rel_tol=NEAR, abs_tol=NEAR) if numbers else before == after
    return [] if equal else [f"{where}: {str(before)[:80]} | {str(after)[:80]}"]


if __name__ == "__main__":
    raise SystemExit(main())
