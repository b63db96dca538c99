"""What a notebook shows of an answer: the tables of the terminal, as HTML in which text from data is only text."""

from __future__ import annotations

from html.parser import HTMLParser

from backfire.answers import parse_audit
from backfire.answers.comparisons import Difference, Differences
from backfire.answers.general import GeneralResult, TaskScore
from backfire.answers.results import parse_results
from example_audit import example_audit
from example_results import example_results

VOID = {"br"}


class Tags(HTMLParser):
    """Which tags there are; they have to be closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    assert not parser.open
    return parser.seen


def difference(first: str = "base") -> Difference:
    return Difference(
        "these checkpoints", first, "mine", "direct", "phrases", "harmful", "prompt", 100, 100, 0, 0.4, 0.3, -0.1,
        -0.18, -0.02, -0.1, -0.1, 0.02, 0.02, 0.02,
    )  # fmt: skip


def test_every_answer_is_shown() -> None:
    audit = parse_audit(example_audit())._repr_html_()
    assert str(parse_audit(example_audit()).pairs) in audit.replace(",", "")
    tags(audit)
    results = parse_results(example_results())._repr_html_()
    assert "table" in tags(results)
    assert "self+rm" in results
    compared = Differences([difference()])._repr_html_()
    assert tags(compared).count("table") == 1
    assert compared == difference()._repr_html_()
    score = TaskScore(task="arc", metric="acc", value=0.5, stderr=0.1, n=25)
    general = GeneralResult(scores=[score], settings={"num_fewshot": 0, "chat_template": False})
    assert "arc" in general._repr_html_()


def test_a_comparison_is_a_list_still() -> None:
    rows = Differences([difference()])
    assert rows == [difference()]
    assert rows[0].difference == -0.1


def test_text_from_data_is_only_text() -> None:
    html = Differences([difference("<script>alert(1)</script>\x1b[31m")])._repr_html_()
    assert "script" not in tags(html)
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html
