"""From an Altair chart to a static SVG: the same bytes for the same chart, and colours that a page can replace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backfire.answers.numerals import printable
from backfire.errors import InputError

INK, MUTED, LINE, FAINT = "#1c2127", "#5f6871", "#e1e5ea", "#c3cad2"
KIND_COLOURS = {
    "baseline": "#6a737d",
    "people": "#1d8353",
    "source": "#c8501e",
    "reward model": "#2463c9",
    "other": "#8447b8",
}
"""What decides which response is chosen, as a colour; the page replaces each in dark mode."""

KIND_SHAPES = {
    "baseline": "diamond",
    "people": "triangle-up",
    "source": "square",
    "reward model": "circle",
    "other": "cross",
}

FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"


@dataclass(frozen=True)
class Panel:
    """One small drawing. `title` stands above it, `svg` is an <svg> element."""

    title: str
    svg: str
    width: int


def altair() -> Any:
    """The altair module; InputError with the fix where the pictures' packages are not installed."""
    try:
        import altair as alt
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"the report's pictures need altair and vl-convert ({error}): pip install 'backfire[plots]'"
        ) from error
    return alt


def draw(chart: Any, title: str, description: str) -> Panel:
    """Convert a chart to an SVG element without a browser; `description` is read to those who cannot see it."""
    svg = to_svg(chart)
    return Panel(title, _inline(svg, description), _width(svg))


def small_axes(steps: Sequence[int], up: str, values: Sequence[float]) -> tuple[Any, Any]:
    """The axes of a small panel of curves over steps, without titles: what each spans, and the field that is drawn, as `loss:Q`."""
    alt = altair()
    x = alt.X(
        "step:Q",
        scale=alt.Scale(domain=list(steps), nice=False),
        title=None,
        axis=alt.Axis(tickCount=2, grid=False),
    )
    y = alt.Y(
        up,
        scale=alt.Scale(domain=list(values), nice=False, clamp=True),
        title=None,
        axis=alt.Axis(tickCount=3, domain=False),
    )
    return x, y


def to_svg(chart: Any, background: str = "transparent") -> str:
    """A chart as a whole SVG document in the house style."""
    import vl_convert

    themed = chart.configure(
        background=background,
        font=FONT,
        aria=False,
        view={"stroke": None},
        axis={
            "labelColor": MUTED,
            "titleColor": MUTED,
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 11,
            "gridColor": LINE,
            "domainColor": FAINT,
            "ticks": False,
            "labelPadding": 5,
            "labelLimit": 110,
            "labelFlush": False,
        },
        title={"anchor": "start", "fontSize": 13, "color": INK},
        legend={"labelColor": MUTED, "labelFontSize": 12, "symbolSize": 70, "columnPadding": 18},
    )
    svg: str = vl_convert.vegalite_to_svg(themed.to_dict())
    return svg


def stand_alone(panel: Panel) -> str:
    """A panel as a whole SVG document on white, which other programs open."""
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    white = r'\1<rect width="100%" height="100%" fill="#ffffff"/>'
    return re.sub(r"(<svg[^>]*>)", white, panel.svg.replace("<svg", f"<svg {namespaces}", 1), count=1)


def pdf_of(svg: str) -> bytes:
    """An SVG document as PDF, whose text stays text; no browser and no network are used."""
    altair()
    import vl_convert

    made: bytes = vl_convert.svg_to_pdf(svg)
    return made


def _width(svg: str) -> int:
    match = re.search(r'<svg[^>]*? width="([\d.]+)"', svg)
    return round(float(match.group(1))) if match else 0


def _inline(svg: str, description: str) -> str:
    """Name the picture for screen readers; namespaces and ids are not needed inside a page."""
    from markupsafe import escape

    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg, count=2)
    svg = re.sub(r' (?:role|aria-roledescription)="[^"]*"', "", svg)  # parts that have no name of their own
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(printable(description))}"', 1)
