"""Faults that were planted in a file are named, with their rows and the command that repairs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from planted.faults import FAULTS, Fault
from planted.planting import STRENGTHS, controls, plant, planted
from planted.real_text import Row
from planted.scoring import alarms, answer_to, score
from synthetic_pairs import rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "planted-faults.md"


def made_rows(pairs: int) -> list[Row]:
    """Pairs of made-up sentences, each side of four of them."""
    parts = [rows(pairs, seed) for seed in range(4)]
    return [
        {
            "prompt": four[0]["prompt"],
            "chosen": " ".join(row["chosen"] for row in four),
            "rejected": " ".join(row["rejected"] for row in four),
        }
        for four in zip(*parts, strict=True)
    ]


def named(name: str) -> Fault:
    return next(fault for fault in FAULTS if fault.name == name)


WITHOUT_DATA = (
    "exact duplicates",
    "near duplicates",
    "contradictions",
    "ChatML, chosen",
    "[INST] in prompts",
    "cut ends, chosen",
    "prompt repeated, chosen",
    "blank sides",
    "scores contradict labels",
    "personal data, chosen",
)
"""Faults that are planted in any text."""


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_a_fault_in_made_up_text_is_named_first(name: str, tmp_path: Path) -> None:
    file = plant(named(name), "strong", made_rows(120), tmp_path)
    scored = score(file, answer_to(file, tmp_path))
    assert scored.place == 1, scored
    assert scored.advice_right, scored


def test_a_file_stays_the_same_when_it_is_made_again(tmp_path: Path) -> None:
    one, two = (plant(named("near duplicates"), "weak", made_rows(120), tmp_path) for _ in range(2))
    assert one == two
    assert len(one.rows) == 120
    assert len(one.rows_with_it) == 7


def test_an_answer_is_kept_for_the_same_rows_only(tmp_path: Path) -> None:
    file = plant(named("exact duplicates"), "strong", made_rows(60), tmp_path)
    answer = answer_to(file, tmp_path)
    stored = tmp_path / "answers" / f"{file.name}.json"
    stored.write_text(stored.read_text(encoding="utf-8").replace('"verdict"', '"stored": 1, "verdict"'))
    assert "stored" in answer_to(file, tmp_path)
    other = plant(named("exact duplicates"), "strong", made_rows(61), tmp_path)
    assert "stored" not in answer_to(other, tmp_path)
    assert answer["level"] == answer_to(file, tmp_path)["level"]


def test_the_page_has_a_line_for_every_fault() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^\| (.+?) \| \d+%", page, flags=re.MULTILINE)
    assert listed == [fault.name for fault in FAULTS], "write the tables anew: tests/planted/table.py --page"


NOT_NAMED = {
    ("columns swapped", "weak"),
    ("bold opening, chosen", "weak"),
    ("bold opening, chosen", "strong"),
    ("no apostrophes, rejected", "weak"),
    ("another language, rejected", "weak"),
}
"""What no effect names, for the reasons that the page gives. The set gets smaller, never larger."""
NOT_ADVISED = NOT_NAMED | {("closing exclamation, chosen", "weak")}


@pytest.mark.slow
def test_planted_faults_are_among_the_first_three_effects_and_clean_files_raise_no_alarm(
    real_data: Path, tmp_path: Path
) -> None:
    alarmed = [alarms(file, answer_to(file, tmp_path)) for file in controls(real_data)]
    assert [one for one in alarmed if one.gates or one.level == "strong"] == []
    scores = [score(file, answer_to(file, tmp_path)) for file in planted(real_data)]
    assert {one.strength for one in scores} == set(STRENGTHS)
    assert {(one.fault, one.strength) for one in scores if not one.among_the_first} <= NOT_NAMED
    assert {(one.fault, one.strength) for one in scores if not one.advice_right} <= NOT_ADVISED
