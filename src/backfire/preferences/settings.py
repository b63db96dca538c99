"""How a preference data set is read: the settings that everything shares which reads one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import field_validator

from backfire.settings import Commas, Metavar, Settings, option

if TYPE_CHECKING:
    from backfire.preferences.read_options import ReadOptions

TWO_COLUMNS = "name two columns, such as chosen_by,rejected_by"


def roles_of(value: Any) -> Any:
    """`prompt=question,chosen=best` as a dictionary; what is no text stays as it is."""
    if not isinstance(value, str):
        return value
    parts = [part.strip().partition("=") for part in value.split(",")]
    if not all(role and equals and column for role, equals, column in parts):
        raise ValueError("give each as ROLE=NAME, with commas between, such as prompt=question,chosen=best")
    return {role: column for role, _, column in parts}


class Reading(Settings):
    """How the data set is read. What is not given is found by itself."""

    group = "Reading the data"

    columns: Annotated[dict[str, str] | None, Commas(), Metavar("ROLE=NAME,...")] = None
    """Which column holds what, where that is not seen by itself, such as prompt=question,chosen=best,rejected=worst."""
    source_columns: Annotated[tuple[str, str] | None, Commas(), Metavar("CHOSEN,REJECTED")] = None
    """The two columns that say who wrote each side, where they have no usual name such as chosen_model."""
    config: Annotated[str | None, Metavar("NAME")] = None
    """The configuration of a hub data set."""
    split: Annotated[str | None, Metavar("NAME")] = None
    """The split to read of a hub data set, of a folder or of a JSON file that has several."""
    revision: Annotated[str | None, Metavar("COMMIT")] = None
    """The revision of a hub data set."""
    encoding: Annotated[str | None, Metavar("NAME")] = None
    """The encoding of a text file that is not UTF-8, such as cp1252. UTF-16 is seen by itself."""
    ranked: Annotated[Literal["best-worst", "best-rest"], Metavar("best-worst|best-rest")] = "best-worst"
    """Which pairs a list of ranked responses gives: the best against the worst, or the best against each that is worse."""
    plain: bool = False
    """Take plain text as it is, as raw text without the policy's chat template. Data made of turns are then refused."""

    _roles = field_validator("columns", mode="before")(roles_of)

    @field_validator("source_columns", mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if value is None or isinstance(value, Mapping):
            return value
        names = value.split(",") if isinstance(value, str) else list(value)
        names = [name.strip() if isinstance(name, str) else name for name in names]
        if len(names) != 2 or not all(names):
            raise ValueError(TWO_COLUMNS)
        return tuple(names)

    @field_validator("ranked", mode="before")
    @classmethod
    def _usual(cls, value: Any) -> Any:
        return "best-worst" if value is None else value

    def options(self) -> ReadOptions:
        """The same as keywords of `open_preferences`."""
        return {
            "config": self.config,
            "split": self.split,
            "revision": self.revision,
            "encoding": self.encoding,
            "columns": self.columns,
            "source_columns": self.source_columns,
            "ranked": self.ranked,
            "plain": self.plain,
        }


COLUMNS, RANKED = option(Reading, "columns"), option(Reading, "ranked")
"""The options that notes and errors about a data set name."""


class ConvertSettings(Settings):
    """How preference data are written in the one form that trainers take."""

    reading: Reading = Reading()
    """How the data set is read."""
