"""The page of the pairs to look at first in a real browser: the keyboard, the marks that are kept, and the file that is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_report_study_browser import CHROMIUM, SIZES, Visit, browser, playwright

from backfire.answers.decisions import read_decisions
from backfire.answers.worst_pairs import WorstPair, WorstPairs, WorstSide
from backfire.report import write_worst_page

__all__ = ["browser"]
assert playwright
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")

OWNED = "</pre></details><script>document.title='owned'</script>" + "w" * 3000


def pair(number: int, kind: str = "harmful") -> WorstPair:
    chosen = WorstSide(f"Here is how. {OWNED}", "complies", "people")
    return WorstPair(
        number * 7,
        f"key{number}",
        f"Request {number} {OWNED}",
        kind,
        chosen,
        WorstSide("No.", "refuses", None),
        ("echo",),
    )


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = (pair(1), pair(2), pair(3, "benign"))
    worst = WorstPairs("prefs.jsonl", "5e" * 32, 400, "by the findings that name a pair", pairs)
    return write_worst_page(worst, tmp_path_factory.mktemp("worst") / "worst.html")


def test_pairs_are_marked_by_keyboard_and_saved_as_a_file(
    browser: Any, page_file: Path, tmp_path: Path
) -> None:
    with Visit(browser, page_file, "wide") as visit:
        page = visit.page
        assert page.locator("#save").is_disabled()
        for key in ("j", "2", "j", "3", "j", "1", "k", "0", "k", "o"):
            page.keyboard.press(key)
        assert page.locator("#count").inner_text() == "2 of 3 marked: keep 1, drop 1"
        assert page.locator("article").first.locator("details[open]").count() == 1
        page.reload()
        assert page.locator("#count").inner_text() == "2 of 3 marked: keep 1, drop 1", "marks are kept"
        page.locator("article").nth(1).get_by_role("button", name="swap").click()
        with page.expect_download() as saving:
            page.keyboard.press("s")
        file = tmp_path / "decisions.json"
        saving.value.save_as(file)
        assert saving.value.suggested_filename == "decisions.json"
        decisions = read_decisions(file)
        assert (decisions.dataset, decisions.digest) == ("prefs.jsonl", "5e" * 32)
        assert [(one.row, one.pair, one.mark) for one in decisions.decisions] == [
            (7, "key1", "drop"),
            (14, "key2", "swap"),
            (21, "key3", "keep"),
        ]
        assert page.title() == "prefs.jsonl: pairs to look at first · backfire"
        assert visit.complaints == []
        assert {url for url in visit.requests if not url.startswith("blob:")} == {page_file.as_uri()}


@pytest.mark.parametrize("size", list(SIZES))
def test_text_that_may_harm_is_folded(browser: Any, page_file: Path, size: str) -> None:
    with Visit(browser, page_file, size) as visit:
        assert visit.page.locator("article").nth(0).locator("details").count() == 1
        assert visit.page.locator("article").nth(2).locator("details").count() == 0, (
            "a benign prompt's responses are open"
        )
        visit.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        scrolled, shown = visit.width()
        assert scrolled <= shown
