"""What an audit finds beside the label's cues: traces of how responses were made, repeats, evaluation items; parts of its schema."""

from __future__ import annotations

from typing import Literal

from backfire.answers.estimates import Count, Estimate, Part, Share, Unit


class Counted(Part):
    """How often something occurs on either side, with the first rows."""

    what: str
    chosen: Share
    rejected: Share
    p: Unit | None = None
    """Two-sided, of a difference between the sides, by swaps within pairs."""
    rows: tuple[int, ...] = ()


NATURAL_CUT_ENDS = 0.02
"""Of complete answers of six models to AlpacaEval's prompts, .1% end as cut ones do: from this share on, texts were cut."""


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
    other_rows: tuple[int, ...] = ()
    """The first row of the other set with that prompt, beside each of `rows`."""


class ScoreContradiction(Part):
    """A score of either side that contradicts the label: the rejected response has the higher one."""

    columns: tuple[str, str]
    """The two columns, of the chosen and of the rejected response."""
    pairs: Share
    """Of the pairs whose two scores differ; pairs that lack a score, or whose scores are equal, are unscored."""
    rows: tuple[int, ...] = ()


class Annotators(Part):
    """What several people said of the same pair, where columns hold their votes."""

    columns: tuple[str, ...]
    """The columns of the votes."""
    agreement: Estimate | None = None
    """How often two votes on the same pair say the same, by the pair and then averaged (Fleiss 1971, the observed agreement), over
    the pairs with two votes or more; votes for neither response count as a third answer. Prompt groups are independent.
    Absent where no pair has two votes."""
    split: Share
    """Pairs of which a third or more of the votes are not for the chosen response, of those with two votes or more; the others
    are unscored."""
    votes: Count
    """Of all pairs."""
    rows: tuple[int, ...] = ()
    """The first rows of the split pairs."""


class SwappedColumns(Part):
    """Pairs whose chosen response complies and whose rejected one refuses, far more than the other way round."""

    prompts: Literal["harmful", "all"]
    """harmful: of the prompts marked so; all where no prompt's kind is stated."""
    complying: Share
    """Chosen complies and rejected refuses, of the pairs on which both sides decide."""
    refusing: Share
    """The other way round."""
    p: Unit
    """Two-sided, exact sign test; each group of prompts votes once."""
    rows: tuple[int, ...] = ()


def are_cut(cut_ends: Counted, highest_p: float) -> bool:
    """Whether texts were cut: more often on one side, or on either side more often than complete answers look so."""
    natural = max(cut_ends.chosen.low or 0.0, cut_ends.rejected.low or 0.0) <= NATURAL_CUT_ENDS
    uneven = (
        cut_ends.p is not None and cut_ends.p <= highest_p and cut_ends.chosen.hits != cut_ends.rejected.hits
    )
    return uneven or not natural


class Confounds(Part):
    truncated: Counted | None = None
    """Stopped by the token limit, where stop reasons are recorded."""
    cut_ends: Counted | None = None
    """Responses that end in the middle, by their text: in a sentence, a list or a code block."""
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
    prompt_personal: tuple[InPrompts, ...] = ()
    """The same in prompts."""
    score_contradiction: ScoreContradiction | None = None
    """Where scores of both sides are recorded."""
    annotators: Annotators | None = None
    """Where several people's votes are recorded."""
    swapped_columns: SwappedColumns | None = None
    """Where it is so."""
    others: dict[str, tuple[Counted | InPrompts, ...]] | None = None
    """What findings that have no field of their own counted, by the finding's name, where it occurs."""

    def other(self, finding: str) -> Counted | None:
        """What a finding that has no field of its own counted by side."""
        return next((one for one in (self.others or {}).get(finding, ()) if isinstance(one, Counted)), None)
