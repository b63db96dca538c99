"""The page in a real browser: Debian's Chromium, driven by Playwright, nothing downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backfire.report import write_page
from example_results import example_results

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("BACKFIRE_CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"narrow": (360, 740), "wide": (1400, 900)}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = example_results()
    example = results["cells"][2]["examples"][0]
    example["response"] = "w" * 5000 + "</pre></details><script>document.title='owned'</script>"
    example["prompt"] = (
        "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    )
    results["cells"][2]["provenance"]["long"] = "p" * 400
    return write_page(results, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def many_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = example_results(families=("llama", "qwen2"), worlds=(0, 1, 2))
    return write_page(results, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


class Visit:
    """One open page, and all that it asked for and complained of."""

    def __init__(self, browser: Any, file: Path, size: str, scheme: str = "light") -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "narrow"
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def width(self) -> tuple[int, int]:
        scrolled, shown = self.page.evaluate(
            "[Math.max(document.documentElement.scrollWidth, document.body.scrollWidth), innerWidth]"
        )
        return scrolled, shown

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.mark.parametrize("size", list(SIZES))
def test_the_page_in_a_browser(browser: Any, page_file: Path, size: str) -> None:
    with Visit(browser, page_file, size) as visit:
        page = visit.page
        assert page.locator("table.recipes").is_visible()
        assert page.locator("table.recipes tbody tr").count() == 8
        for svg in page.locator(".panel svg").all():
            box = svg.bounding_box()
            assert box is not None
            assert box["width"] > 100
            assert box["x"] + box["width"] <= SIZES[size][0]

        cell = page.locator("details.cell").nth(2)
        assert not cell.locator(".body").is_visible()
        cell.locator("> summary").click()
        assert cell.locator(".body").is_visible()
        response = cell.locator("details.example pre").nth(1)
        assert not response.is_visible(), "harmful text is folded even where its cell is open"
        cell.locator("details.example > summary").click()
        assert response.is_visible()
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        scrolled, shown = visit.width()
        assert scrolled <= shown, "the body does not scroll sideways, whatever is open"
        page.wait_for_timeout(200)
        assert page.title() == "invented example · backfire"
        assert visit.complaints == []
        assert visit.requests == [page_file.as_uri()]


def test_a_recipes_name_opens_where_its_numbers_come_from(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file, "wide") as visit:
        visit.page.locator("table.recipes a", has_text="self+rm").last.click()
        opened = visit.page.locator("details.cell[open]")
        assert opened.count() == 1
        assert "llama-self+rm-w0-s0" in opened.inner_text()


def test_a_number_opens_the_part_that_it_comes_from(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file, "wide") as visit:
        row = visit.page.locator("table.recipes tbody tr", has_text="self+rm").last
        number = row.locator("td a").first
        number.focus()
        visit.page.keyboard.press("Enter")
        opened = visit.page.locator("details.cell[open]")
        assert opened.count() == 1
        assert "llama-self+rm-w0-s0" in opened.inner_text()
        heading = visit.page.locator(":target")
        assert heading.inner_text() == "Rates"
        assert heading.is_visible()


def test_wide_screens_need_no_scrolling_in_the_table(browser: Any, page_file: Path) -> None:
    with Visit(browser, page_file, "wide") as visit:
        inner, outer = visit.page.evaluate(
            "[document.querySelector('table.recipes').scrollWidth, "
            "document.querySelector('table.recipes').parentElement.clientWidth]"
        )
        assert inner <= outer


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_are_legible(browser: Any, page_file: Path, scheme: str) -> None:
    """Text, small print and the pictures' letters against the page: WCAG AA, a contrast of 4.5 or more."""
    script = """() => {
      const part = c => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
      const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number);
        return .2126 * part(r) + .7152 * part(g) + .0722 * part(b); };
      const page = light(getComputedStyle(document.body).backgroundColor);
      const seen = {};
      for (const [name, property] of [['body', 'color'], ['small', 'color'], ['td.below', 'color'],
          ['td.above', 'color'], ['.panel text', 'fill'], ['.role-axis-label text', 'fill'], ['.meta', 'color']]) {
        const found = document.querySelector(name);
        const other = light(getComputedStyle(found)[property]);
        seen[name] = (Math.max(page, other) + .05) / (Math.min(page, other) + .05);
      }
      return seen;
    }"""
    with Visit(browser, page_file, "wide", scheme) as visit:
        contrast = visit.page.evaluate(script)
        assert {name: ratio for name, ratio in contrast.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("size", list(SIZES))
def test_many_groups_in_a_browser(browser: Any, many_file: Path, size: str) -> None:
    with Visit(browser, many_file, size) as visit:
        assert visit.page.locator("#worlds table").is_visible()
        assert visit.page.locator("table.recipes").first.is_visible()
        assert not visit.page.locator("table.recipes").nth(1).is_visible()
        visit.page.locator("details.group > summary").nth(1).click()
        assert visit.page.locator("table.recipes").nth(1).is_visible()
        scrolled, shown = visit.width()
        assert scrolled <= shown
        assert visit.complaints == []
        assert len(visit.requests) == 1
