"""The page of the pairs to look at first: one self-contained HTML file without a single network request. Its one script, which is
allowed by its digest, marks pairs and gives the marks as a file."""

from __future__ import annotations

from pathlib import Path

from backfire.answers.numerals import count_of
from backfire.answers.worst_pairs import WorstPair, WorstPairs, WorstSide
from backfire.report.templates import page_script, render
from backfire.store import write_text

SCRIPT = "worst/page.js"


def render_worst_page(worst: WorstPairs) -> str:
    """The HTML page, the same bytes for the same pairs."""
    return render(
        "worst/page.html.jinja",
        {"count_of": count_of},
        worst=worst,
        script=page_script(SCRIPT),
        folded=_folded,
        sides=_sides,
    )


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
