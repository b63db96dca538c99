"""The brief answer on a terminal: at most 25 lines, the verdict first, commands whole."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from rich.console import Console

from backfire.report import audit_brief
from example_audit import example_audit, smallest_audit

MOST = 25


def lines(audit: dict[str, Any], width: int = 80, then: list[str] | None = None) -> list[str]:
    console = Console(width=width, force_terminal=False, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(audit_brief(audit, then or ()))
    return captured.get().splitlines()


def effect(name: str, what: str, size: float) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(example_audit()["conclusion"]["effects"][0])
    return found | {"name": name, "what": what, "size": size, "rows": list(range(1, 300))}


def crowded() -> dict[str, Any]:
    """Everything that can be said is said at length."""
    audit = example_audit()
    long = " ".join(["It was found that the responses of the one side differ from those of the other"] * 6)
    audit["dataset"] = "a-folder-with-a-long-name/another-one/" * 3 + "prefs.jsonl"
    audit["failed"] = [{"part": part, "reason": long} for part in ("policy", "influence", "pilot")]
    audit["conclusion"]["verdict"] = f"Strong: {long}. First: {long}."
    audit["conclusion"]["effects"] = [effect(f"cue:c{n}", f"{n}: {long}.", 0.9 - n / 10) for n in range(8)]
    command = f"backfire repair {'folder/' * 12}prefs.jsonl --method clean --out prefs-clean"
    audit["conclusion"]["advice"] = [f"Do this: {long}: `{command}`. {long}" for _ in range(5)]
    return audit


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize(
    "audit", [example_audit(), smallest_audit(), crowded()], ids=["example", "smallest", "crowded"]
)
def test_at_most_25_lines(audit: dict[str, Any], width: int) -> None:
    shown = lines(audit, width)
    assert len(shown) <= MOST
    assert max(len(line) for line in shown) <= width


FILES = [
    f"in {name}: {what}"
    for name, what in (
        ("per-pair.parquet", "how easily each pair is told apart, and where it moves refusals"),
        ("rows.jsonl", "every row that a finding is about"),
        ("a.json", "the same, unrounded"),
        ("a.html", "the same as a page with pictures"),
        ("a.md", "a short answer for a pull request"),
    )
]


def compared(audit: dict[str, Any]) -> dict[str, Any]:
    """The same answer, of which five numbers have become better since an earlier one."""
    band = {"value": 0.1, "low": 0.05, "high": 0.15}
    change = {
        "unit": "share",
        "before": band,
        "after": band,
        "change": band,
        "p": 0.001,
        "direction": "better",
        "new": False,
    }
    changes = [change | {"name": f"debris: kind {n} of remains of templates, chosen"} for n in range(5)]
    return audit | {
        "comparison": {
            "dataset": "a-long-name/" * 9 + "old.jsonl",
            "pairs": 900,
            "same_pairs": False,
            "changes": changes,
        }
    }


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("audit", [example_audit(), crowded()], ids=["example", "crowded"])
def test_files_and_what_has_changed_are_among_the_25_lines(audit: dict[str, Any], width: int) -> None:
    shown = lines(compared(audit), width, FILES)
    assert len(shown) + len(FILES) <= MOST
    text = "\n".join(shown)
    assert "Since the audit of" in text
    assert "What to do" in text
    for command in re.findall(r"`(backfire [^`]+)`", audit["conclusion"]["advice"][0]):
        assert "".join(command.split()) in "".join(text.split()), "the first command stands whole"


def test_the_verdict_comes_first_and_the_largest_effects_have_their_rows() -> None:
    shown = lines(example_audit(), 100)
    text = "\n".join(shown)
    assert shown[0].startswith("prefs.jsonl: 1,840 pairs from 1,900 rows")
    assert f"Digest of the pairs: {example_audit()['input']['digest'][:16]}" in shown[-1]
    assert shown[1].startswith("Left out: 49 of 1,900 rows, which give no pair: 31 identical sides, 18 blank")
    order = [
        "Strong: who wrote",
        "Length: median 212",
        "1. fixed-sources",
        "2. length",
        "3. duplicates",
        "What to do",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "rows 4, 9 and 1838 more" in text
    assert "First:" not in text, "what is first stands in the list"


def test_no_effect_that_is_larger_than_those_shown_is_left_out() -> None:
    audit = example_audit()
    audit["conclusion"]["effects"] = [
        effect(name, f"{name} is there.", size)
        for name, size in (
            ("length", 0.5),
            ("cue:colons", 0.4),
            ("debris", 0.3),
            ("cue:dashes", 0.2),
            ("echo", 0.1),
        )
    ]
    text = "\n".join(lines(audit))
    assert text.index("1. length") < text.index("2. cue:colons") < text.index("3. debris")
    assert "Smaller: echo and 1 cue" in text


def test_commands_are_never_cut() -> None:
    audit = crowded()
    text = " ".join(line.strip() for line in lines(audit))
    assert text.count("--method clean --out prefs-clean") == 2, (
        "a step is left out where the room is for two; none is cut"
    )
    assert " …" in text


def test_what_was_left_out_stands_in_the_answer() -> None:
    audit = smallest_audit()
    audit["rows"], audit["pairs"] = 740, 700
    audit["defects"] = [{"kind": "blank side", "count": 40, "rows": list(range(3, 43))}]
    text = " ".join(lines(audit))
    assert (
        "Left out: 40 of 740 rows, which give no pair: 40 blank side (rows 3, 4, 5, 6, 7 and 35 more)" in text
    )


def test_hostile_text_stays_on_its_line() -> None:
    audit = example_audit()
    audit["conclusion"]["effects"][0]["what"] = "a\x1b[31mred\nline \u202e turned"
    text = "\n".join(lines(audit))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "red line" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_numbers_of_a_pilot_are_never_cut(width: int) -> None:
    text = " ".join(" ".join(lines(example_audit(), width)).split())
    assert (
        "from 45.0% to 38.0% (−7 [−10 to −4] points) and their margin by −0.50 [−0.70 to −0.30] nats" in text
    )
