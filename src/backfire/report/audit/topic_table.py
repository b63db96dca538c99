"""The topics of an audit on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from backfire.answers.audit import AuditReport
from backfire.answers.estimates import Share
from backfire.answers.numerals import UNDEFINED, percent, printable, shown_rows
from backfire.answers.topics import Topic
from backfire.report.audit.known_sets import numbers_table, shown_number
from backfire.report.audit.topic_words import about_topics, shown_first, topic_name, topic_sentences

MOST_TOPICS = 8
MOST_ROWS = 3


def topic_parts(report: AuditReport) -> Iterator[RenderableType]:
    """A title, a line for each of the first topics, and what they come to."""
    topics = report.topics
    if topics is None:
        return
    title = "What the prompts ask about"
    if topics.reason is not None:
        yield Text.assemble((title, "bold"), (f"  no topics: {topics.reason}", "dim"))
        return
    yield Text.assemble((title, "bold"), (f"  {about_topics(topics)}", "dim"))
    shown = [topic for topic in shown_first(topics) if topic.number]
    push = ("of the push\naway, %",) if topics.measure is not None else ()
    table = numbers_table("topic", "pairs", "chosen\ncomply, %", "rejected\ncomply, %", *push, "first rows")
    others = [topic for topic in topics.topics if not topic.number]
    for topic in [*shown[:MOST_TOPICS], *others]:
        away = (_number(topic.away),) if push else ()
        table.add_row(
            Text(printable(topic_name(topic))),
            Text(f"{topic.pairs:,}"),
            _number(topic.chosen_complies),
            _number(topic.rejected_complies),
            *away,
            Text(_rows(topic)),
        )
    yield table
    if len(shown) > MOST_TOPICS:
        yield Text(f"{len(shown) - MOST_TOPICS} more topics stand on the page and in the JSON", style="dim")
    for sentence in topic_sentences(topics):
        yield Text(f"- {printable(sentence)}")


def _number(value: Share | float | None) -> Text:
    if isinstance(value, Share):
        return shown_number(percent(value.rate), "" if value.scored else UNDEFINED)
    return shown_number(percent(value))


def _rows(topic: Topic) -> str:
    first = topic.cells[0] if topic.cells else None
    return "" if first is None else shown_rows(first.rows[:MOST_ROWS], MOST_ROWS)
