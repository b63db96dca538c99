"""How often something occurs, in words, and whether it differs by side."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.confounds import Counted
from backfire.answers.estimates import Share
from backfire.answers.numerals import count_of

ALPHA = 0.05
MANY = 0.01
"""Share of pairs from which repeats, evaluation items and debris on both sides alike are worth a sentence."""


def uneven(counted: Counted, tests: int = 1) -> bool:
    """Whether it differs by side, beyond swaps; Bonferroni over `tests`, as far as the swaps can tell."""
    return (
        counted.p is not None
        and counted.p <= max(ALPHA / max(tests, 1), 0.005)
        and counted.chosen.hits != counted.rejected.hits
    )


def worth_telling(counted: Counted, tests: int) -> bool:
    """Whether debris differs by side or is frequent on either."""
    return uneven(counted, tests) or max(counted.chosen.rate or 0, counted.rejected.rate or 0) >= MANY


def sides(counted: Counted) -> str:
    return f"{rate(counted.chosen)} of chosen and {rate(counted.rejected)} of rejected responses"


def rate(share: Share) -> str:
    return "none" if share.rate is None else f"{share.rate:.1%}"


def pairs_text(count: int) -> str:
    return count_of(count, "pair")


def differing(counted: Counted) -> str:
    """Whether the sides differ, with p."""
    if counted.p is None:
        return "no p"
    return f"{'the sides differ' if counted.p <= ALPHA else 'the sides do not differ'}, p = {counted.p:.3f}"


def rate_and_interval(share: Share) -> str:
    return f"{rate(share)} [{share.low or 0:.1%}, {share.high or 0:.1%}]"


def commonest(counts: Sequence[Counted], most: int = 2) -> str:
    """The kinds that occur most often, with their counts by side, and how many more kinds there are."""
    ordered = sorted(counts, key=lambda one: -(one.chosen.hits + one.rejected.hits))
    shown = ", ".join(
        f"{one.what} ({one.chosen.hits:,} chosen, {one.rejected.hits:,} rejected)" for one in ordered[:most]
    )
    return f"{shown} and {len(ordered) - most} more kinds" if len(ordered) > most else shown
