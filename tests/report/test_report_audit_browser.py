"""The audit's page in a real browser: Debian's Chromium, driven by Playwright, nothing downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_report_study_browser import CHROMIUM, SIZES, Visit, browser, playwright

from backfire.report import write_audit_page
from example_audit import example_audit, smallest_audit

__all__ = ["browser"]
assert playwright
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")

CONTRAST = """() => {
  const part = c => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
  const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number);
    return .2126 * part(r) + .7152 * part(g) + .0722 * part(b); };
  const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  const page = light(getComputedStyle(document.body).backgroundColor);
  const seen = {};
  for (const [name, property, on] of [['body', 'color'], ['.level', 'color'], ['.glances small', 'color'],
      ['.key', 'color'], ['td small', 'color'], ['.chart .name', 'fill'], ['.chart .figure', 'fill'],
      ['.chart .tick', 'fill'], ['.chart .letter.A', 'fill', '.chart .part.A'],
      ['.chart .letter.C', 'fill', '.chart .part.C'], ['.chart .letter.D', 'fill', '.chart .part.D']]) {
    const below = on ? light(getComputedStyle(document.querySelector(on)).fill) : page;
    seen[name] = ratio(light(getComputedStyle(document.querySelector(name))[property]), below);
  }
  return seen;
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    audit = example_audit()
    owned = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    audit["shortcuts"][0]["examples"][0]["chosen"] = "w" * 5000 + "</pre></details>" + owned
    audit["shortcuts"][1]["cue"] = "has " + "averylongcue" * 20 + owned
    audit["source_leak"]["mapping"] += " " + "m" * 400
    audit["conclusion"]["reasons"].append("Long code: `" + "c" * 300 + owned + "`.")
    audit["settings"]["long"] = "s" * 400
    audit["defects"][0]["rows"] = list(range(1, 1001))
    audit["defects"][0]["count"] = 5000
    return write_audit_page(audit, tmp_path_factory.mktemp("audit") / "audit.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_the_page_in_a_browser(browser: Any, page_file: Path, size: str, scheme: str) -> None:
    with Visit(browser, page_file, size, scheme) as visit:
        page = visit.page
        level = page.locator(".level").bounding_box()
        assert level is not None
        assert level["y"] + level["height"] < SIZES[size][1], "the conclusion is seen without scrolling"
        assert page.locator("svg.chart:visible").count() >= 4, (
            "pictures stand before the details, which are folded"
        )
        page.evaluate("document.querySelectorAll('details.fold').forEach(d => d.open = true)")
        svgs = page.locator("svg.chart").all()
        assert len(svgs) == 9
        for svg in svgs:
            box = svg.bounding_box()
            assert box is not None
            assert box["width"] > 250
            assert box["x"] + box["width"] <= SIZES[size][0]
        wide = page.evaluate(
            """() => [...document.querySelectorAll('svg.chart text')].filter(t => {
              const b = t.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth; }).map(t => t.textContent)"""
        )
        assert wide == [], "letters of the pictures stay on the page"
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        scrolled, shown = visit.width()
        assert scrolled <= shown, "the body does not scroll sideways, whatever is open"
        page.wait_for_timeout(200)
        assert page.title() == "prefs.jsonl · backfire audit"
        assert visit.complaints == []
        assert visit.requests == [page_file.as_uri()]


def test_examples_are_folded_twice(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file, "narrow") as visit:
        visit.page.evaluate("document.querySelectorAll('details.fold').forEach(d => d.open = true)")
        cue = visit.page.locator("#examples details.cell").nth(0)
        text = cue.locator("pre").first
        assert not text.is_visible()
        cue.locator("> summary").click()
        assert not text.is_visible(), "text is folded even where its cue is open"
        cue.locator("details.example > summary").first.click()
        assert text.is_visible()
        assert "row 1, benign prompt" in cue.inner_text()


def test_marks_stand_above_their_ticks(browser: Any, page_file: Path) -> None:
    """In pixels, as they are drawn: .712 lies between the ticks of .7 and .8, at 12% of the way."""
    with Visit(browser, page_file, "wide") as visit:
        mark, seven, eight = visit.page.evaluate(
            """() => { const svg = document.querySelector('#ladder svg.chart');
              const x = e => { const b = e.getBoundingClientRect(); return b.left + b.width / 2; };
              const tick = t => [...svg.querySelectorAll('text.tick')].find(e => e.textContent === t);
              return [x(svg.querySelector('.dot-mark')), x(tick('0.7')), x(tick('0.8'))]; }"""
        )
        assert (mark - seven) / (eight - seven) == pytest.approx(0.12, abs=0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_are_legible(browser: Any, page_file: Path, scheme: str) -> None:
    """Text and the pictures' letters against what lies behind them: WCAG AA, a contrast of 4.5 or more."""
    with Visit(browser, page_file, "wide", scheme) as visit:
        contrast = visit.page.evaluate(CONTRAST)
        assert {name: ratio for name, ratio in contrast.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("size", list(SIZES))
def test_an_audit_without_numbers_in_a_browser(browser: Any, tmp_path: Path, size: str) -> None:
    file = write_audit_page(smallest_audit(), tmp_path / "audit.html")
    with Visit(browser, file, size) as visit:
        assert "No judgement" in visit.page.locator(".level").inner_text()
        scrolled, shown = visit.width()
        assert scrolled <= shown
        assert visit.complaints == []
