"""The files of the set: one fault each at two strengths in real text, and files without a fault."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from planted import real_text
from planted.faults import FAULTS, Fault, File
from planted.real_text import Row

PAIRS = 300
STRENGTHS = ("weak", "strong")
SEEDS = (0, 1)


@dataclass(frozen=True)
class Planted:
    """A file of the set."""

    name: str
    fault: Fault | None
    """None for a control."""
    strength: str
    share: float
    """The share of its rows that have the fault."""
    rows: tuple[Row, ...]
    rows_with_it: tuple[int, ...]
    """Their numbers, from 1."""
    labelled: bool = False
    """Whether people gave the labels, so that a probe may tell them to some extent."""

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.jsonl"
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows)
        path.write_text(lines, encoding="utf-8")
        return path


def clean_rows(data: Path, base: str, pairs: int, seed: int) -> list[Row]:
    """Pairs without a fault: two models' answers at random sides, or people's labels."""
    if base == "people":
        return real_text.peoples_pairs(data, pairs, seed)
    return real_text.model_pairs(data, base, pairs, seed)


def plant(fault: Fault, strength: str, rows: list[Row], data: Path) -> Planted:
    """One fault in these rows."""
    share = fault.shares[STRENGTHS.index(strength)]
    name = f"{_slug(fault.name)}-{strength}"
    rng = random.Random(name)
    places = sorted(rng.sample(range(len(rows)), min(len(rows), round(share * len(rows)))))
    file = File([dict(row) for row in rows], rng, data, [])
    fault.plant(file, places)
    touched = tuple(sorted(set(file.planted)))
    return Planted(name, fault, strength, len(touched) / len(file.rows), tuple(file.rows), touched)


def planted(data: Path, pairs: int = PAIRS) -> Iterator[Planted]:
    """Every file with a fault."""
    for fault in FAULTS:
        for strength in STRENGTHS:
            if fault.shares[0] == fault.shares[1] and strength == "weak":
                continue
            yield plant(fault, strength, clean_rows(data, fault.base, pairs, 7), data)


def controls(data: Path, pairs: int = PAIRS) -> Iterator[Planted]:
    """Every file without a fault, each made with two seeds."""
    for seed in SEEDS:
        for base in real_text.PAIRINGS:
            rows = real_text.model_pairs(data, base, pairs, 100 + seed)
            yield _control(f"{base}, labels at random", seed, rows)
        model = real_text.PAIRINGS["two makers"][1]
        yield _control(
            "one model, labels at random", seed, real_text.one_models_pairs(data, model, pairs, seed)
        )
        people = real_text.peoples_pairs(data, pairs, 100 + seed)
        yield _control("labels of people", seed, people, labelled=True)
        yield _control("sources on both sides", seed, _with_sources(data, pairs, seed))


def _with_sources(data: Path, pairs: int, seed: int) -> list[Row]:
    """Pairs whose two sides say who wrote them, each model on either side."""
    names = real_text.PAIRINGS["two makers"]
    first = set(real_text.answers(data, names[0]).values())
    rows = real_text.model_pairs(data, "two makers", pairs, 200 + seed)
    for row in rows:
        writers = names if row["chosen"] in first else names[::-1]
        row |= {"chosen_model": writers[0], "rejected_model": writers[1]}
    return rows


def _control(name: str, seed: int, rows: list[Row], labelled: bool = False) -> Planted:
    return Planted(f"clean-{_slug(name)}-{seed}", None, "", 0.0, tuple(rows), (), labelled)


def _slug(name: str) -> str:
    kept = "".join(letter if letter.isalnum() else "-" for letter in name.lower().replace("'", ""))
    return "-".join(part for part in kept.split("-") if part)
