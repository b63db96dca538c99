"""The audit on a terminal of 80 columns, and the conditions of the gate."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from backfire.answers import parse_audit
from backfire.auditing import failed_conditions, parse_conditions, unchecked_conditions
from backfire.auditing.conditions import meanings
from backfire.errors import InputError
from backfire.report import audit_table
from example_audit import example_audit, share, smallest_audit


def printed(audit: dict[str, Any], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    console.print(audit_table(audit))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(written, str)
    return written


@pytest.mark.parametrize("width", [80, 100, 140])
def test_every_number_of_the_ladder_stands_whole(width: int) -> None:
    text = printed(example_audit(), width)
    assert max(map(len, text.splitlines())) <= width
    for probe in example_audit()["separability"]:
        name = "hidden states" if probe["probe"] == "hidden" else probe["probe"]
        p, m, pair = probe["pointwise"], probe["decision_matched"], probe["pairwise"]
        wanted = [f"{p['auroc']:.3f}", f"{m['auroc']:.3f}", f"{100 * pair['accuracy']:.1f}"]
        (line,) = [line for line in text.splitlines() if line.startswith(f" {name} ") and wanted[1] in line]
        assert re.search(r"\s+".join(map(re.escape, wanted)), line)
        below = text[text.index(line) :].splitlines()[1:5]
        bands = [f"{p['low']:.3f}–{p['high']:.3f}", f"{m['low']:.3f}–{m['high']:.3f}"]
        bands.append(f"{100 * pair['low']:.1f}–{100 * pair['high']:.1f}")
        assert below[0].split()[: len(bands)] == bands
        assert below[1].split()[:6] == ["swapped", "0.500", "swapped", "0.501", "swapped", "50.0"]
    for cue in example_audit()["shortcuts"]:
        assert f"{cue['loss']['value']:.3f}" in text


def test_a_count_that_is_the_same_everywhere_is_said_once() -> None:
    audit = example_audit()
    text = printed(audit, 100)
    assert "1,840 pairs; AUROC on held-out prompts" in text
    assert "7 cues, 1,840 responses a side" in text
    assert "of 1,840\n" not in text
    audit["separability"][0]["pairs"] = 1_000
    assert re.search(r"length .* 1,000\n", printed(audit, 100).replace(" \n", "\n"))


def test_known_sets_stand_on_lines_of_their_own() -> None:
    text = printed(example_audit(), 100)
    part = text[text.index("Known sets to compare with") : text.index("What gives the label away")]
    lines = [line.split() for line in part.splitlines()]
    (own,) = [line for line in lines if line[:2] == ["this", "one"]]
    (people,) = [line for line in lines if line[:3] == ["people:", "HH", "harmless"]]
    assert own[2:] == ["0.712", "0.938"]
    assert people[3:] == ["0.521", "0.617"]


def test_p_is_corrected_for_all_probes() -> None:
    audit = example_audit()
    for probe in audit["separability"]:
        probe["pointwise"]["p_family"] = probe["pairwise"]["p_family"] = 0.2
    text = printed(audit)
    assert "p = 0.200" in text
    assert "p is corrected for the 10 numbers of all pairs" in text


def test_the_commonest_remains_are_named_first() -> None:
    audit = example_audit()
    one = audit["confounds"]["debris"][0]
    audit["confounds"]["debris"] = [
        {**one, "what": f"kind {n}", "chosen": share(n, 1840), "rejected": share(0, 1840)}
        for n in (1, 2, 30, 9, 4)
    ]
    text = " ".join(printed(audit).split())
    assert text.index("debris, kind 30") < text.index("debris, kind 9") < text.index("debris, kind 4")


def test_the_conclusion_is_last() -> None:
    text = printed(example_audit())
    order = [
        "prefs.jsonl",
        "left out: 31",
        "How well",
        "What gives the label away",
        "SOURCES DECIDE",
        "stopped by the token limit",
        "Conclusion. Strong",
    ]
    order += ["- Separability measures a shortcut", "What to do next", "1. Draw both sides"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.rstrip().endswith("limit.")


def test_too_few_pairs_say_so() -> None:
    text = printed(smallest_audit())
    assert "Conclusion. No judgement: 3 pairs are fewer than 30." in text
    assert "not run: length (3 pairs: fewer than 30)" in text
    assert "How well" not in text


def test_hostile_text_reaches_no_terminal() -> None:
    audit = example_audit()
    audit["dataset"] = "a\x1b[31m\nb\u202e[bold]c"
    audit["shortcuts"][0]["cue"] = "opens with “\x07\x1b]0;owned\x07\n\n”"
    audit["source_leak"]["mapping"] = "x" * 300
    audit["defects"][0]["kind"] = "[red]kind[/red]"
    text = printed(audit)
    assert not set("\x1b\x07\u202e") & set(text)
    assert "[bold]c" in text
    assert "[red]kind[/red]" in text
    assert max(map(len, text.splitlines())) <= 80


def test_influence_stands_with_its_interval_or_the_reason_why_there_is_none() -> None:
    text = printed(example_audit())
    assert max(map(len, text.splitlines())) <= 80
    part = text[text.index("What training on it would move") : text.index("What else")]
    line = next(line for line in part.splitlines() if line.startswith(" refusing harmful requests"))
    assert line.split()[3:] == ["−0.31", "−0.25", "142", "200"]
    assert part[part.index(line) :].splitlines()[1].split() == ["−0.39", "to", "−0.23"]
    banks = next(line for line in part.splitlines() if line.startswith(" … banks: undetermined"))
    assert banks.split()[-4:] == ["–", "–", "22", "50"]
    flat = " ".join(part.split())
    assert (
        "12.0% of pairs carry 50.0% of the push towards complying (row 7, 19, 4, 88, 90 and 1 more)" in flat
    )
    assert "without a model: −0.44" in flat
    audit = example_audit()
    del audit["safety_influence"]
    assert "What training" not in printed(audit)


@pytest.mark.parametrize(("bound", "fails"), [("0", True), ("-.2", True), ("-0.3", False), ("-.4", False)])
def test_influence_fails_where_its_whole_interval_lies_below(bound: str, fails: bool) -> None:
    """The interval is -0.39 to -0.23."""
    report = parse_audit(example_audit())
    found = failed_conditions(report, parse_conditions(f"influence < {bound}"))
    shown = f"influence < {bound}: safety influence −0.31 [−0.39 to −0.23] (142 probes), bound {bound}"
    assert found == ([shown] if fails else [])
    assert unchecked_conditions(report, [f"influence<{bound}"]) == []


@pytest.mark.parametrize(("bound", "fails"), [("0.7", True), ("0.72", False)])
def test_length_fails_by_the_pairs_that_it_ranks(bound: str, fails: bool) -> None:
    report = parse_audit(example_audit())
    found = failed_conditions(report, [f"length>{bound}"])
    shown = f"length>{bound}: length alone ranks 72.0% [70.0–74.0] of pairs right, bound {bound}"
    assert found == ([shown] if fails else [])
    (line,) = unchecked_conditions(parse_audit(smallest_audit()), ["length>0.7"])
    assert "too few pairs" in line


@pytest.mark.parametrize(("bound", "fails"), [("-0.03", True), ("-.04", False), ("0", True), ("-1", False)])
def test_a_pilot_fails_where_the_whole_interval_of_its_refusals_lies_below(bound: str, fails: bool) -> None:
    report = parse_audit(example_audit())
    assert bool(failed_conditions(report, [f"pilot<{bound}"])) is fails
    audit = example_audit()
    del audit["safety_influence"]["pilot"]
    (line,) = unchecked_conditions(parse_audit(audit), ["pilot<0"])
    assert "no pilot was run" in line


def test_the_pilot_is_told_before_the_first_step() -> None:
    text = printed(example_audit())
    told = "A pilot of 8 steps (256 pairs, learning rate 0.0001) moved refusals of 140 harmful requests from 45.0% to 38.0%"
    assert " ".join(told.split()) in " ".join(text.split())
    assert "(−7 [−10 to −4] points)" in " ".join(text.split())


def test_undetermined_influence_is_not_checked() -> None:
    audit = example_audit()
    influence = audit["safety_influence"]
    for name in ("cosine", "low", "high"):
        del influence[name]
    influence["refusal"] |= {"undetermined": "fewer than 30 probes"}
    report = parse_audit(audit)
    assert failed_conditions(report, ["influence<0.5"]) == []
    (line,) = unchecked_conditions(report, ["influence<0.5"])
    assert "undetermined: fewer than 30 probes" in line
    assert "−0.31" not in line + printed(audit).split("What else")[0].split("What training")[1]
    (line,) = unchecked_conditions(parse_audit(smallest_audit()), ["influence<0"])
    assert "--probe-prompts" in line


HOLDING = {
    "strong": "strong: the level is strong (AUROC 0.981 [0.961–1.000], decision-matched 0.942 [0.912–0.972])",
    "some": "some: the level is strong",
    "fixed-sources": "fixed-sources: gpt-4o wrote every chosen response",
    "truncation": "truncation: 0.7% [0.4–1.1] (12 of 1,840) of chosen, 27.3% [25.3–29.4] (503 of 1,840) of rejected, p = 0.005",
    "contamination": "contamination: AdvBench: 0.2% [0.1–0.6] (4 of 1,840), row 17, 408, 409, 1200",
    "overlap": "overlap: test.jsonl, the same prompt: 0.2% [0.1–0.5] (3 of 1,840), row 9, 10, 11; test.jsonl, nearly the same",
    "duplicates": "duplicates: exact duplicates: 0.8% [0.5–1.3] (14 of 1,840), row 101, 102; near duplicates: 1.7%",
    "contradictions": "contradictions: contradictions: 0.1% [0.0–0.4] (2 of 1,840), row 55, 901",
    "swapped-columns": "swapped-columns: chosen complies and rejected refuses in 13.3% [11.3–15.7] (120 of 900) of harmful",
    "contradicting-scores": "contradicting-scores: rejected_score above chosen_score: 2.4% [1.8–3.3] (41 of 1,700), row 2",
    "echo": "echo: repeats its prompt, rejected: 0.1% [0.0–0.4] (2 of 1,840), row 19, 77",
    "personal-data": "personal-data: e-mail addresses, chosen: 0.2% [0.1–0.5] (3 of 1,840), row 5, 6, 80; e-mail addresses, rej",
    "personal-data>0.001": "personal-data>0.001: e-mail addresses, chosen: 0.2%",
    "prompt-debris": "prompt-debris: “Human:”: 0.3% [0.1–0.7] (6 of 1,840), row 12, 13",
    "debris": "debris: “### Response:”, rejected: 0.5% [0.3–0.9] (9 of 1,840), row 77, 140",
    "defects": "defects: 49 of 1,900 rows: 31 identical sides (row 40, 41, 42, 43, 44 and 26 more)",
    "matched>0.8": "matched>0.8: decision-matched AUROC 0.942 [0.912–0.972] (hidden states), bound 0.8",
    "total>.9": "total>.9: AUROC 0.981 [0.961–1.000] (hidden states), bound .9",
}


@pytest.mark.parametrize("condition", HOLDING)
def test_a_condition_that_holds_names_its_number(condition: str) -> None:
    (line,) = failed_conditions(parse_audit(example_audit()), parse_conditions(condition))
    assert line.startswith(HOLDING[condition])
    assert "\n" not in line


def clean_audit() -> dict[str, Any]:
    audit = example_audit()
    audit["conclusion"]["level"] = "none found"
    audit["source_leak"]["fixed"] = False
    audit["defects"] = []
    confounds = audit["confounds"]
    confounds["truncated"] = {"what": "t", "chosen": share(3, 1840), "rejected": share(5, 1840), "p": 0.6}
    confounds["evaluation_sets"] = confounds["personal"] = confounds["prompt_personal"] = []
    confounds["cut_ends"] = {"what": "t", "chosen": share(3, 1840), "rejected": share(5, 1840), "p": 0.6}
    confounds["score_contradiction"]["pairs"] = share(0, 1700, 140)
    agreement = {"value": 0.9, "low": 0.88, "high": 0.92}
    confounds["annotators"] = {
        "columns": ["votes"],
        "agreement": agreement,
        "split": share(0, 1840),
        "votes": 5520,
    }
    del confounds["echoed"], confounds["swapped_columns"]
    confounds["repeats"] = [{"what": "exact duplicates", "pairs": share(0, 1840)}, confounds["repeats"][3]]
    confounds["debris"] = confounds["prompt_debris"] = []
    confounds["overlap"] = {"other": "t", "exact": share(0, 1840), "near": share(0, 1840)}
    return audit


@pytest.mark.parametrize(
    ("chosen", "rejected", "p", "holds"),
    [(60, 3, 0.005, True), (9, 7, 0.6, False), (90, 95, 0.6, True), (3, 0, 0.2, False), (0, 0, 1.0, False)],
)
def test_without_stop_reasons_truncation_goes_by_the_texts(
    chosen: int, rejected: int, p: float, holds: bool
) -> None:
    audit = clean_audit()
    del audit["confounds"]["truncated"]
    sides = {"chosen": share(chosen, 1840), "rejected": share(rejected, 1840)}
    audit["confounds"]["cut_ends"] = {"what": "t", **sides, "p": p, "rows": [7]}
    lines = failed_conditions(parse_audit(audit), ["truncation"])
    assert bool(lines) is holds
    assert unchecked_conditions(parse_audit(audit), ["truncation"]) == []
    assert not holds or (lines[0].startswith("truncation: by their text, ") and lines[0].endswith("row 7"))


@pytest.mark.parametrize("condition", ["echo", "personal-data", "personal-data>0.1", "contradicting-scores"])
def test_what_an_older_audit_did_not_look_for_is_not_checked(condition: str) -> None:
    report = parse_audit(smallest_audit())
    assert failed_conditions(report, [condition]) == []
    assert len(unchecked_conditions(report, [condition])) == 1


def test_a_share_of_personal_data_is_a_bound() -> None:
    report = parse_audit(example_audit())
    assert failed_conditions(report, ["personal-data>0.5"]) == []
    with pytest.raises(InputError, match="is no condition"):
        parse_conditions("personal-data>2")


def test_nothing_fails_on_a_clean_set() -> None:
    report = parse_audit(clean_audit())
    conditions = [
        *(name for name in meanings() if not name.endswith("X")),
        "end-doubled>0",
        "matched>0.95",
        "total > 0.99",
    ]
    assert failed_conditions(report, conditions) == []
    assert unchecked_conditions(report, conditions) == []


def test_what_was_not_measured_is_neither_failed_nor_passed_over() -> None:
    report = parse_audit(smallest_audit())
    conditions = [
        "strong",
        "fixed-sources",
        "truncation",
        "contamination",
        "overlap",
        "matched>0.8",
        "total>0.9",
    ]
    assert failed_conditions(report, conditions) == []
    unchecked = unchecked_conditions(report, conditions)
    assert [line.split(":")[0] for line in unchecked] == conditions
    assert "no stop reasons are recorded" in unchecked[2]
    assert failed_conditions(report, ["no-judgement"]) == ["no-judgement: the level is unknown"]


@pytest.mark.parametrize(
    "text",
    [
        "bad",
        "matched",
        "matched>2",
        "matched<0.8",
        "total>x",
        "influence<2",
        "influence>0",
        "influence<X",
        "",
        ",",
        "strong,wrong",
    ],
)
def test_an_unknown_condition_is_refused_in_a_line_with_a_fix(text: str) -> None:
    with pytest.raises(InputError, match=r"is no condition: (write|did you mean|there are) ") as raised:
        parse_conditions(text)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("strnog", "did you mean strong?"),
        ("near-duplicates", "did you mean duplicates?"),
        ("length", "write length>X, X from 0 to below 1"),
        ("total>x", "write total>X, X from 0 to below 1"),
        ("influence>0", "write influence<X, X from -1 to 1"),
        ("personal-data>2", "write personal-data or personal-data>X, X from 0 to below 1"),
        ("end-tokn>0", "did you mean end-token>X, X from 0 to below 1?"),
        ("zzz", f"there are {', '.join(meanings())}; `backfire audit --help` describes them"),
    ],
)
def test_an_unknown_condition_is_told_which_one_is_meant(text: str, fix: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_conditions(text)
    assert str(raised.value) == f"fail_on {text!r} is no condition: {fix}"


def test_conditions_are_split_and_repeated_ones_dropped() -> None:
    assert parse_conditions(" Strong, total > .9 ,strong,") == ("strong", "total > .9")


def test_what_becomes_of_the_tokens_is_told_and_gated() -> None:
    report = parse_audit(example_audit())
    assert failed_conditions(
        report, ["end-token>0", "cut-sides>0.2", "system-lost>0.005", "end-doubled>0"]
    ) == [
        "end-token>0: 12 of 1,851 pairs (0.6%; chosen 12, rejected 3; row 3, 9, 12 and 9 more), bound 0",
        "cut-sides>0.2: 503 of 1,851 pairs (27.2%; chosen 4, rejected 503; row 1, 2 and 501 more), bound 0.2",
        "system-lost>0.005: 10 of 1,851 pairs (0.5%; row 70 and 9 more), bound 0.005",
    ]
    assert failed_conditions(report, ["system-lost>0.01"]) == []
    (line,) = unchecked_conditions(parse_audit(smallest_audit()), ["cut-sides>0"])
    assert "--policy" in line
