"""Shortcuts: planted cues are found and named, nothing is found where nothing is planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from audited_by_hand import audited_by_hand
from backfire.answers.audit import Shortcut
from backfire.auditing.findings.cue_examples import AROUND, CUT, phrases_of_two, quoted
from backfire.auditing.findings.shortcuts import shortcuts
from backfire.auditing.probes.folds import make_split
from backfire.texts import CUES, Vocabulary

WORDS = [a + b for a in "bdfglmnprst" for b in ("ar", "eno", "ilux", "osiro", "umalet", "yteriol")]


def found_in(rows: list[dict[str, Any]], controls: int = 99, **by_hand: Any) -> tuple[Shortcut, ...]:
    audited = audited_by_hand(rows, **by_hand)
    sides = [audited.text[side].combine_chunks() for side in ("chosen", "rejected")]
    vocabulary = Vocabulary.of(pa.chunked_array(sides), "words", 1 << 13)
    words = vocabulary.features(pa.chunked_array(sides))
    return shortcuts(audited, make_split(audited.groups, controls=controls), words, vocabulary)


def planted(
    pairs: int, chosen: float, rejected: float, phrase: str = "as an ai", seed: int = 0
) -> list[dict[str, Any]]:
    """Random words; the phrase stands in the middle of that share of either side."""
    rng = np.random.default_rng(seed)

    def written(share: float) -> str:
        words = [word + "." * (rng.random() < 0.2) for word in rng.choice(WORDS, rng.integers(10, 45))]
        if rng.random() < share:
            words.insert(7, phrase)
        return " ".join(words) + "."

    return [
        {
            "prompt": " ".join(rng.choice(WORDS, 9)),
            "chosen": written(chosen),
            "rejected": written(rejected),
            "kind": "benign",
        }
        for _ in range(pairs)
    ]


def test_a_planted_phrase_is_found_once_and_measured() -> None:
    (first, *others) = found_in(planted(200, 0.1, 0.6))
    assert first.probe == "words"
    assert set(first.cue.split()) <= {"as", "an", "ai"}
    assert all(not set(other.cue.split()) & {"as", "an", "ai"} for other in others)
    assert first.chosen.rate == pytest.approx(0.1, abs=0.06)
    assert first.rejected.rate == pytest.approx(0.6, abs=0.1)
    assert first.chosen.rate is not None
    assert first.rejected.rate is not None
    assert first.alone.auroc == pytest.approx(0.5 + (first.rejected.rate - first.chosen.rate) / 2, abs=1e-6)
    assert first.alone.low < first.alone.auroc < first.alone.high
    assert first.alone.p == 0.01
    assert first.effect_high < 0 < first.loss.low
    assert abs(first.effect_control) < 0.05


def test_three_examples_show_the_cue_on_the_side_it_speaks_for() -> None:
    rows = planted(200, 0.1, 0.6)
    first = found_in(rows)[0]
    assert len({example.row for example in first.examples}) == 3
    for example in first.examples:
        row = rows[example.row - 1]
        assert first.cue in example.rejected
        assert "as an ai" not in row["chosen"]
        assert example.rejected.strip(CUT) in row["rejected"]
        assert row["chosen"].startswith(example.chosen.strip(CUT))
        assert example.kind == "benign"


def test_a_planted_mark_is_a_surface_cue() -> None:
    found = found_in(planted(200, 0.6, 0.1, phrase="lara!"))
    first = next(cue for cue in found if "exclamation" in cue.cue)
    assert first.probe == "surface"
    assert first.family == next(cue.family for cue in CUES if first.cue.startswith(cue.name))
    assert first.effect > 0.3


def test_length_is_told_with_its_middle() -> None:
    rows = planted(120, 0, 0)
    for row in rows:
        row["chosen"] = " ".join([row["chosen"]] * 5)
    first = found_in(rows)[0]
    assert first.family == "length"
    assert first.alone.auroc > 0.99
    assert " above " in first.cue
    assert first.chosen.rate == 1
    assert first.rejected.rate == 0


def test_nothing_is_found_where_nothing_is_planted() -> None:
    alarms = sum(bool(found_in(planted(80, 0.3, 0.3, seed=seed))) for seed in range(20))
    assert alarms <= 4


def test_too_few_pairs_have_no_shortcuts() -> None:
    assert found_in(planted(20, 0, 1)) == ()


def test_the_order_of_rows_changes_the_row_numbers_only() -> None:
    rows = planted(150, 0.1, 0.7)
    one, other = found_in(rows)[0], found_in(rows[::-1])[0]
    assert (one.cue, one.chosen, one.rejected) == (other.cue, other.chosen, other.rejected)
    assert one.effect == pytest.approx(other.effect)
    shown = [(example.chosen, example.rejected) for example in one.examples]
    assert shown == [(example.chosen, example.rejected) for example in other.examples]


def test_only_the_sample_is_looked_at() -> None:
    rows = [*planted(100, 0.1, 0.7), *planted(100, 0.7, 0.1, seed=1)]
    first = found_in(rows, sample=range(100))[0]
    assert first.chosen.scored == 100
    assert first.effect < 0


@pytest.mark.parametrize(
    ("text", "cue", "probe", "expected"),
    [
        (
            "x" * 100 + " Sorry, but " + "y" * 100,
            "sorry but",
            "words",
            "…" + "x" * 59 + " Sorry, but " + "y" * 59 + "…",
        ),
        ("a sorryish thing", "sorry", "words", "a sorryish thing"),
        ("one\n- two", "list items", "surface", "one\n- two"),
        ("b" * 200, "length", "surface", "b" * 120 + "…"),
        ("b" * 200 + " end?", "closes with a question", "surface", "…" + "b" * 115 + " end?"),
        ("I’m sorry, I can’t assist", "refusal phrase", "surface", "I’m sorry, I can’t assist"),
    ],
)
def test_quotes(text: str, cue: str, probe: str, expected: str) -> None:
    assert AROUND == 60
    assert quoted(text, cue, probe) == expected


def test_every_cue_can_be_quoted() -> None:
    for cue in CUES:
        assert quoted("Some text, such as this one.", cue.name, "surface")


def test_phrases_of_two_words() -> None:
    found = phrases_of_two(["So: sorry, I’m Sorry!", "isn't"])
    assert found == {("so", "sorry"), ("sorry", "i’m"), ("i’m", "sorry")}
