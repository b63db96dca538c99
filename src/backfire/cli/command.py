"""What a command is: a settings class whose fields are its arguments and options, and that runs."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from backfire.settings import Metavar, Names, Settings


class Command(Settings):
    """A command's class docstring is its help, and each field's docstring that of an option.

    The settings of what the command calls are a field of it: they are flattened into options, with their groups.
    """

    @abstractmethod
    def run(self) -> int | None:
        """Do it, and return an exit code other than 0 if there is one to return."""


def writable(path: Path) -> Path:
    """The path of a file to be written, checked before long work; ValueError says why it could not be written."""
    import os

    if path.is_dir():
        raise ValueError("this is a folder: name a file in it")
    folder = next(parent for parent in path.resolve().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ValueError(f"nothing can be written in {folder}: name a file elsewhere")
    return path


OutputFile = Annotated[Path, AfterValidator(writable), Metavar("FILE")]
"""A file that the command writes."""
LedgerFile = Annotated[Path, Metavar("FILE")]
"""The path of a ledger, which is made where there is none."""
OutputFolder = Annotated[Path, Metavar("FOLDER")]
"""A folder that the command writes."""
JsonFile = Annotated[OutputFile | None, Names("--json")]
"""The field is called `json_file`, since `json` is a name of pydantic's."""
