"""Pairs as tokens for a terminal: roles in colour, the loss as a mark in the margin that needs no colour."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from backfire.answers.numerals import count_of, printable
from backfire.answers.shown import TEMPLATE, Piece, Shown, ShownPair, Stretch
from backfire.report.audit.as_trained_table import as_trained_parts

ROLES = {"system": "magenta", "user": "cyan", "assistant": "green", "tool": "yellow", TEMPLATE: "dim"}
LOSS, NO_LOSS = "┃", " "
"""In the margin: these tokens are trained on, or not."""
BETWEEN = "│"
"""Between two tokens."""
KEY = (
    f"{LOSS} trained on (the loss is counted) · no mark: read only · {BETWEEN} between two tokens · ⏎ a line break in a token"
    " · «…» special tokens · (role) whose words begin"
)


def shown_table(shown: Shown) -> Group:
    """The answer as a rich renderable."""
    parts: list[RenderableType] = [
        Text(_one(shown.dataset), style="bold"),
        Text(f"{shown.format}; {count_of(shown.pairs, 'pair')} from {count_of(shown.rows, 'row')}"),
    ]
    for kind, count in shown.defects.items():
        parts.append(Text(f"left out: {count:,} with {kind}", style="yellow"))
    parts += ["", *as_trained_parts(shown.as_trained)]
    for pair in shown.shown:
        parts += ["", *_pair(pair)]
    for row, why in shown.without_pair.items():
        parts += ["", Text(f"row {row} gives no pair: {why}", style="yellow")]
    if shown.shown:
        parts += ["", Text(KEY, style="dim")]
    return Group(*parts)


def _pair(pair: ShownPair) -> Iterator[RenderableType]:
    about = f": {', '.join(pair.happened)}" if pair.happened else ""
    yield Text.assemble((f"row {pair.row}", "bold"), (about, "yellow"))
    if pair.fault:
        yield Text(_one(pair.fault), style="yellow")
    for stretch in pair.stretches:
        yield _heading(stretch)
        yield _Marked(stretch)


def _heading(stretch: Stretch) -> Text:
    loss = "trained on" if stretch.trained else "read only"
    lost = f", {stretch.lost:,} more cut by max_length" if stretch.lost else ""
    return Text(f"{stretch.name} ({stretch.tokens:,} tokens, {loss}{lost})", style="bold")


class _Marked:
    """The tokens of a stretch beside the mark of the loss, which stands before every line, however it is folded."""

    def __init__(self, stretch: Stretch) -> None:
        self.stretch = stretch

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        mark, style = (LOSS, "bold green") if self.stretch.trained else (NO_LOSS, "")
        for text in _lines(self.stretch.pieces):
            for line in text.wrap(console, max(8, options.max_width - 2), overflow="fold"):
                yield Text.assemble((f"{mark} ", style), line)


def _lines(pieces: tuple[Piece, ...]) -> Iterator[Text]:
    """One text for every line of what the tokens spell."""
    line, role, begun = Text(overflow="fold"), "", False
    for piece in pieces:
        if piece.role != role and piece.role != TEMPLATE:
            line.append(f"({piece.role}) ", style="bold")
        role = piece.role
        if begun:
            line.append(BETWEEN, style="dim")
        style = "bold reverse" if piece.special else ROLES.get(piece.role, "")
        text = f"«{piece.text}»" if piece.special else piece.text
        first, *rest = text.split("\n")
        line.append(printable(first), style=style)
        begun = True
        for more in rest:
            line.append("⏎", style="dim")
            yield line
            line, begun = Text(printable(more), style=style, overflow="fold"), bool(more)
    if line.plain:
        yield line


def _one(text: str) -> str:
    return printable(" ".join(text.split()))
