"""The page of `show`: one self-contained HTML file, without scripts and without a single network request."""

from __future__ import annotations

from pathlib import Path

from backfire.answers.numerals import count_of, printable
from backfire.answers.shown import Shown
from backfire.report.audit.as_trained_lines import rendered_by, tokens_line, trained_lines
from backfire.store import write_text


def render_shown_page(shown: Shown) -> str:
    """The HTML page, the same bytes for the same answer."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("backfire.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters["count_of"] = count_of
    as_trained = shown.as_trained
    page = environment.get_template("pairs/page.html.jinja").render(
        shown=shown,
        rendered_by=rendered_by(as_trained),
        tokens=tokens_line(as_trained),
        lines=trained_lines(as_trained),
    )
    return page.rstrip() + "\n"


def write_shown_page(shown: Shown, path: str | Path) -> Path:
    """Write the page to the file `path`, whole or not at all, and return it."""
    path = Path(path)
    write_text(path, render_shown_page(shown))
    return path
