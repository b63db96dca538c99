"""Every finding of this package: a new one is its module and a line here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backfire.answers.confounds import Confounds
from backfire.answers.numerals import listed
from backfire.auditing.affected import Affected
from backfire.auditing.faults.annotators import SPLIT_VOTES
from backfire.auditing.faults.contamination import CONTAMINATION
from backfire.auditing.faults.contradicting_scores import CONTRADICTING_SCORES
from backfire.auditing.faults.debris import DEBRIS
from backfire.auditing.faults.decoding import DECODING
from backfire.auditing.faults.echo import ECHO
from backfire.auditing.faults.finding import Cleaned, Condition, Finding, Looking, Tally
from backfire.auditing.faults.left_out import LEFT_OUT
from backfire.auditing.faults.other_language import OTHER_LANGUAGE
from backfire.auditing.faults.overlap import OVERLAP
from backfire.auditing.faults.personal_data import PERSONAL_DATA
from backfire.auditing.faults.repeats import REPEATS
from backfire.auditing.faults.swapped_columns import SWAPPED_COLUMNS
from backfire.auditing.faults.thoughts import THOUGHTS
from backfire.auditing.faults.ties import TIES
from backfire.auditing.faults.truncation import TRUNCATION

FINDINGS: list[Finding] = [
    SWAPPED_COLUMNS,
    CONTRADICTING_SCORES,
    SPLIT_VOTES,
    REPEATS,
    DEBRIS,
    TRUNCATION,
    ECHO,
    THOUGHTS,
    OTHER_LANGUAGE,
    PERSONAL_DATA,
    DECODING,
    CONTAMINATION,
    OVERLAP,
    LEFT_OUT,
    TIES,
]
"""In the order in which the conclusion, the terminal and the page name them."""


def looked_for(looking: Looking) -> tuple[Confounds, list[Affected]]:
    """What every finding counts, and its rows, where it has any."""
    parts: dict[str, object] = {}
    others: dict[str, object] = {}
    affected: list[Affected] = []
    for finding in FINDINGS:
        occurrences = finding.look(looking)
        parts |= {name: part for name, part in occurrences.parts.items() if name != "others"}
        others |= occurrences.parts.get("others", {})
        affected += [one for one in occurrences.affected if len(one.rows)]
    return Confounds.model_validate({**parts, "others": others or None}), affected


def finding_named(name: str) -> Finding | None:
    """The finding with an effect of this name."""
    return next((finding for finding in FINDINGS if name in finding.names), None)


def tallies(confounds: Confounds) -> Iterator[Tally]:
    """The rows of every finding's tables."""
    for finding in FINDINGS:
        yield from finding.tallies(confounds)


def sentences(confounds: Confounds) -> Iterator[str]:
    """What the conclusion says of every finding."""
    for finding in FINDINGS:
        yield from finding.sentences(confounds)


def conditions() -> Iterable[Condition]:
    """The conditions of `--fail-on` that are of findings."""
    return [condition for finding in FINDINGS for condition in finding.conditions]


def cleaned() -> dict[str, Cleaned]:
    """What `repair --method clean` can take out of a data set's pairs, by name."""
    return {
        name: how
        for finding in FINDINGS
        for name, how in finding.cleaned.items()
        if how.rows is not None or how.others is not None
    }


def cleaned_names() -> tuple[str, ...]:
    """The names of these."""
    return tuple(cleaned())


def usually_cleaned() -> tuple[str, ...]:
    """Those that `clean` takes out where nothing else is said."""
    return tuple(name for name, how in cleaned().items() if how.usual)


def cleaned_in_words() -> str:
    """These with what becomes of their pairs, as the help of `repair` lists them."""
    every = [f"{name} ({how.help})" if how.help else name for name, how in cleaned().items()]
    unusual = [name for name, how in cleaned().items() if not how.usual]
    but = f"all of them but {listed(unusual)}" if unusual else "all of them"
    return f"{', '.join(every)}. Where it is not given, {but}"
