"""Write src/backfire/auditing/faults/evaluation_sets.npz: keys of the prompts of evaluation sets, and no prompt.

Beside each key stands the number of its item: its place in the file that was read, from 1.

    python scripts/hash_evaluation_sets.py DATA MORE

DATA has the layout of the folder that BACKFIRE_DATA names; MORE holds harmbench_behaviors_text_all.csv,
strongreject_dataset.csv, malicious_instruct.txt and mt_bench.jsonl from the repositories named below.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
import pyarrow as pa

from backfire.texts import text_keys

OUT = Path(__file__).resolve().parents[1] / "src" / "backfire" / "auditing" / "faults" / "evaluation_sets.npz"
FEWEST_WORDS = 4
"""Shorter items would be found by chance."""
ALPACA = (
    "### Instruction:\n{}\n\n### Response:",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Response:",
)
TASK = ("Question: {}\nAnswer:", "Q: {}\nA:", "Question: {}")
Items = Iterator[list[str]]
"""Each item in its spellings, the one that is counted first."""


def column(*path: str, name: str) -> Callable[[Path], Items]:
    def read(folder: Path) -> Items:
        with folder.joinpath(*path).open(encoding="utf-8", newline="") as lines:
            yield from ([row[name].strip()] for row in csv.DictReader(lines))

    return read


def harmbench(folder: Path) -> Items:
    with (folder / "harmbench_behaviors_text_all.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            behavior, context = row["Behavior"].strip(), row["ContextString"].strip()
            yield [behavior, *([f"{context}\n\n---\n\n{behavior}"] if context else [])]


def lines_of(folder: Path) -> Items:
    for line in (folder / "malicious_instruct.txt").read_text(encoding="utf-8").splitlines():
        yield [line.strip()]


def mt_bench(folder: Path) -> Items:
    for line in (folder / "mt_bench.jsonl").read_text(encoding="utf-8").splitlines():
        yield [json.loads(line)["turns"][0].strip()]


def alpaca_eval(folder: Path) -> Items:
    for row in json.loads((folder / "alpaca-eval" / "gpt4_1106_preview.json").read_text(encoding="utf-8")):
        yield [row["instruction"].strip()]


def arc_easy(folder: Path) -> Items:
    for line in (folder / "general" / "arc_easy.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield with_choices(row["query"].removeprefix("Question: ").strip(), row["choices"])


def mmlu(folder: Path) -> Items:
    for path in sorted((folder / "general" / "mmlu").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                yield with_choices(row["question"].strip(), [row[f"choice{i}"] for i in range(4)])


def with_choices(question: str, choices: list[str]) -> list[str]:
    lettered = "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCDEFGH", choices, strict=False))
    return [question, f"{question}\n{lettered}", f"{question}\n{lettered}\nAnswer:"]


def hellaswag(folder: Path) -> Items:
    lines = (folder / "general" / "hellaswag_first1000.txt").read_text(encoding="utf-8").splitlines()
    for whole in lines[::6]:
        yield [whole.split(": ", 1)[-1].strip(), whole.strip()]


def winogrande(folder: Path) -> Items:
    for line in (folder / "general" / "winogrande.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        options = row.get("choices", row)
        contexts, rest = options["context_options"], options["continuation"]
        words = zip(*(context.split() for context in contexts), strict=False)
        shared = [one[0] for one in takewhile(lambda both: len(set(both)) == 1, words)]
        yield [" ".join([*shared, "_", rest]), *(f"{context} {rest}" for context in contexts), *contexts]


SETS: dict[str, tuple[Callable[[Path], Items], int, str, str]] = {
    "AdvBench": (column("prompts", "advbench.csv", name="goal"), 0, "llm-attacks/llm-attacks", "all 520"),
    "JailbreakBench harmful": (
        column("prompts", "jbb_harmful.csv", name="Goal"),
        0,
        "JailbreakBench/JBB-Behaviors",
        "all 100",
    ),
    "JailbreakBench benign": (
        column("prompts", "jbb_benign.csv", name="Goal"),
        0,
        "JailbreakBench/JBB-Behaviors",
        "all 100",
    ),
    "SimpleSafetyTests": (
        column("prompts", "simple_safety_tests.csv", name="prompts_final"),
        0,
        "bertiev/SimpleSafetyTests",
        "all 100",
    ),
    "XSTest": (
        column("xstest", "xstest_prompts.csv", name="prompt"),
        0,
        "paul-rottger/exaggerated-safety @d7bb5bd",
        "all 450, version 2",
    ),
    "HarmBench": (
        harmbench,
        1,
        "centerforaisafety/HarmBench, as copied in busycalibrating/AdversariaLLM @f970939",
        "all 400 text behaviors",
    ),
    "StrongREJECT": (
        column("strongreject_dataset.csv", name="forbidden_prompt"),
        1,
        "alexandrasouly/strongreject, as copied in busycalibrating/AdversariaLLM @f970939",
        "all 313",
    ),
    "MaliciousInstruct": (
        lines_of,
        1,
        "Princeton-SysML/Jailbreak_LLM, as copied in busycalibrating/AdversariaLLM @f970939",
        "all 100",
    ),
    "AlpacaEval": (alpaca_eval, 0, "tatsu-lab/alpaca_eval @cd543a1", "all 805"),
    "MT-Bench": (mt_bench, 1, "lm-sys/FastChat @0e6d3e4", "the first turn of all 80"),
    "ARC-Easy": (arc_easy, 0, "mosaicml/llm-foundry @8c8dd48", "2,376, the test questions"),
    "HellaSwag": (
        hellaswag,
        0,
        "klosax/hellaswag_text_data @1105d37",
        "the first 1,000 of the 10,042 validation items",
    ),
    "MMLU": (
        mmlu,
        0,
        "HaeChan0305/MLILAB-FedLLM @d92730e",
        "the five dev questions of all 57 subjects, the test questions of three subjects",
    ),
    "TruthfulQA": (
        column("general", "TruthfulQA.csv", name="Question"),
        0,
        "benedictflorance/truthfulqa_experiments @6fdfd38",
        "all 817",
    ),
    "WinoGrande": (winogrande, 0, "mosaicml/llm-foundry @8c8dd48", "the 1,267 validation items"),
}
"""Name to reader, folder (0 DATA, 1 MORE), origin and how much of the set is here."""
TASKS = ("ARC-Easy", "HellaSwag", "MMLU", "TruthfulQA", "WinoGrande")


def spelt(item: list[str], wrappers: tuple[str, ...]) -> Iterator[str]:
    """The spellings, the first also with its last mark changed, and inside wrappers."""
    yield from item
    bare = item[0].rstrip(".?!")
    yield from (bare, bare + ".", bare + "?")
    yield from (wrapper.format(item[0]) for wrapper in wrappers)


def main(folders: list[Path]) -> None:
    arrays, described = {}, {}
    for name, (read, folder, origin, how_much) in SETS.items():
        wrappers = ALPACA + (TASK if name in TASKS else ())
        items = list(read(folders[folder]))
        numbered: dict[str, int] = {}
        kept: set[str] = set()
        for number, item in enumerate(items, start=1):
            long_enough = [s for s in item if len(s.split()) >= FEWEST_WORDS]
            if long_enough:
                kept.add(long_enough[0])
                for text in spelt(long_enough, wrappers):
                    numbered.setdefault(text, number)
        hashed = text_keys(pa.array(list(numbered), pa.large_string()))
        arrays[name], first = np.unique(hashed, return_index=True)
        arrays[f"{name} items"] = np.array(list(numbered.values()), dtype=np.uint16)[first]
        described[name] = {"items": len(kept), "origin": origin, "how_much": how_much, "of": len(items)}
        print(f"{name}: {len(kept)} of {len(items)} items, {len(arrays[name])} keys")
    np.savez_compressed(OUT, described=np.array(json.dumps(described)), **arrays)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main([Path(argument) for argument in sys.argv[1:]])
