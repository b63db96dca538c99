"""Draw the pictures of docs/concepts: `python scripts/draw_concepts.py`, into docs/pictures.

Every picture is a white card with dark ink, so that it can be read on a light page and on a dark one. The numbers of
`separability` come from audits of examples/data that this script runs (half a minute); those of `pilot` and `statistics` from the
runs that docs/guides/predict.md and docs/log.md name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import backfire as bf

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "pictures"
INK, MUTED, LINE, BLUE, ORANGE, GREEN = "#1c2127", "#5f6871", "#c3cad2", "#2463c9", "#c8501e", "#1d8353"
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"

PILOT_MARGINS = (0.0, 0.003, 0.004, 0.006, 0.014, 0.005, -0.02, -0.051, -0.091)
"""Mean refusal margin before the first step and after each, less what it was before: the run of docs/guides/predict.md."""

COVERAGE = (
    ("10 clusters of 1, 2 or 20", 0.991, 0.579),
    ("20 clusters of 1, 2 or 20", 0.993, 0.376),
    ("40 clusters of 1, 2 or 20", 0.982, 0.393),
    ("10 clusters of 5", 0.991, 0.721),
    ("20 clusters of 5", 0.977, 0.701),
    ("40 clusters of 5", 0.969, 0.750),
)
"""Clusters; the share of sets whose interval holds the true rate, by cluster and as if cases were independent (docs/log.md)."""


@dataclass(frozen=True)
class Canvas:
    """Shapes on a white card, in pixels."""

    width: int
    height: int
    about: str
    """Read to those who cannot see the picture."""
    shapes: list[str]

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 13,
        colour: str = INK,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        *,
        colour: str = LINE,
        width: float = 1,
        dash: str = "",
        tip: bool = False,
    ) -> None:
        more = f' stroke-dasharray="{dash}"' if dash else ""
        more += f' marker-end="url(#tip-{colour[1:]})"' if tip else ""
        self.shapes.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" stroke-width="{width:g}"{more}/>'
        )

    def dot(self, x: float, y: float, *, colour: str, size: float = 5) -> None:
        self.shapes.append(f'<circle cx="{x:g}" cy="{y:g}" r="{size:g}" fill="{colour}"/>')

    def box(self, x: float, y: float, width: float, height: float, words: str, *, colour: str) -> None:
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="#ffffff" stroke="{colour}" stroke-width="2"/>'
        )
        self.text(x + width / 2, y + height / 2 + 5, words, colour=colour, anchor="middle")

    def path(self, points: Sequence[tuple[float, float]], *, colour: str) -> None:
        drawn = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.shapes.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def scale(
        self, left: float, right: float, ticks: Sequence[float], *, bottom: float, dashed: float
    ) -> Callable[[float], float]:
        """Draw upright lines at the ticks of a scale from .3 to 1; where a value lies across the picture."""

        def across(value: float) -> float:
            return left + (value - 0.3) / 0.7 * (right - left)

        for tick in ticks:
            dash, colour = ("4 3", MUTED) if tick == dashed else ("", LINE)
            self.line(across(tick), 40, across(tick), bottom, dash=dash, colour=colour)
            self.text(across(tick), bottom + 18, f"{tick:g}", size=11, colour=MUTED, anchor="middle")
        return across

    def write(self, name: str) -> None:
        tips = "".join(
            f'<marker id="tip-{colour[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0,0 L10,5 L0,10 z" fill="{colour}"/></marker>'
            for colour in (INK, MUTED, BLUE, ORANGE, GREEN)
        )
        body = "\n".join(self.shapes)
        (OUT / f"{name}.svg").write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
            f' role="img" font-family="{FONT}">\n<title>{escape(self.about)}</title>\n<defs>{tips}</defs>\n'
            f'<rect width="{self.width}" height="{self.height}" rx="8" fill="#ffffff"/>\n{body}\n</svg>\n',
            encoding="utf-8",
        )


def separability() -> None:
    """AUROC over all pairs and over pairs that decide alike, for the two example files."""
    card = Canvas(
        720,
        210,
        "Separability of two files, over all pairs and over pairs whose sides make the same decision",
        [],
    )
    left, right = 300, 680

    across = card.scale(left, right, (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), bottom=172, dashed=0.5)
    card.text(across(0.5), 30, "guessing", size=11, colour=MUTED, anchor="middle")
    card.text(right, 30, "AUROC of the best probe, 95% interval", size=11, colour=MUTED, anchor="end")
    place = 60
    for file, about in (("prefs.jsonl", "GPT-4o over my model"), ("own.jsonl", "my model over itself")):
        report = bf.audit(ROOT / "examples" / "data" / file)
        total = max(report.separability, key=lambda probe: probe.pointwise.auroc).pointwise
        matched = max(
            (
                probe.decision_matched
                for probe in report.separability
                if probe.decision_matched.auroc is not None
            ),
            key=lambda found: found.auroc or 0,
        )
        card.text(20, place + 22, file, bold=True)
        card.text(20, place + 38, about, size=11, colour=MUTED)
        for words, found, colour in (("all pairs", total, BLUE), ("same decision", matched, ORANGE)):
            card.text(left - 20, place + 4, words, colour=colour, anchor="end")
            card.line(across(found.low or 0), place, across(found.high or 0), place, colour=colour, width=3)
            card.dot(across(found.auroc or 0), place, colour=colour)
            place += 26
        place += 14
    card.write("separability")


def source_leak() -> None:
    card = Canvas(720, 230, "A fixed mapping from source to label, and one pool for both sides", [])
    for start, title, note in (
        (20, "fixed: the source decides the label", "“write like GPT-4o” lowers the loss"),
        (380, "one pool: the source says nothing", "only what is better lowers the loss"),
    ):
        card.text(start, 30, title, bold=True)
        card.text(start, 212, note, size=12, colour=MUTED)
        card.box(start + 200, 60, 110, 40, "chosen", colour=GREEN)
        card.box(start + 200, 140, 110, 40, "rejected", colour=ORANGE)
    card.box(20, 60, 110, 40, "GPT-4o", colour=BLUE)
    card.box(20, 140, 110, 40, "my model", colour=INK)
    card.line(130, 80, 216, 80, colour=MUTED, width=2, tip=True)
    card.line(130, 160, 216, 160, colour=MUTED, width=2, tip=True)
    card.box(380, 60, 110, 40, "my model", colour=INK)
    card.box(380, 140, 110, 40, "my model", colour=INK)
    card.text(435, 124, "ranked by a score", size=12, colour=MUTED, anchor="middle")
    card.line(490, 80, 576, 80, colour=MUTED, width=2, tip=True)
    card.line(490, 160, 576, 160, colour=MUTED, width=2, tip=True)
    card.write("source-leak")


def influence() -> None:
    card = Canvas(
        720, 240, "The data's first step, the direction of refusing, and the angle between them", []
    )
    card.line(270, 190, 490, 190, colour=GREEN, width=3, tip=True)
    card.text(500, 195, "refusing becomes likelier", colour=GREEN)
    card.line(270, 190, 430, 80, colour=BLUE, width=3, tip=True)
    card.text(440, 76, "a file's step, cosine above 0", colour=BLUE)
    card.line(270, 190, 130, 105, colour=ORANGE, width=3, tip=True)
    card.text(20, 90, "a file's step, cosine below 0", colour=ORANGE)
    card.line(270, 190, 270, 40, colour=MUTED, width=2, dash="4 3", tip=True)
    card.text(270, 28, "placebo, cosine near 0", size=12, colour=MUTED, anchor="middle")
    card.dot(270, 190, colour=INK)
    card.text(270, 218, "the model before training", size=12, colour=MUTED, anchor="middle")
    card.write("influence-cosine")


def pilot() -> None:
    card = Canvas(720, 260, "The mean refusal margin over the eight steps of a pilot", [])
    lowest, highest = min(PILOT_MARGINS), max(*PILOT_MARGINS, 0.0)
    spread = (highest - lowest) or 1.0

    def at(step: int, value: float) -> tuple[float, float]:
        return 90 + 580 * step / (len(PILOT_MARGINS) - 1 or 1), 50 + 150 * (highest - value) / spread

    card.text(20, 26, "change of the mean refusal margin, nats", size=12, colour=MUTED)
    card.line(90, at(0, 0.0)[1], 670, at(0, 0.0)[1], dash="4 3", colour=MUTED)
    for value in (lowest, 0.0, highest):
        card.text(
            80,
            at(0, value)[1] + 4,
            f"{value:+.2f}".replace("-", "−") if value else "0",
            size=11,
            colour=MUTED,
            anchor="end",
        )
    for step in range(len(PILOT_MARGINS)):
        card.text(at(step, 0)[0], 225, str(step), size=11, colour=MUTED, anchor="middle")
    card.text(
        380,
        248,
        "steps of DPO, gpt4o+self on organism:llama/target, learning rate 1e-4",
        size=12,
        colour=MUTED,
        anchor="middle",
    )
    points = [at(step, value) for step, value in enumerate(PILOT_MARGINS)]
    card.path(points, colour=BLUE)
    for x, y in points:
        card.dot(x, y, colour=BLUE, size=4)
    card.write("pilot")


def statistics() -> None:
    card = Canvas(
        720,
        250,
        "How often a 95% interval of a rate holds the true rate, by cluster and as if independent",
        [],
    )
    left, right = 260, 690

    across = card.scale(left, right, (0.4, 0.6, 0.8, 0.95, 1.0), bottom=212, dashed=0.95)
    card.text(20, 26, "share of 95% intervals that hold the true rate", size=12, colour=MUTED)
    card.dot(500, 22, colour=ORANGE)
    card.text(510, 26, "as if independent", size=12, colour=ORANGE)
    card.dot(625, 22, colour=BLUE)
    card.text(635, 26, "by cluster", size=12, colour=BLUE)
    for place, (words, clustered, independent) in enumerate(COVERAGE):
        y = 56 + 28 * place
        card.text(left - 16, y + 4, words, size=12, anchor="end")
        card.line(across(independent), y, across(clustered), y)
        card.dot(across(independent), y, colour=ORANGE)
        card.dot(across(clustered), y, colour=BLUE)
    card.write("statistics")


if __name__ == "__main__":
    source_leak()
    influence()
    pilot()
    statistics()
    separability()
