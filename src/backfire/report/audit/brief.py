"""An audit in at most 25 lines of a terminal: the verdict first, the largest effects with their rows, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from backfire.answers.audit import AuditReport, parse_audit
from backfire.answers.conclusion import FIRST, Effect, Level, changes_data, split_step
from backfire.answers.numerals import count_of, listed, printable, shown_rows
from backfire.answers.phrases import influence_text, pilot_text
from backfire.report.audit.changes import WORSE, change_lines, headline
from backfire.report.audit.topic_words import topic_sentences
from backfire.report.audit.words import (
    digest_part,
    known_sets_line,
    left_out_line,
    length_line,
    predictor_lines,
)

MOST_LINES = 25
MOST_EFFECTS = 3
MOST_STEPS = 3
MOST_ROWS = 5
MOST_CHANGES = 2
"""Changes since an earlier audit that are named, beside what has become worse, which is said as a failed check."""
LEVEL_STYLES: dict[Level, str] = {
    "strong": "bold red",
    "some": "bold yellow",
    "none found": "bold green",
    "unknown": "bold",
}


@dataclass(frozen=True)
class Passage:
    """A text that is wrapped to the terminal, and cut with an ellipsis where there is no room for it."""

    text: str
    enough: int = 1
    """Lines that it keeps as long as other passages have more than is enough for them."""
    fewest: int = 1
    """Lines that it keeps whatever the room; with none it may be left out."""
    style: str = ""
    mark: str = ""
    """What stands before it; its further lines are indented as far."""
    whole: bool = False
    """Whether every line is shown whatever the room, such as a command to copy."""

    def wrapped(self, console: Console, width: int) -> list[Text]:
        text = Text(printable(" ".join(self.text.split())), style=self.style)
        lines = list(text.wrap(console, max(10, width - len(self.mark)))) or [Text("")]
        for line in lines:
            line.rstrip()
        marks = [self.mark, *[" " * len(self.mark)] * (len(lines) - 1)]
        return [Text.assemble(mark, line) for mark, line in zip(marks, lines, strict=True)]


class BriefAnswer:
    """The passages of an answer, as many lines of each as fit into MOST_LINES together."""

    def __init__(self, report: AuditReport, then: Sequence[str] = ()) -> None:
        self.report, self.then = report, then

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        most_lines = MOST_LINES - sum(max(1, -(-cell_len(line) // width)) for line in self.then)
        wrapped, shown = _fitted(self.report, MOST_STEPS, most_lines, console, width)
        for steps in range(MOST_STEPS - 1, 0, -1):
            if sum(shown) > most_lines:
                wrapped, shown = _fitted(self.report, steps, most_lines, console, width)
        for lines, count in zip(wrapped, shown, strict=True):
            if not count:
                continue
            yield from lines[: count - 1]
            yield _with_ellipsis(lines[count - 1], width) if count < len(lines) else lines[count - 1]


def _fitted(
    report: AuditReport, steps: int, most_lines: int, console: Console, width: int
) -> tuple[list[list[Text]], list[int]]:
    """The lines of each passage of the answer with so many steps, and how many of them are shown."""
    passages = list(_passages(report, steps))
    wrapped = [passage.wrapped(console, width) for passage in passages]
    shown = [len(lines) for lines in wrapped]
    for floors in ([p.enough for p in passages], [p.fewest for p in passages]):
        while sum(shown) > most_lines:
            spare = [
                0 if passage.whole else count - floor
                for count, floor, passage in zip(shown, floors, passages, strict=True)
            ]
            if max(spare, default=0) <= 0:
                break
            shown[max(range(len(spare)), key=lambda place: (spare[place], place))] -= 1
    return wrapped, shown


def _with_ellipsis(line: Text, width: int) -> Text:
    short = line.copy()
    short.rstrip()
    short.truncate(max(1, width - 2))
    return short.append(" …")


def audit_brief(report: AuditReport | Mapping[str, Any], then: Sequence[str] = ()) -> BriefAnswer:
    """The answer in at most 25 lines at 80 columns and more, as a rich renderable; `audit_table` has every number.

    then: lines that are printed below it, such as the names of files; there are 25 together with them.

    Raises InputError when it breaks the schema.
    """
    return BriefAnswer(parse_audit(report), then)


def _passages(report: AuditReport, steps: int) -> Iterator[Passage]:
    conclusion = report.conclusion
    yield Passage(
        f"{report.dataset}: {count_of(report.pairs, 'pair')} from {count_of(report.rows, 'row')}, {report.format}",
        style="bold",
    )
    if left_out := left_out_line(report, MOST_ROWS):
        yield Passage(left_out, style="yellow")
    if report.reading:
        yield Passage(" ".join(report.reading), enough=2, fewest=0, style="dim")
    if report.failed:
        parts = listed([failed.part for failed in report.failed])
        yield Passage(f"Failed: {parts}. {report.failed[0].reason}", style="bold red")
    yield Passage("", fewest=0)
    level, _, _ = conclusion.verdict.partition(FIRST)
    yield Passage(
        level or (conclusion.reasons[0] if conclusion.reasons else ""),
        enough=3,
        fewest=2,
        style=LEVEL_STYLES[conclusion.level],
    )
    if compared := known_sets_line(report):
        yield Passage(compared, style="dim", fewest=0)
    if report.lengths:
        yield Passage(length_line(report.lengths[0], brief=True))
    yield from _of_policy(report)
    if report.topics is not None:
        for sentence in topic_sentences(report.topics, 1):
            yield Passage(sentence, enough=2, fewest=0)
    yield from _changes(report)
    yield from _effects(conclusion.effects)
    yield from _steps(conclusion.advice, steps)
    more = f"Every number: --full. A page with pictures: --html FILE{digest_part(report, '. Digest of the pairs: ')}."
    yield Passage(more, style="dim", fewest=0)


def _effects(effects: Sequence[Effect]) -> Iterator[Passage]:
    if effects:
        yield Passage("", fewest=0)
    for place, effect in enumerate(effects[:MOST_EFFECTS], 1):
        yield Passage(effect.what, enough=2, mark=f"{place}. ")
        if effect.rows:
            yield Passage(rows_of(effect), style="dim", mark="   ", fewest=0)
    smaller = [effect.name for effect in effects[MOST_EFFECTS:]]
    if smaller:
        cues = sum(name.startswith("cue:") for name in smaller)
        names = [name for name in smaller if not name.startswith("cue:")]
        names += [count_of(cues, "cue")] if cues else []
        yield Passage(f"Smaller: {listed(names)}", style="dim")


def _changes(report: AuditReport) -> Iterator[Passage]:
    """What has changed since an earlier audit, and is not worse."""
    if report.comparison is None:
        return
    yield Passage(headline(report.comparison), enough=2)
    lines = [line for line in change_lines(report.comparison) if not line.startswith(WORSE)]
    for line in lines[:MOST_CHANGES]:
        yield Passage(line, mark="   ", fewest=0)
    if len(lines) > MOST_CHANGES:
        yield Passage(f"{len(lines) - MOST_CHANGES} more: --full", mark="   ", fewest=0, style="dim")


def _steps(advice: Sequence[str], most: int) -> Iterator[Passage]:
    """The first steps; the sentence of each, and its command on a line of its own."""
    if not advice:
        return
    yield Passage("", fewest=0)
    left = len(advice) - most
    more = f" ({count_of(left, 'more step')}: --full)" if left > 0 else ""
    changing = sum(map(changes_data, advice))
    again = ", auditing again after each step" if changing > 1 else ""
    yield Passage(f"What to do{again}{more}", style="bold")
    for number, step in enumerate(advice[:most], 1):
        text, command = split_step(step)
        yield Passage(text, mark=f"{number}. ")
        if command is not None:
            yield Passage(command, mark="   ", whole=True)


def rows_of(effect: Effect) -> str:
    """`rows 3, 8, 21 and 12 more`; the last number is at least that where the answer lists the first 1,000."""
    count = len(effect.rows)
    if effect.pairs is not None:
        count = max(count, effect.pairs.hits)
    return f"row{'s' if count > 1 else ''} {shown_rows(effect.rows, MOST_ROWS, count)}"


def _of_policy(report: AuditReport) -> Iterator[Passage]:
    """What the policy's tokens do to the pairs, and what training is predicted to do to refusals; a pilot's numbers are never cut."""
    trained, influence = report.as_trained, report.safety_influence
    if trained is not None:
        happened = [f"{one.name} {one.pairs:,}" for one in trained.happened if one.pairs]
        text = ", ".join(happened) or "nothing is lost or added"
        yield Passage(f"As trained, of {trained.pairs:,} pairs: {text}")
    if influence is not None:
        if influence.pilot is not None:
            yield Passage(pilot_text(influence.pilot), whole=True)
        text = f"Predicted to move refusals by (cosine, above 0 is up): {influence_text(influence.refusal)}"
        if influence.predictors and influence.trained == 0:
            line = predictor_lines(influence)[0]
            text = f"{line[:1].upper()}{line[1:]}"
        yield Passage(text, fewest=1 if influence.pilot is None else 0)
