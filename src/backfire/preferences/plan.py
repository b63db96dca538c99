"""How every row of a data set is read: its form, and which of its columns say what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from backfire.preferences.schema import Format
from backfire.tables.columns import KindColumn

_PARTS = {
    "prompt": ("prompt", "system", "input", "history"),
    "chosen": ("chosen", "first", "second", "responses", "conversation", "completion", "record"),
    "rejected": ("rejected", "first", "second", "responses", "completion", "record"),
    "preference": ("preference", "other_preference", "label", "score", "scores", "status", "vote_status"),
    "source": ("chosen_source", "rejected_source", "first_source", "second_source", "source"),
    "stop_reason": ("chosen_stop", "rejected_stop"),
    "decoding": ("chosen_decoding", "rejected_decoding"),
    "scores": ("chosen_score", "rejected_score"),
    "votes": ("votes_tied", *(f"votes_{place}" for place in range(1, 21))),
    "kind": ("kind",),
    "tags": ("tags",),
    "tools": ("tools", "template_options"),
}
_TEXTS = ("prompt", "chosen", "rejected", "preference", "tools")


@dataclass(frozen=True)
class Recognised:
    """What recognises a form gives: the form, and the column of each of its parts."""

    format: Format
    names: Mapping[str, str]
    rule: str = ""
    """How the form's preference is read, where it has several ways."""
    notes: tuple[str, ...] = ()
    """Sentences on what was chosen where there was a choice."""
    wrapped: Mapping[str, str] = field(default_factory=dict)
    """Column to the wrapper that its texts are written in."""
    inner: Mapping[str, str] = field(default_factory=dict)
    """Part to key, for forms whose parts stand inside of objects."""


@dataclass(frozen=True)
class Plan:
    """How to read every row."""

    format: Format
    names: Mapping[str, str]
    """Part (such as prompt, chosen, chosen_source, system) to column; a part that no column holds is absent."""
    shapes: Mapping[str, str]
    """Column to what its first rows mostly hold, as `look.shape_of` names it."""
    rule: str = ""
    wrapped: Mapping[str, str] = field(default_factory=dict)
    inner: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, str] = field(default_factory=dict)
    """Column of responses to the wrapper of their prompts, whose marks end them."""
    spelled: frozenset[str] = frozenset()
    """Columns whose text is messages or lists, in JSON or in Python's spelling."""
    media: tuple[str, ...] = ()
    """Columns that hold images, videos or sounds."""
    marks: bool = False
    """Whether texts hold marks of such, like <image>."""
    ranked: str = "best-worst"
    plain: bool = False
    notes: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    """Columns that would be part of the prompt, and that the first rows lack."""
    watched: tuple[str, ...] = ()
    """`late`, and others that the first rows lack, in which a row may hold something all the same."""
    empty: tuple[str, ...] = ()
    """Columns that may be read, and that are null in all first rows."""
    known: frozenset[str] = frozenset()
    """Columns that are read, or that hold something in the first rows: others are news."""
    vote_rule: str = ""
    """How columns of several people's votes are read; empty where there are none."""
    kind: KindColumn | None = None
    """The column `names["kind"]`, and which words it may hold."""

    @cached_property
    def provenance(self) -> bool:
        """Whether any column speaks of more than the texts."""
        return not self.columns.keys() <= set(_TEXTS)

    @cached_property
    def exact(self) -> bool:
        """Whether rows are to be read one by one: their texts have to be taken apart, or images counted."""
        only_transcripts = self.format == "Anthropic HH transcripts" and "prompt" not in self.names
        return bool(
            self.vote_rule
            or self.spelled
            or self.media
            or self.marks
            or (self.wrapped and not only_transcripts)
        )

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that were read, by what they speak of: the names of _PARTS."""
        by_role = {
            what: tuple(dict.fromkeys(self.names[p] for p in parts if p in self.names))
            for what, parts in _PARTS.items()
        }
        return {what: names for what, names in by_role.items() if names}

    def wrapper(self, part: str) -> str | None:
        """The wrapper that the texts of a part are written in."""
        return self.wrapped.get(self.names.get(part, ""))
