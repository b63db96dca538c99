"""The page of `show`: one self-contained HTML file, without scripts and without a single network request."""

from __future__ import annotations

from pathlib import Path

from backfire.answers.numerals import count_of
from backfire.answers.shown import Shown
from backfire.report.audit.as_trained_lines import rendered_by, tokens_line, trained_lines
from backfire.report.templates import render
from backfire.store import write_text


def render_shown_page(shown: Shown) -> str:
    """The HTML page, the same bytes for the same answer."""
    as_trained = shown.as_trained
    return render(
        "pairs/page.html.jinja",
        {"count_of": count_of},
        shown=shown,
        rendered_by=rendered_by(as_trained),
        tokens=tokens_line(as_trained),
        lines=trained_lines(as_trained),
    )


def write_shown_page(shown: Shown, path: str | Path) -> Path:
    """Write the page to the file `path`, whole or not at all, and return it."""
    path = Path(path)
    write_text(path, render_shown_page(shown))
    return path
