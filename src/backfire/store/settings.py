"""How a file of prompts is read, as settings that every command shares which reads one."""

from __future__ import annotations

from typing import Annotated

from backfire.settings import Metavar, Settings


class PromptReading(Settings):
    """How prompts are read from a file or a data set."""

    column: Annotated[str | None, Metavar("NAME")] = None
    """The column that holds the prompts, where it has no usual name."""
    split: Annotated[str | None, Metavar("NAME")] = None
    """The split to read, of a file, a folder or a hub data set of prompts that has several."""
    encoding: Annotated[str | None, Metavar("NAME")] = None
    """The encoding of a text file that is not UTF-8, such as cp1252."""
