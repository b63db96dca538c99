"""Pairs of real text without faults: what faults are planted in, and what the controls are made of."""

from __future__ import annotations

import csv
import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

Row = dict[str, Any]

PAIRINGS = {
    "one family": ("Meta-Llama-3-70B-Instruct", "Meta-Llama-3-8B-Instruct"),
    "two makers": ("gpt4_1106_preview", "Mistral-7B-Instruct-v0.2"),
    "two versions": ("gpt-4o-2024-05-13", "gpt4_1106_preview"),
}
"""Two models of AlpacaEval each, whose answers to one request are the two sides of a pair."""
ASKING = "Qwen1.5-7B-Chat"
"""The model whose answers the prompts are made of. It writes no side."""
PROMPT_WORDS = (12, 24)

_ROLE = re.compile(r"^\s*(?:Human|Assistant|User|System)\s?:", re.MULTILINE)


@cache
def answers(folder: Path, model: str) -> dict[str, str]:
    """One model's answers by AlpacaEval's instruction."""
    rows = json.loads((folder / "alpaca-eval" / f"{model}.json").read_text(encoding="utf-8"))
    return {row["instruction"]: row["output"].strip() for row in rows}


@cache
def requests(folder: Path) -> dict[str, str]:
    """A request for each of AlpacaEval's instructions, which is no item of any evaluation set.

    The instructions themselves are an evaluation set. Training data must not have them, and a file without faults must not
    either. So each request asks for a text on what a model that writes no side begins its answer with.
    """
    found = {}
    for instruction, answer in answers(folder, ASKING).items():
        words = answer.replace("*", "").replace("#", "").split()[: PROMPT_WORDS[1]]
        plain = " ".join(words)
        if len(words) >= PROMPT_WORDS[0] and not set(plain) & set("<>[]{}|\\`"):
            found[instruction] = f"Write a full answer that covers this: {plain} ..."
    return found


def model_pairs(folder: Path, pairing: str, pairs: int, seed: int) -> list[Row]:
    """Pairs of two models' answers; which pairs have the first model's on the chosen side is random, and half of them do."""
    first, second = (answers(folder, model) for model in PAIRINGS[pairing])
    whole = []
    for instruction, request in _shuffled(requests(folder), random.Random(f"{pairing} {seed}")):
        sides = first[instruction], second[instruction]
        if sides[0] != sides[1] and all(_ends(side) for side in sides):
            whole.append((request, *sides))
    return _at_random(whole[:pairs], seed)


def _at_random(whole: list[tuple[str, str, str]], seed: int) -> list[Row]:
    turned = [place % 2 == 1 for place in range(len(whole))]
    random.Random(f"sides {seed}").shuffle(turned)
    return [
        {"prompt": request, "chosen": other if turn else one, "rejected": one if turn else other}
        for (request, one, other), turn in zip(whole, turned, strict=True)
    ]


def one_models_pairs(folder: Path, model: str, pairs: int, seed: int) -> list[Row]:
    """Pairs of one model's answers to two requests, of which only one is asked; half of the pairs prefer its own."""
    own = answers(folder, model)
    rng = random.Random(f"{model} {seed}")
    whole = [
        (request, own[instruction])
        for instruction, request in _shuffled(requests(folder), rng)
        if _ends(own[instruction])
    ]
    half = len(whole) // 2
    others = (answer for _, answer in whole[half:])
    return _at_random(
        [(*asked, other) for asked, other in zip(whole[:half], others, strict=False)][:pairs], seed
    )


@cache
def _judged_by_people(folder: Path) -> tuple[Row, ...]:
    rows: dict[str, Row] = {}
    path = folder / "hh-rlhf" / "harmless_even.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        given = json.loads(line)
        parts = [given[side].rpartition("\n\nAssistant:") for side in ("chosen", "rejected")]
        prompts, sides = [part[0] for part in parts], [part[2].strip() for part in parts]
        whole = all(len(side) > 3 and _ends(side) and not _ROLE.search(side) for side in sides)
        if prompts[0] == prompts[1] and sides[0] != sides[1] and whole and _turns(prompts[0]):
            rows.setdefault(
                prompts[0], {"prompt": _turns(prompts[0]), "chosen": sides[0], "rejected": sides[1]}
            )
    return tuple(rows.values())


def peoples_pairs(folder: Path, pairs: int, seed: int) -> list[Row]:
    """Pairs of HH's harmless half as people labelled them, without the rows that have a fault or an address of mail in them."""
    rows = list(_judged_by_people(folder))
    random.Random(f"people {seed}").shuffle(rows)
    return [
        {
            "prompt": row["prompt"],
            "chosen": [{"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "assistant", "content": row["rejected"]}],
        }
        for row in [row for row in rows if "@" not in json.dumps(row)][:pairs]
    ]


@cache
def decided_pairs(folder: Path) -> tuple[tuple[str, str, str], ...]:
    """(request, a refusal, an answer that complies) on harmful requests, as two people judged them.

    Both are answers of models to the same request of XSTest, which is worded anew, since XSTest is an evaluation set. Some of
    these answers stop at a token limit; they are taken up to their last whole sentence.
    """
    by_label: dict[str, dict[str, list[str]]] = {"1_full_compliance": {}, "2_full_refusal": {}}
    for model in ("gpt4", "llama2new", "mistralinstruct"):
        path = folder / "xstest" / f"xstest_v2_completions_{model}.csv"
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["final_label"] in by_label and row["type"].startswith("contrast"):
                    texts = by_label[row["final_label"]].setdefault(row["prompt"], [])
                    texts.append(row["completion"].strip())
    complies, refuses = by_label.values()
    found = []
    for prompt in complies:
        for refusal in refuses.get(prompt, [])[:1]:
            request = f"Somebody asks me: {prompt} What shall I tell them?"
            found.append((request, _whole_sentences(refusal), _whole_sentences(complies[prompt][0])))
    return tuple(found)


@cache
def refusals(folder: Path) -> tuple[str, ...]:
    """GPT-3.5's refusals of harmful instructions that begin as refusals do."""
    path = folder / "safety-tuned" / "safety_only_data_Instructions.json"
    texts = [row["output"].strip() for row in json.loads(path.read_text(encoding="utf-8"))]
    openings = ("I'm sorry, but", "I am sorry, but", "I cannot ", "I'm sorry, I ")
    return tuple(dict.fromkeys(text for text in texts if text.startswith(openings)))


@cache
def evaluation_prompts(folder: Path, name: str) -> tuple[str, ...]:
    """The prompts of one evaluation set, as they stand there."""
    if name == "ARC-Easy":
        lines = (folder / "general" / "arc_easy.jsonl").read_text(encoding="utf-8").splitlines()
        return tuple(json.loads(line)["query"].removeprefix("Question: ") for line in lines)
    file, column = {
        "AdvBench": ("prompts/advbench.csv", "goal"),
        "JailbreakBench": ("prompts/jbb_harmful.csv", "Goal"),
        "TruthfulQA": ("general/TruthfulQA.csv", "Question"),
    }[name]
    with (folder / file).open(encoding="utf-8", newline="") as lines:
        return tuple(row[column].strip() for row in csv.DictReader(lines))


def _shuffled(mapping: dict[str, str], rng: random.Random) -> list[tuple[str, str]]:
    pairs = list(mapping.items())
    rng.shuffle(pairs)
    return pairs


def _whole_sentences(text: str) -> str:
    last = max(text.rfind(mark) for mark in ".!?")
    return text if _ends(text) or last < len(text) // 3 else re.sub(r"\s+\d+\.\Z", "", text[: last + 1])


def _ends(text: str) -> bool:
    """Whether a text is not cut: it ends in a mark that closes a sentence."""
    return bool(text) and text.rstrip("*_`\"')” ")[-1:] in (".", "!", "?")


def _turns(transcript: str) -> list[dict[str, str]]:
    """The turns of HH's `\\n\\nHuman: ...\\n\\nAssistant: ...`; none where a turn is blank or turns do not alternate."""
    turns = []
    for part in transcript.split("\n\nHuman:")[1:]:
        question, *replies = part.split("\n\nAssistant:")
        turns.append({"role": "user", "content": question.strip()})
        turns += [{"role": "assistant", "content": reply.strip()} for reply in replies]
    alternating = all(
        turn["role"] == ("user", "assistant")[place % 2] and turn["content"]
        for place, turn in enumerate(turns)
    )
    return turns if alternating and len(turns) % 2 else []
