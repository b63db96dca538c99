"""What the topics of an audit come to, in sentences; and the order in which they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from backfire.answers.numerals import count_of, cut
from backfire.answers.topics import Topic, TopicCell, Topics

FEWEST_PAIRS = 5
"""Of fewer pairs of a topic and a source nothing is said in a sentence."""
MOST_SENTENCES = 3
NO_TOPIC = "no topic of their own"
MOST_SOURCE = 40


@dataclass(frozen=True)
class FromSource:
    """The pairs of one topic whose chosen responses one source wrote."""

    topic: Topic
    source: str | None
    pairs: int
    decided: int
    complying: int
    taught: int
    """Pairs whose chosen response complies while the rejected one refuses."""
    away: float | None
    """Part of the push away from refusing that comes from the pairs whose chosen response complies."""

    @property
    def weight(self) -> tuple[float, int]:
        return (self.away or 0.0, self.taught)


def topic_name(topic: Topic) -> str:
    """Its words, or what the prompts without a topic are called."""
    return ", ".join(topic.terms) if topic.terms else NO_TOPIC


def shown_first(topics: Topics) -> list[Topic]:
    """Those that most of the push away from refusing comes from first; where none was measured, those with the most pairs in
    which the chosen response complies and the rejected one refuses. Prompts without a topic come last."""
    return sorted(
        topics.topics,
        key=lambda topic: (
            not topic.number,
            -(topic.away or 0.0),
            -sum(cell.pairs for cell in topic.cells if _taught(cell)),
            topic.number,
        ),
    )


def topic_sentences(topics: Topics, most: int = MOST_SENTENCES) -> list[str]:
    """The largest of them, such as: chosen responses by people comply with 41% of 120 requests about X; this is 60% of the push."""
    every = [one for topic in topics.topics if topic.number for one in _by_source(topic)]
    largest = sorted(every, key=lambda one: one.weight, reverse=True)
    return [
        _sentence(one, topics.measure is not None)
        for one in largest
        if any(one.weight) and one.decided >= FEWEST_PAIRS
    ][:most]


def _taught(cell: TopicCell) -> bool:
    return cell.chosen == "complies" and cell.rejected == "refuses"


def _by_source(topic: Topic) -> list[FromSource]:
    groups = []
    for source in dict.fromkeys(cell.source for cell in topic.cells):
        cells = [cell for cell in topic.cells if cell.source == source]
        complying = [cell for cell in cells if cell.chosen == "complies"]
        known = [cell.away for cell in complying if cell.away is not None]
        groups.append(
            FromSource(
                topic,
                source,
                sum(cell.pairs for cell in cells),
                sum(cell.pairs for cell in cells if cell.chosen != "undecided"),
                sum(cell.pairs for cell in complying),
                sum(cell.pairs for cell in cells if _taught(cell)),
                min(1.0, sum(known)) if known else None,
            )
        )
    return groups


def _sentence(one: FromSource, measured: bool) -> str:
    who = "" if one.source is None else f" by {cut(one.source, MOST_SOURCE)[0]}"
    share = f"{100 * one.complying / one.decided:.0f}%"
    about = f"Chosen responses{who} comply with {share} of {count_of(one.decided, 'request')} about “{topic_name(one.topic)}”"
    if measured and one.away is not None:
        return f"{about}; this is {100 * one.away:.0f}% of the push away from refusing."
    return f"{about}; in {one.taught:,} of these the rejected response refuses."


def about_topics(topics: Topics) -> str:
    """How the topics were found, and what the push is."""
    how = "the words of prompts" if topics.by == "words" else f"the vectors of {topics.by}"
    text = f"{count_of(sum(1 for one in topics.topics if one.number), 'topic')} by {how}, found on {topics.prompts:,} prompts"
    if topics.measure is not None:
        text += f"; push: sum of {topics.measure} over {count_of(topics.read, 'pair')}"
    return text
