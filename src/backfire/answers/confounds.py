"""What an audit finds beside the label's cues: traces of how responses were made, repeats, evaluation items; parts of its schema."""

from __future__ import annotations

from backfire.answers.estimates import Count, Part, Share, Unit


class Counted(Part):
    """How often something occurs on either side, with the first rows."""

    what: str
    chosen: Share
    rejected: Share
    p: Unit | None = None
    """Two-sided, of a difference between the sides, by swaps within pairs."""
    rows: tuple[int, ...] = ()


class InPrompts(Part):
    """Pairs whose prompt holds something that it should not."""

    what: str
    pairs: Share
    rows: tuple[int, ...] = ()


class Hit(Part):
    """A prompt that matched an item of an evaluation set."""

    row: Count
    """The pair's row, from 1."""
    item: Count | None = None
    """The item's number in the evaluation set, from 1, where it is known."""
    span: str
    """The part of the prompt that matched, as it stands in the data."""


class EvaluationSet(Part):
    """Pairs whose prompt is an item of a named evaluation set."""

    name: str
    items: Count
    origin: str
    pairs: Share
    rows: tuple[int, ...] = ()
    hits: tuple[Hit, ...] = ()
    """What matched, the first 1,000."""


class Repeats(Part):
    """Pairs that repeat others."""

    what: str
    pairs: Share
    rows: tuple[int, ...] = ()


class Overlap(Part):
    """Pairs whose prompt also stands in another set, such as the test split."""

    other: str
    exact: Share
    near: Share
    rows: tuple[int, ...] = ()


class ScoreContradiction(Part):
    """A score of either side that contradicts the label: the rejected response has the higher one."""

    columns: tuple[str, str]
    """The two columns, of the chosen and of the rejected response."""
    pairs: Share
    """Of the pairs whose two scores differ; pairs that lack a score, or whose scores are equal, are unscored."""
    rows: tuple[int, ...] = ()


class Confounds(Part):
    truncated: Counted | None = None
    """Stopped by the token limit, where stop reasons are recorded."""
    cut_ends: Counted | None = None
    """Responses that end in the middle of a sentence, by their text."""
    echoed: Counted | None = None
    """Responses that repeat their prompt."""
    stop_reasons: tuple[Counted, ...] = ()
    decoding_differs: Share | None = None
    decoding_example: tuple[str, str] | None = None
    """The commonest differing pair of decodings, chosen then rejected, as JSON."""
    thoughts: Counted | None = None
    """Responses that think before they answer, such as between <think> and </think>, where any does."""
    debris: tuple[Counted, ...] = ()
    """Template and special-token remains that occur."""
    prompt_debris: tuple[InPrompts, ...] = ()
    """Marks of chat templates that occur in prompts: where nearly all prompts had them, they were read as turns instead."""
    repeats: tuple[Repeats, ...] = ()
    """exact duplicates, near duplicates, contradictions, repeated prompts, near-duplicate prompts."""
    evaluation_sets: tuple[EvaluationSet, ...] = ()
    """Those that occur; `evaluation_sets_checked` names all that were looked for."""
    evaluation_sets_checked: tuple[str, ...] = ()
    overlap: Overlap | None = None
    personal: tuple[Counted, ...] = ()
    """Kinds of personal data that occur in responses, such as e-mail addresses; counts and rows, never the data."""
    score_contradiction: ScoreContradiction | None = None
    """Where scores of both sides are recorded."""
