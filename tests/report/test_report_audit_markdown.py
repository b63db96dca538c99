"""The short answer for a pull request: it says what matters, and text from the data stays text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from backfire.answers import AuditReport, parse_audit
from backfire.answers.audit_comparison import AuditComparison, Change
from backfire.answers.conclusion import Conclusion, Effect, SideLengths
from backfire.answers.estimates import Accuracy, Estimate, Share
from backfire.report import render_audit_markdown, write_audit_markdown
from backfire.report.audit.markdown import code, plain, prose
from example_audit import example_audit

HOSTILE = (
    "[click](http://evil.example) @octocat #12 <img src=x> `rm` | *b* \x1b[31m www.evil.example \u202e a@b.cd"
)
THIRD = Share(hits=30, scored=90, rate=1 / 3, low=0.24, high=0.44)


def answer(**update: Any) -> AuditReport:
    whole = parse_audit(example_audit())
    effects = tuple(
        Effect(
            name=f"cue:{name}",
            what=f"The cue {name} tells the label.",
            pairs=THIRD,
            size=1 / 3,
            low=0.2,
            high=0.4,
            rows=tuple(range(1, 31)),
            fix="backfire repair 'a`b.jsonl' --method clean --out c",
        )
        for name in ("bold marks", HOSTILE, "third", "fourth", "fifth")
    )
    end = Conclusion(
        level="some", verdict="Some: length tells the label.", effects=effects, reasons=(), advice=()
    )
    accuracy = Accuracy(
        accuracy=0.739,
        low=0.7,
        high=0.77,
        control=0.5,
        control_high=0.52,
        p=0.005,
        swaps=199,
        control_pairs=90,
    )
    lengths = SideLengths(
        unit="words",
        chosen=120,
        rejected=80,
        longer=THIRD,
        effect=Estimate(value=0.5, low=0.4, high=0.6),
        pairwise=accuracy,
    )
    return whole.model_copy(update={"conclusion": end, "lengths": (lengths,), **update})


def comparison(**update: Any) -> AuditComparison:
    band = Estimate(value=0.02, low=0.01, high=0.03)
    changes = tuple(
        Change(name=name, unit="share", before=band, after=band, change=band, p=0.0001, direction=direction)
        for name, direction in (("duplicates", "worse"), (HOSTILE, "better"))
    )
    return AuditComparison(
        dataset="old.jsonl",
        pairs=500,
        same_pairs=False,
        changes=changes,
        **{"not_compared": ("x",), **update},
    )


def test_it_says_the_verdict_the_largest_effects_lengths_and_what_was_left_out() -> None:
    text = render_audit_markdown(answer())
    assert text.startswith(
        "### backfire audit: some\n\nSome: length tells the label.\n\n1. **cue:bold marks** The cue"
    )
    assert "Rows 1, 2, 3, 4, 5 and 25 more." in text
    assert "third" in text
    assert "fourth" not in text
    assert "2 smaller effects in the whole answer" in text
    assert "- Length: median 120 words chosen, 80 rejected" in text
    assert "length alone ranks 73.9% \\[70.0–77.0\\] of pairs right" in text
    assert "rows, which give no pair" in text
    assert len(text.splitlines()) < 25


def test_what_has_changed_stands_in_it_where_it_was_asked_for() -> None:
    assert "Since the audit" not in render_audit_markdown(answer())
    text = render_audit_markdown(answer(comparison=comparison()))
    assert "**Since the audit of old.jsonl (500 pairs) 1 is worse and 1 better, of 2 numbers" in text
    assert (
        "- worse: duplicates: 2.0% to 2.0%, by 2.0 \\[1.0 to 3.0\\] points, p < 0.001".replace("<", "&lt;")
        in text
    )
    same = comparison().model_copy(update={"same_pairs": True})
    assert "both audits read the same pairs" in render_audit_markdown(answer(comparison=same))


def test_text_of_the_data_makes_no_link_no_mention_and_no_mark_up() -> None:
    text = render_audit_markdown(answer(comparison=comparison(), dataset=HOSTILE))
    outside = re.sub(r"(`+)[^`].*?[^`]\1(?!`)", "", text)
    assert "](" not in outside.replace("\\]", "")
    assert not re.search(r"https?://|www\.|@\w|#\d", outside.replace("### ", ""))
    assert not re.findall(r"<[^>]*>", outside)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_command_in_a_sentence_is_code() -> None:
    assert prose("Take them out: `backfire repair a|b` now.") == "Take them out: `backfire repair a|b` now."
    assert prose("one ` alone *here*") == "one \\` alone \\*here\\*"
    assert prose("`@all` `x`") == "`@all` `x`"


@pytest.mark.parametrize("text", ["a`b", "``", "`x", "plain", "a\nb"])
def test_code_is_one_span_whatever_is_in_it(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    inside = span[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in inside
    assert " ".join(text.split()) == inside.strip()


def test_a_long_text_is_cut_and_a_line_stays_a_line(tmp_path: Path) -> None:
    assert len(plain("word " * 1000)) <= 600
    assert plain("- a\n# b") == "\\- a \\#\u200b b"
    file = write_audit_markdown(answer(), tmp_path / "deep" / "a.md")
    assert file.read_text(encoding="utf-8") == render_audit_markdown(answer())


def test_an_answer_of_an_older_file_has_its_level_for_a_verdict() -> None:
    old = parse_audit(example_audit())
    end = old.conclusion.model_copy(update={"verdict": "", "effects": ()})
    text = render_audit_markdown(old.model_copy(update={"conclusion": end, "lengths": (), "input": None}))
    assert text.startswith(f"### backfire audit: {end.level}\n\n")
    assert "1. " not in text
