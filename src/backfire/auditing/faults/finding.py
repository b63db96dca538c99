"""What a finding is: how it is looked for, its effect, its sentences, its rows in tables, and its conditions, in one value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds, Counted, InPrompts
from backfire.answers.estimates import Share
from backfire.answers.phrases import at_rows, share_text
from backfire.auditing.affected import Affected, Flags
from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.evidence import Evidence
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.counting import counted
from backfire.auditing.probes.folds import Split
from backfire.preferences import Preferences

NOT_LOOKED_AT = "the texts were not looked at for this: audit the data again"
MOST_ROWS = 5
"""Row numbers in the line of a condition."""


@dataclass(frozen=True)
class AuditedTexts:
    """The pairs in which a fault is looked for, by an audit and by `repair --method clean`."""

    audited: AuditedPairs
    """What the one pass over the texts left in memory."""
    blocks: Callable[[], Iterable[pa.RecordBatch]]
    """Reads the texts of the audited pairs anew."""


@dataclass(frozen=True)
class Looking(AuditedTexts):
    """What an audit looks for findings in."""

    split: Split
    """The groups of prompts whose sides are swapped as a control."""
    data: Preferences
    """What was read, with the columns that it has and the rows that give no pair."""
    other: Preferences | None = None
    """The second data set, whose prompts should not be in the first."""

    def counted(self, what: str, hits: Flags, stated: Flags | None = None) -> Counted:
        """How often either side is hit, with p of the difference.

        hits: [pairs, 2], in the order of the audited pairs. stated: of which sides it is known; of all, where not given.
        """
        known = np.ones(hits.shape, dtype=bool) if stated is None else stated
        return counted(what, hits, known, self.audited, self.split)


@dataclass(frozen=True)
class Occurrences:
    """What a finding counted, and in which rows."""

    parts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Confounds` by name. A finding that has no field of its own gives `others`: its name with what it counted."""
    affected: Sequence[Affected] = ()
    """Every row, by the finding's names."""


@dataclass(frozen=True)
class Tally:
    """How often something occurs, as the terminal, the page and a comparison of two audits show it."""

    what: str
    """In words, such as `repeats its prompt`."""
    kind: str = ""
    """What it is one of, such as `debris`; stands before it."""
    sides: tuple[Share, Share] | None = None
    """Of chosen and of rejected responses."""
    pairs: Share | None = None
    """Of pairs, where it is not counted by side."""
    p: float | None = None
    rows: tuple[int, ...] = ()
    """The first of them."""
    count: int | None = None
    """How many rows there are; None where `rows` has all that are known."""
    beside: tuple[str, ...] = ()
    """What the page says beside it."""
    after: str = ""
    """What the terminal says after it."""
    compared: str | None = None
    """The stable name by which two audits are compared; None where it is no better or worse for being rarer."""

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.what}" if self.kind else self.what

    @property
    def shares(self) -> Sequence[tuple[str, Share]]:
        """Each share with what it is a share of: `chosen` and `rejected`, or nothing where it is of pairs."""
        if self.sides is not None:
            return [("chosen", self.sides[0]), ("rejected", self.sides[1])]
        return [] if self.pairs is None else [("", self.pairs)]

    @property
    def occurs(self) -> bool:
        return any(share.hits for _, share in self.shares)


@dataclass(frozen=True)
class Condition:
    """A condition of `--fail-on`."""

    name: str
    """Such as `echo`; `echo>X` where it has a bound."""
    meaning: str
    check: Callable[[AuditReport, float], tuple[bool | None, str]]
    """Whether it holds in an answer (None: this could not be looked at), and the number. The bound is 0 where there is none."""


def _nothing(_: Any) -> Iterable[Any]:
    return ()


def _no_step(_effect: Effected, _confounds: Confounds) -> Step | None:
    return None


def _always(_effect: Effect, _confounds: Confounds) -> bool:
    return True


@dataclass(frozen=True)
class Cleaned:
    """That `repair --method clean` takes the pairs of an effect out, and which pairs these are: `rows` or `others` says it."""

    which: str
    """Of which pairs the advice says so, such as `with remains of templates`."""
    which_now: Callable[[Confounds], str | None] = lambda _: None
    """The same where it depends on what was found; None where `which` holds."""
    counts: Callable[[int], str] | None = None
    """What the advice says of so many, where the effect does not count pairs."""
    better: str = ""
    """What would be better than to take the pairs out."""
    rows: Callable[[AuditedTexts], Affected] | None = None
    """Every row with a fault of its own."""
    others: Callable[[AuditedPairs], Ints | None] | None = None
    """For each pair the index of the pair that it repeats or contradicts, -1 where there is none; None where that was not
    looked for, since the set is large."""
    why: str = ""
    """Why a pair goes that repeats or contradicts another."""
    both: bool = False
    """Whether both of the two go, and not the later one alone."""
    again: bool = False
    """Whether it is looked for again when pairs are gone, since what is found depends on the others."""
    trims: bool = False
    """Whether white space is taken off the ends of responses first, so that a pair without another fault stays."""
    usual: bool = True
    """Whether `clean` takes it out where nothing else is said."""
    help: str = ""
    """What the help says behind its name."""


@dataclass(frozen=True)
class Finding:
    """One finding. `registry.FINDINGS` lists them all; everything that the audit says of findings is made of that list."""

    names: tuple[str, ...]
    """Its stable names: those of its effects, and of its rows in the file of `--rows`."""
    look: Callable[[Looking], Occurrences]
    effects: Callable[[Evidence], Iterable[Effected]]
    tallies: Callable[[Confounds], Iterable[Tally]] = _nothing
    """Its rows of the terminal's and the page's tables, also where nothing was counted."""
    sentences: Callable[[Confounds], Iterable[str]] = _nothing
    """What the conclusion says of it."""
    step: Callable[[Effected, Confounds], Step | None] = _no_step
    """What to do about its effect, where `repair --method clean` does not do it."""
    cleaned: Mapping[str, Cleaned] = field(default_factory=dict)
    """By name, the effects whose pairs `repair --method clean` takes out."""
    worth_cleaning: Callable[[Effect, Confounds], bool] = _always
    """Whether its effect, which `clean` takes out, is worth a step of the advice."""
    conditions: tuple[Condition, ...] = ()
    listed_where_it_occurs: bool = False
    """Whether every audit looks for it and lists it only where it occurs, so that an audit without it has none."""


def of_side(one: Counted, *, kind: str = "", what: str | None = None, compared: str | None = None) -> Tally:
    """A count by side as a row of a table."""
    return Tally(
        what or one.what, kind, sides=(one.chosen, one.rejected), p=one.p, rows=one.rows, compared=compared
    )


def of_prompts(one: InPrompts, *, kind: str, compared: str | None = None) -> Tally:
    """A count over prompts as a row of a table."""
    return Tally(one.what, kind, pairs=one.pairs, rows=one.rows, count=one.pairs.hits, compared=compared)


def by_side(one: Counted) -> Iterator[tuple[str, Share, Sequence[int]]]:
    """The two shares with their names, as `occurring` takes them."""
    yield f"{one.what}, chosen", one.chosen, one.rows
    yield f"{one.what}, rejected", one.rejected, one.rows


def occurring(counts: Iterable[tuple[str, Share, Sequence[int]]]) -> tuple[bool, str]:
    """Whether any of the counts is above 0, and those that are, with their first rows: the answer of a condition."""
    there = [(name, share, rows) for name, share, rows in counts if share.hits]
    lines = [f"{name}: {share_text(share)}{at_rows(rows)}" for name, share, rows in there]
    return bool(there), "; ".join(lines) or "none"
