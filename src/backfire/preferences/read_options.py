"""How a data set is to be read: the options that everything takes which reads preference data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class ReadOptions(TypedDict, total=False):
    """As `open_preferences` takes them; what is left out, or None, is found by itself."""

    config: str | None
    """Of a hub data set."""
    split: str | None
    """Of a hub data set, a folder or a JSON file with splits."""
    revision: str | None
    """Of a hub data set."""
    encoding: str | None
    """Of a text file that is not UTF-8, such as cp1252."""
    columns: Mapping[str, str] | None
    """Role to column, such as {"prompt": "question"}, where names are unusual."""
    source_columns: tuple[str, str] | None
    """The columns that say who wrote chosen and rejected."""
    plain: bool
    """Take plain text as it is, without the policy's chat template. Data made of turns are refused."""
    ranked: str
    """Which pairs a list of ranked responses gives: best-worst, or best-rest, the best against each that is worse."""
