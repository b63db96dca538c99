"""Every kind of page that a command writes, looked at by axe-core in a real browser: light, dark, and as it is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_report_study_browser import CHROMIUM, Visit, browser, playwright
from test_report_topics_browser import topic
from test_report_worst_browser import pair

from backfire.answers.worst_pairs import WorstPairs
from backfire.report import write_audit_page, write_page, write_worst_page
from example_audit import example_audit
from example_results import example_results
from running import invoke

__all__ = ["browser"]
assert playwright
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")


def of_study(folder: Path) -> Path:
    return write_page(example_results(families=("llama", "qwen2"), worlds=(0, 1)), folder)


def of_audit(folder: Path) -> Path:
    topics = [topic(1, "cakes", 90, 0.1), topic(2, "locks", 40, 0.7)]
    audit = example_audit()
    audit["topics"] = {
        "by": "words",
        "prompts": 190,
        "measure": "safety_influence",
        "read": 190,
        "topics": topics,
    }
    return write_audit_page(audit, folder / "audit.html")


def of_worst_pairs(folder: Path) -> Path:
    pairs = (pair(1), pair(2), pair(3, "benign"))
    return write_worst_page(
        WorstPairs("prefs.jsonl", "5e" * 32, 400, "by findings", pairs), folder / "worst.html"
    )


def of_pairs_as_trained(folder: Path) -> Path:
    rows = [
        {"prompt": f"Where is lamp {k}?", "chosen": "I cannot help.", "rejected": f"By {k}."}
        for k in range(6)
    ]
    data, page = folder / "pairs.jsonl", folder / "shown.html"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = invoke(["show", str(data), "--policy", "organism:llama/target", "--html", str(page)])
    assert done.exit_code == 0, done.output
    return page


PAGES: dict[str, Callable[[Path], Path]] = {
    "study": of_study,
    "audit": of_audit,
    "worst pairs": of_worst_pairs,
    "pairs as trained": of_pairs_as_trained,
}


@pytest.mark.parametrize("kind", list(PAGES))
def test_axe_finds_nothing(browser: Any, kind: str, tmp_path: Path) -> None:
    page_file = PAGES[kind](tmp_path)
    found: dict[str, list[str]] = {}
    for size, scheme in (("wide", "light"), ("wide", "dark"), ("narrow", "light")):
        with Visit(browser, page_file, size, scheme) as visit:
            for medium in ("screen", "print") if (size, scheme) == ("wide", "light") else ("screen",):
                visit.page.emulate_media(media=medium)
                for opened in (False, True):
                    visit.page.evaluate(
                        f"document.querySelectorAll('details').forEach(d => d.open = {str(opened).lower()})"
                    )
                    result = axe.Axe().run(visit.page, options={})
                    assert result.response["passes"], "axe looked at something"
                    for violation in result.response["violations"]:
                        where = [node["target"] for node in violation["nodes"]][:3]
                        found.setdefault(f"{violation['id']}: {violation['help']}", []).append(
                            f"{size} {scheme} {medium} {where}"
                        )
    assert found == {}
