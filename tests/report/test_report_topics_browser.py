"""The table of topics on the audit's page in a real browser: it folds, it sorts, and the script that does so is allowed by its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_report_study_browser import CHROMIUM, Visit, browser, playwright

from backfire.report import write_audit_page
from example_audit import example_audit, share

__all__ = ["browser"]
assert playwright
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")


def topic(number: int, word: str, pairs: int, away: float) -> dict[str, Any]:
    cell = {
        "source": "people",
        "chosen": "complies",
        "rejected": "refuses",
        "pairs": pairs,
        "of": pairs,
        "away": away,
    }
    return {
        "number": number,
        "terms": [word],
        "named": 0.9,
        "pairs": pairs,
        "chosen_complies": share(pairs, pairs),
        "rejected_complies": share(0, pairs),
        "push": -3.5 * away,
        "away": away,
        "cells": [{**cell, "rows": [number], "example": "</pre><script>document.title='owned'</script>"}],
    }


def test_topics_fold_and_sort(browser: Any, tmp_path: Path) -> None:
    audit = example_audit()
    topics = [topic(1, "cakes", 90, 0.1), topic(2, "locks", 40, 0.7), topic(3, "taxes", 60, 0.2)]
    audit["topics"] = {
        "by": "words",
        "prompts": 190,
        "measure": "safety_influence",
        "read": 190,
        "topics": topics,
    }
    file = write_audit_page(audit, tmp_path / "audit.html")
    with Visit(browser, file, "wide") as visit:
        section = visit.page.locator("#topics")
        assert (
            "Chosen responses by people comply with 100% of 40 requests about “locks”; this is 70% of the push"
            in (section.inner_text())
        )
        names = section.locator(".unfold")
        assert names.all_inner_texts() == ["locks", "taxes", "cakes"], "most of the push first"
        part = section.locator("tr.part").first
        assert not part.is_visible()
        names.first.focus()
        visit.page.keyboard.press("Enter")
        assert part.is_visible()
        assert names.first.get_attribute("aria-expanded") == "true"
        section.get_by_role("button", name="pairs", exact=True).click()
        assert names.all_inner_texts() == ["cakes", "taxes", "locks"]
        section.get_by_role("button", name="pairs", exact=True).click()
        assert names.all_inner_texts() == ["locks", "taxes", "cakes"]
        assert visit.page.title() == "prefs.jsonl · backfire audit"
        assert visit.complaints == []
        assert visit.requests == [file.as_uri()]
