"""The page of the pairs to look at first: one self-contained HTML file without a single network request. Its one script, which is
allowed by its digest, marks pairs and gives the marks as a file."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from backfire.answers.numerals import count_of, printable
from backfire.answers.worst_pairs import WorstPair, WorstPairs, WorstSide
from backfire.store import write_text

SCRIPT = "worst/page.js"


def render_worst_page(worst: WorstPairs) -> str:
    """The HTML page, the same bytes for the same pairs."""
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
    script = files("backfire.report").joinpath(SCRIPT).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("worst/page.html.jinja").render(
        worst=worst, script=script, script_digest=f"sha256-{digest}", folded=_folded, sides=_sides
    )
    return page.rstrip() + "\n"


def write_worst_page(worst: WorstPairs, path: str | Path) -> Path:
    """Write the page to the file `path`, whole or not at all, and return it."""
    path = Path(path)
    write_text(path, render_worst_page(worst))
    return path


def _folded(pair: WorstPair, side: WorstSide) -> bool:
    """Whether a response may be harmful: it does not refuse, and nothing says that its prompt is benign."""
    return side.decides != "refuses" and pair.kind != "benign"


def _sides(pair: WorstPair) -> list[tuple[str, WorstSide]]:
    return [("chosen", pair.chosen), ("rejected", pair.rejected)]
