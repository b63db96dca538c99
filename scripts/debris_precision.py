"""How often the rules for debris and for cut ends are right on real text, as the tables of docs/reference/text-faults.md.

    python scripts/debris_precision.py DATA

DATA has the layout of the folder that BACKFIRE_DATA names. Each hit on text as it stands was read by a person, who noted which
ones are false; a hit that nobody has read is counted as such. Then each remain is planted in answers of six models, and each
of these answers is cut at a random word.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.auditing.probes.uncertainty import share
from backfire.texts import DEBRIS, PERSONAL, cut_mask, debris, echo_mask, personal_data
from backfire.texts.debris import WHITE_SPACE

Flags = NDArray[np.bool_]
KINDS = [kind for kind in DEBRIS if kind not in WHITE_SPACE]
Texts = list[tuple[str, str]]
"""Prompts and responses."""

READ_DEBRIS: dict[str, tuple[int, frozenset[int]]] = {
    "AlpacaEval, six models": (1, frozenset()),
    "HH harmless": (18, frozenset()),
    "SafeRLHF": (13, frozenset()),
}
"""Of each source: how many hits were read, and the places (from 1) of those that are natural text after all."""
READ_CUTS: dict[str, tuple[int, frozenset[int]]] = {
    "AlpacaEval, six models": (5, frozenset((437, 1434, 4521))),
    "HH harmless": (
        108,
        frozenset(
            {118, 153, 167, 281, 324, 335, 440, 502, 559, 584, 627, 638, 689, 731, 755, 761, 892}
            | {1419, 1482, 1810, 1847}
        ),
    ),
    "SafeRLHF": (9, frozenset((77, 1704, 4391, 4515))),
    "GPT-4o, SafeRLHF's prompts": (25, frozenset()),
    "XSTest, three models": (427, frozenset()),
}
MISSED_CUTS = {"GPT-4o, SafeRLHF's prompts": 1, "XSTest, three models": 26, "HH harmless": 9, "SafeRLHF": 2}
"""Cut responses that no rule finds, among those that end without a mark; all of these were read."""


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        if path.suffix == ".csv":
            return list(csv.DictReader(lines))
        return json.load(lines) if path.suffix == ".json" else [json.loads(line) for line in lines]


def sources(folder: Path) -> dict[str, Texts]:
    alpaca = [
        (row["instruction"], row["output"])
        for path in sorted((folder / "alpaca-eval").glob("*.json"))
        for row in rows_of(path)
    ]
    transcripts = rows_of(folder / "hh-rlhf" / "harmless_even.jsonl")
    dialogues = [
        row[side].rsplit("\n\nAssistant:", 1) for side in ("chosen", "rejected") for row in transcripts
    ]
    pairs = rows_of(folder / "more-is-less" / "safeRLHF_test.jsonl")
    safe = [(last(row["prompt"]), last(row[side])) for side in ("chosen", "rejected") for row in pairs]
    safe += [
        (row["question"], row["answer"]) for row in rows_of(folder / "jailbreakeval" / "Safe-RLHFmini.csv")
    ]
    tuned = rows_of(folder / "safety-tuned" / "safety_only_data_Instructions.json")
    completions = [
        row for path in sorted((folder / "xstest").glob("xstest_v2*.csv")) for row in rows_of(path)
    ]
    return {
        "AlpacaEval, six models": alpaca,
        "HH harmless": [(turns[0].rsplit("\n\nHuman:", 1)[-1], turns[-1]) for turns in dialogues],
        "SafeRLHF": safe,
        "GPT-4o, SafeRLHF's prompts": [
            (row["prompt"], row["response"]) for row in rows_of(folder / "more-is-less" / "gpt4o_test.jsonl")
        ],
        "Safety-tuned LLaMAs": [(row["instruction"], row["output"]) for row in tuned],
        "XSTest, three models": [(row["prompt"], row["completion"]) for row in completions],
    }


def last(value: str | list[dict[str, str]]) -> str:
    return value if isinstance(value, str) else value[-1]["content"]


PLANTS: dict[str, tuple[Callable[[str], str], ...]] = {
    "ChatML marks": (lambda t: f"{t}<|im_end|>", lambda t: f"<|im_start|>assistant\n{t}"),
    "Llama 3 marks": (
        lambda t: f"{t}<|eot_id|>",
        lambda t: f"<|start_header_id|>assistant<|end_header_id|>\n\n{t}",
    ),
    "Gemma marks": (lambda t: f"{t}<end_of_turn>", lambda t: f"<start_of_turn>model\n{t}"),
    "NeMo marks": (lambda t: f"{t}\n<extra_id_1>User", lambda t: f"<extra_id_1>Assistant\n{t}"),
    "other <|...|> tokens": (lambda t: f"{t}<|endoftext|>", lambda t: f"<|assistant|>\n{t}"),
    "[INST] marks": (lambda t: f"{t} [INST] And then? [/INST]", lambda t: f"[/INST] {t}"),
    "<s> or </s>": (lambda t: f"{t}</s>", lambda t: f"<s>{t}"),
    "padding or unknown tokens": (lambda t: f"{t}<pad><pad><pad>", lambda t: t.replace(" ", " <unk> ", 1)),
    "### Instruction or ### Response": (
        lambda t: f"### Response:\n{t}",
        lambda t: f"{t}\n\n### Instruction:",
        lambda t: f"{t}\n\n### Human: And then?\n### Assistant: Nothing.",
    ),
    "Human: or Assistant: at the start of a line": (
        lambda t: f"{t}\n\nHuman: And what comes then?\n\nAssistant: Nothing more.",
        lambda t: f"Assistant: {t}",
        lambda t: f"{t}\n\nUser: Thank you!",
    ),
    "Self-Instruct marks": (
        lambda t: f"{t}\n##\n9. Instruction: Add the numbers.\n9. Input:\n2, 3\n9. Output:\n5",
        lambda t: f"{t}\n###",
    ),
    "broken encoding": (lambda t: f"{t} Itâ€™s done.",),
    "replacement character": (lambda t: f"{t} caf\ufffd",),
    "control characters": (lambda t: f"{t}\x08",),
    "zero-width or byte-order marks": (lambda t: f"\ufeff{t}",),
    "HTML entities": (lambda t: f"{t} It&#39;s done &amp; dusted.",),
    "HTML line breaks": (lambda t: f"{t}<br><br>That is all.",),
}


def cut_at_a_word(text: str, drawn: random.Random) -> str:
    """The text up to a random word of its second half; a word that ends a sentence is not the last."""
    words = text.split(" ")
    places = [
        i
        for i in range(len(words) // 2, len(words))
        if words[i - 1][-1:].isalnum() and "\n" not in words[i - 1]
    ]
    return " ".join(words[: drawn.choice(places)]) if places else text


def cut_within_a_word(text: str, drawn: random.Random) -> str:
    """The text up to a letter inside of a random word of its second half, as a token limit leaves it."""
    places = [
        i
        for i in range(len(text) // 2, len(text) - 1)
        if text[i - 1 : i + 1].isalpha() and text[i - 1 : i + 1].isascii()
    ]
    return text[: drawn.choice(places)] if places else text


def main(folder: Path) -> None:
    texts = sources(folder)
    print(
        "| texts as they stand | of them | debris | false | cut ends | false | missed | echoes | personal data |"
    )
    print("|-|-|-|-|-|-|-|-|-|")
    for name, both in texts.items():
        prompts, sides = (
            pa.array([text.strip() for text in some], pa.large_string()) for some in zip(*both, strict=True)
        )
        found, cut = debris(sides)[:, [DEBRIS.index(kind) for kind in KINDS]].any(axis=1), cut_mask(sides)
        cells = [*judged(found, READ_DEBRIS.get(name)), *judged(cut, READ_CUTS.get(name))]
        cells += [f"{MISSED_CUTS.get(name, 0)}", f"{echo_mask(prompts, sides).sum()}"]
        cells.append(
            "; ".join(
                f"{kind} {n}" for kind, n in zip(PERSONAL, personal_data(sides).sum(axis=0), strict=True) if n
            )
        )
        print(f"| {name} | {len(sides):,} | {' | '.join(cells)} |")
    natural = [text.strip() for _, text in texts["AlpacaEval, six models"]]
    count, false = READ_CUTS["AlpacaEval, six models"]
    right_cuts = count - len(false)
    print("\n| rule | false alarms on AlpacaEval | planted | found |\n|-|-|-|-|")
    for kind in KINDS:
        column = DEBRIS.index(kind)
        hits = (
            debris(arrow(natural))[:, column]
            if kind != "replacement character"
            else np.zeros(len(natural), bool)
        )
        planted = [plant(text) for plant in PLANTS[kind] for text in natural[::6]]
        told = debris(arrow(planted))[:, column]
        print(
            f"| {kind} | {rate(hits.sum(), len(hits))} | {len(planted):,} | {rate(told.sum(), len(told))} |"
        )
    long = [text for text in natural if len(text.split()) >= 30]
    for name, way in (("cut at a word", cut_at_a_word), ("cut within a word", cut_within_a_word)):
        drawn = random.Random(0)
        told = cut_mask(arrow(way(text, drawn) for text in long))
        hits = cut_mask(arrow(natural))
        print(
            f"| cut ends: {name} | {rate(hits.sum() - right_cuts, len(hits))} | {len(long):,} | {rate(told.sum(), len(told))} |"
        )
    asked = [prompt for prompt, _ in texts["AlpacaEval, six models"]]
    echoed = [f"{prompt}\n\n{text}" for prompt, text in texts["AlpacaEval, six models"]]
    told = echo_mask(arrow(asked), arrow(echoed))[[len(prompt.split()) >= 6 for prompt in asked]]
    hits = echo_mask(arrow(asked), arrow(natural))
    print(
        f"| echo, of prompts of six words or more | {rate(hits.sum(), len(hits))} | {len(told):,} | {rate(told.sum(), len(told))} |"
    )


def judged(hits: Flags, read: tuple[int, frozenset[int]] | None) -> list[str]:
    """How many hits there are, and how many of them are false; where not all were read, so much is said."""
    count, false = read or (0, frozenset())
    wrong = sum(bool(hits[place - 1]) for place in false)
    unread = int(hits.sum()) - count
    return [f"{hits.sum():,}", rate(wrong, int(hits.sum())) if not unread else f"{wrong} ({unread:+} unread)"]


def rate(hits: int, of: int) -> str:
    told = share(int(hits), of)
    if told.rate is None:
        return "–"
    return f"{int(hits):,}: {told.rate:.1%} [{told.low:.1%}, {told.high:.1%}]"


def arrow(texts: Iterable[str]) -> pa.Array:
    return pa.array(list(texts), pa.large_string())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
