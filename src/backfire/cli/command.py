"""What a command is: a settings class whose fields are its arguments and options, and that runs."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, model_validator

from backfire.settings import Metavar, Names, Settings
from backfire.settings.fields import inputs_of
from backfire.settings.marks import marks_of


class Command(Settings):
    """A command's class docstring is its help, and each field's docstring that of an option.

    The settings of what the command calls are a field of it: they are flattened into options, with their groups.
    """

    replacing: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    """Names of an output and an input that may be one file: the input is read before, and the output takes its place."""

    @model_validator(mode="after")
    def _no_output_is_an_input(self) -> Command:
        inputs = {
            Path(one.value).resolve(): one.name
            for one in inputs_of(self)
            if isinstance(one.value, (str, Path)) and Path(one.value).is_file()
        }
        for name, field in type(self).model_fields.items():
            path = getattr(self, name)
            written = any(
                isinstance(mark, AfterValidator) and mark.func is writable
                for mark in marks_of(field.annotation, field.metadata)
            )
            if not written or not isinstance(path, Path):
                continue
            source = inputs.get(path.resolve())
            if source is not None and (name, source) not in self.replacing:
                raise ValueError(
                    f"{{{name}}} {path} would be written over what {{{source}}} names: give another file"
                )
        return self

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
