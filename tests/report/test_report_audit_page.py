"""The audit's page as text: every number, its interval and its control; hostile text; what is absent."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from backfire.answers import parse_audit
from backfire.answers.audit_comparison import AuditComparison, Change
from backfire.answers.estimates import Estimate
from backfire.errors import InputError
from backfire.report import render_audit_page, write_audit_page
from example_audit import example_audit, smallest_audit

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x1b[31m\u202e\u2066\x00\x07"


class Reader(HTMLParser):
    """What a browser would see: elements with attributes, the text, and the text of every table row."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "tr":
            self.rows.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if "tr" in self._open:
            self.rows[-1] += data.strip() + " "


@pytest.fixture(scope="module")
def page() -> str:
    return render_audit_page(example_audit())


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def _row(reader: Reader, start: str, *wanted: str) -> None:
    """One row begins with `start` and holds every wanted text, in that order."""
    found = [row for row in reader.rows if row.startswith(start)]
    assert any(re.search(".*".join(map(re.escape, wanted)), row) for row in found), (start, wanted, found)


def test_the_page_begins_as_the_terminal_does(reader: Reader) -> None:
    """Verdict, lengths, the three largest effects with their rows, what to do; then numbers and pictures; details are folded."""
    conclusion = example_audit()["conclusion"]
    assert "(recipe <code>self+rm</code>)" in render_audit_page(example_audit())
    parts = ["Left out: 49 of 1,900 rows", "Strong: who wrote a response decides its label."]
    parts += [
        "Length: median 212 words chosen, 131 rejected",
        "Length: median 280 tokens",
        "The largest effects",
    ]
    parts += [
        conclusion["effects"][0]["what"],
        "rows 4, 9 and 1838 more",
        conclusion["effects"][2]["what"],
        "What to do",
    ]
    parts += [
        re.sub(r"`(backfire [^`]*)`\.(?: |$)", r"\1", step).replace("`", "") for step in conclusion["advice"]
    ]
    parts += ["Everything that this stands on", *conclusion["reasons"], "AUROC, same decision"]
    place = 0
    for part in parts:
        place = reader.text.index(part, place)


def test_details_are_folded(page: str) -> None:
    folded = re.findall(r'<details class="fold">\s*<summary>(?:<h2>)?([^<]*)', page)
    assert folded[:3] == [
        "Everything that this stands on",
        "Every number of the probes",
        "Every number of the cues",
    ]
    assert {"Who wrote what", "What the pairs decide", "How to read every number"} <= set(folded)
    assert page.count("<details") == page.count("</details>")


def test_every_probe_has_interval_control_p_and_n(reader: Reader) -> None:
    for probe in example_audit()["separability"]:
        name = "hidden states" if probe["probe"] == "hidden" else probe["probe"]
        p, a, pair, bits = (
            probe[k] for k in ("pointwise", "pointwise_accuracy", "pairwise", "v_information")
        )
        wanted = [
            f"{p['auroc']:.3f}",
            f"{p['low']:.3f}–{p['high']:.3f}",
            f"{p['control']:.3f}",
            f"95th {p['control_high']:.3f}",
        ]
        wanted += ["p = 0.005"]
        for share in (a, pair):
            wanted += [
                f"{100 * share['accuracy']:.1f}",
                f"{100 * share['low']:.1f}–{100 * share['high']:.1f}",
            ]
            wanted += [f"{100 * share['control']:.1f}", "p = 0.005"]
        wanted += [
            f"{bits['bits']:.3f}",
            f"{bits['low']:.3f}–{bits['high']:.3f}",
            "−0.010",
            "1,840",
            "199 swaps of 1,840",
        ]
        _row(reader, name, *wanted)
        m = probe["decision_matched"]
        _row(
            reader,
            name,
            f"{m['auroc']:.3f}",
            f"{m['low']:.3f}–{m['high']:.3f}",
            "0.501",
            "0.534",
            "p = 0.005",
            "1,322",
        )
    _row(reader, "words: harmful prompts, both comply", "–", "too few", "12")


def test_every_cue_has_shares_effect_auroc_and_loss_with_intervals(reader: Reader) -> None:
    for cue in example_audit()["shortcuts"]:
        wanted = []
        for share in (cue["chosen"], cue["rejected"]):
            wanted += [f"{100 * share['rate']:.1f}", f"{100 * share['low']:.1f}–{100 * share['high']:.1f}"]
            wanted += [f"{share['hits']:,} of {share['scored']:,}"]
        wanted += [
            f"{cue['effect']:.2f}".replace("-", "−"),
            "0.00",
            f"{cue['alone']['auroc']:.3f}",
            "0.500",
            "p = 0.005",
        ]
        wanted += [f"{cue['loss']['value']:.4f}", "0.0002"]
        _row(reader, f"“{cue['cue']}”" if cue["probe"] == "words" else cue["cue"], *wanted)


def test_sources_decisions_confounds_policy_layers_and_pairs(reader: Reader) -> None:
    _row(reader, "the source alone predicts the label", "1.000", "0.500", "100.0", "50.0", "1,820")
    _row(reader, "the text tells the source", "0.945", "0.925–0.965", "0.500", "96.0", "1,820")
    _row(reader, "within one source", "no source stands on both sides", "–")
    _row(
        reader,
        "harmful prompts",
        "26.4",
        "160 of 605",
        "15 unscored",
        "5.1",
        "66.4",
        "2.0",
        "31.6",
        "p < 0.001",
        "620",
    )
    _row(
        reader,
        "stopped by the token limit",
        "rows 3, 8, 21",
        "0.7",
        "12 of 1,840",
        "27.3",
        "503 of 1,840",
        "p = 0.005",
    )
    _row(reader, "exact duplicates", "rows 101, 102 and 12 more", "0.8", "14 of 1,840")
    _row(reader, "prompt is an item of AdvBench", "520 items", "rows 17, 408, 409, 1200", "4 of 1,840")
    _row(reader, "prompt also stands in test.jsonl", "rows 9, 10, 11", "3 of 1,840")
    _row(
        reader,
        "chosen − rejected",
        "−1.490",
        "−1.550 to −1.430",
        "0.002",
        "p = 0.005",
        "1,000",
        "3 more do not fit",
    )
    _row(reader, "4", "0.981", "0.961–0.996", "0.500")
    _row(reader, "5%", "−0.610", "−0.640 to −0.590", "−0.420")
    _row(reader, "identical sides", "rows 40, 41", "31")
    assert "embeddings (no --embeddings MODEL was given)" in reader.text
    assert "199 swaps of the sides of whole prompt groups" in reader.text


def test_every_probe_has_its_interval_or_the_reason_why_there_is_none(reader: Reader, page: str) -> None:
    _row(
        reader,
        "refusing harmful requests",
        "−0.31",
        "−0.39 to −0.23",
        "−0.25",
        "−12.400",
        "142",
        "71.0%",
        "200",
    )
    _row(reader, "… doors", "−0.34", "−0.42 to −0.26", "120", "150")
    _row(reader, "… banks", "undetermined: fewer than 30 probes", "undetermined", "–", "22", "50")
    _row(reader, "helping with benign requests", "0.12", "0.04–0.20", "90", "100")
    _row(reader, "placebo (two samples of one decision)", "0.02", "−0.05 to 0.09", "140", "200")
    assert (
        "12.0% of pairs carry 50.0% of the push towards complying (row 7, 19, 4, 88, 90, 91)" in reader.text
    )
    assert "It was found to fail where sides share their wording." in reader.text
    section = page[page.index('<section id="influence">') : page.index('<section id="pairs">')]
    (figure,) = re.findall(r"<figure.*?</figure>", section, flags=re.DOTALL)
    marks = {name: figure.count(f'class="{name}"') for name in ("dot-mark", "diamond-mark", "square-mark")}
    assert marks == {"dot-mark": 2, "diamond-mark": 1, "square-mark": 1}, "banks has none"
    assert f'cx="{100 * (1 - 0.31) / 2:.2f}%"' in figure
    assert f'x1="{100 * (1 - 0.39) / 2:.2f}%" x2="{100 * (1 - 0.23) / 2:.2f}%"' in figure


def test_the_page_shows_the_pilot_and_what_its_interval_leaves_out() -> None:
    page = render_audit_page(example_audit())
    assert "Refusals after a pilot of 8 steps" in page
    assert "their margin by −0.50 [−0.70 to −0.30] nats; 2 requests unscored.</strong>" in page


def test_influence_that_was_not_measured_says_what_it_needs() -> None:
    audit = example_audit()
    del audit["safety_influence"]
    page = render_audit_page(audit)
    assert "<code>--policy MODEL --probe-prompts FILE</code>" in page
    assert "Predicted influence on refusing" not in page


def test_known_sets_stand_beside_this_one(reader: Reader) -> None:
    _row(reader, "this data set", "0.712", "0.692–0.732", "0.861", "0.938", "1,840")
    _row(
        reader,
        "people: HH harmless",
        "hh-rlhf",
        "0.521",
        "0.501–0.541",
        "–",
        "0.617",
        "0.597–0.637",
        "2,312",
    )
    _row(reader, "GPT-4", "805 prompts", "–", "0.963")


def test_the_pictures_say_in_words_what_they_show(page: str) -> None:
    svgs = re.findall(r"<svg class=\"chart.*?</svg>(?=</figure>)", page, flags=re.DOTALL)
    assert len(svgs) == 9, "ladder, known sets, cues, map, sources, decisions, layers, influence, quantiles"
    for svg in svgs:
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("aria-label") == root.findtext("title")
    assert "characters 0.947 · matched 0.891" in svgs[0]
    marks = {name: svgs[0].count(f'class="{name}"') for name in ("dot-mark", "diamond-mark")}
    assert marks == {"dot-mark": 5, "diamond-mark": 5}
    assert (
        "people: HH harmless AUROC 0.617; self-generated: organism w0 self+rm AUROC 0.748; this data set"
        in svgs[1]
    )
    assert svgs[3].count('class="dot-mark"') == svgs[3].count('class="square-mark"') == 120


def test_a_mark_stands_where_its_value_is(page: str) -> None:
    """The axis of the ladder runs from .4 to 1, so .712 lies at 52% of its width."""
    ladder = page[page.index('<figure class="lanes">') :]
    assert f'cx="{100 * (0.712 - 0.4) / 0.6:.2f}%"' in ladder
    low, high = (100 * (v - 0.4) / 0.6 for v in (0.692, 0.732))
    assert f'x1="{low:.2f}%" x2="{high:.2f}%"' in ladder


def _hostile(value: Any) -> Any:
    """The same audit with hostile text in every place that takes free text."""
    fixed = ("probe", "kind", "decision", "prompts", "level", "unit")
    if isinstance(value, dict):
        return {k: v if k in fixed and isinstance(v, str) else _hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_hostile(v) for v in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_text_is_shown_and_does_nothing() -> None:
    audit = _hostile(example_audit())
    audit["shortcuts"][0]["examples"][0]["chosen"] = "w" * 9000 + HOSTILE
    page = render_audit_page(audit)
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} & {"script", "img", "iframe", "object", "form"} == set()
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert not set("\x1b\u202e\u2066\x00\x07") & set(page)
    assert "<script>alert(1)</script>" in reader.text
    assert "‹U+202E›" in reader.text
    assert "more characters" in reader.text
    assert page.count("w" * 1501) == 0


def test_a_lone_surrogate_in_a_setting_is_made_visible(tmp_path: Path) -> None:
    from backfire.answers.audit import AuditReport, parse_audit

    report = parse_audit(example_audit())
    settings = {**report.settings, "columns": "caf\udce9"}
    broken = AuditReport.model_construct(**{**dict(report), "settings": settings, "dataset": "d\udce9.jsonl"})
    written = write_audit_page(broken, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "d‹U+DCE9›.jsonl" in written
    assert "caf‹U+DCE9›" in written


def test_the_page_loads_nothing(page: str, reader: Reader) -> None:
    assert "default-src 'none'" in page
    loads = ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background")
    assert [
        (tag, name)
        for tag, attributes in reader.tags
        for name in attributes
        if name in loads and not (attributes[name] or "").startswith(("#", "data:"))
    ] == []
    assert "@import" not in page
    assert "url(" not in page


def test_what_was_not_measured_says_why_or_is_absent() -> None:
    reader = Reader(render_audit_page(smallest_audit()))
    for said in (
        "No judgement: 3 pairs are fewer than 30.",
        "length (3 pairs: fewer than 30)",
        "no column says who wrote which response",
        "--policy MODEL",
        "no stop reasons are recorded",
        "No evaluation set was looked for.",
        "No row is defective.",
    ):
        assert said in reader.text
    assert not any(tag == "svg" for tag, _ in reader.tags)


def test_parts_without_numbers_do_not_break_the_page() -> None:
    audit = example_audit()
    for probe in audit["separability"]:
        probe["decision_matched"] = {"pairs": 7, "reason": "7 such pairs: fewer than 30"}
    leak = audit["source_leak"]
    for part in ("pointwise", "pairwise", "text_tells_source"):
        del leak[part]
    leak["reason"] = "2 pairs with known sources"
    empty = {"hits": 0, "scored": 0, "unscored": 5}
    for name in ("both_refuse", "both_comply", "decisions_differ"):
        audit["safety_contrast"]["strata"][0][name] = empty
    audit["map"]["chosen"] = [[0.0, 0.0]] * 3
    audit["map"]["rejected"] = []
    reader = Reader(render_audit_page(audit))
    assert reader.text.count("7 such pairs: fewer than 30") >= 2
    assert "2 pairs with known sources" in reader.text


def test_equal_answers_give_equal_bytes(page: str, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from example_audit import example_audit;"
        "from backfire.report import write_audit_page; write_audit_page(example_audit(), sys.argv[2]);"
        "print([m for m in ('altair', 'vl_convert', 'torch', 'sklearn') if m in sys.modules])"
    )
    file = tmp_path / "deep" / "page.html"
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "a page needs no package of the extras"
    assert file.read_bytes() == page.encode()


def test_another_schema_is_refused() -> None:
    with pytest.raises(InputError, match="has schema 1, this version reads 7"):
        render_audit_page({**example_audit(), "schema": 1})


def test_what_has_changed_since_an_earlier_audit_stands_on_the_page() -> None:
    band = Estimate(value=0.02, low=0.01, high=0.03)
    change = Change(
        name="debris: <b>, chosen",
        unit="share",
        before=band,
        after=band,
        change=band,
        p=0.0001,
        direction="worse",
    )
    found = AuditComparison(dataset="old.jsonl", pairs=500, same_pairs=False, changes=(change,))
    report = parse_audit(example_audit())
    page = render_audit_page(report.model_copy(update={"comparison": found}))
    assert "Since the audit of old.jsonl (500 pairs) 1 is worse and nothing better" in page
    assert "worse: debris: &lt;b&gt;, chosen: 2.0% to 2.0%" in page
    assert "Since the last audit" not in render_audit_page(report)
