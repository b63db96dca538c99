"""What a command is: a settings class whose fields are its arguments and options, and that runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, model_validator

from backfire.settings import Metavar, Names, Settings, inputs_of
from backfire.settings.marks import mark_of


@dataclass(frozen=True)
class Written:
    """A mark: the command writes what the field names."""

    whole: bool = False
    """A folder that is written anew, in place of what an earlier run wrote there."""


class Command(Settings):
    """A command's class docstring is its help, and each field's docstring that of an option.

    The settings of what the command calls are a field of it: they are flattened into options, with their groups.
    """

    replacing: ClassVar[Mapping[str, str]] = {}
    """By an output's name, the input whose place it may take: that is read before."""

    @model_validator(mode="after")
    def _a_path_each(self) -> Command:
        """No output is written over an input, nor over another output, nor in place of a folder that holds an input."""
        names = {
            Path(one.value).resolve(): one.name
            for one in inputs_of(self)
            if isinstance(one.value, (str, Path)) and Path(one.value).exists()
        }
        inputs = dict(names)
        for name, path, written in self._outputs():
            other = names.setdefault(path.resolve(), name)
            if other not in (name, self.replacing.get(name)):
                what = "folder" if path.is_dir() else "file"
                raise ValueError(
                    f"{{{other}}} and {{{name}}} both name {path}: each needs a {what} of its own"
                )
            if written.whole:
                inside = next(
                    (one for source, one in inputs.items() if path.resolve() in source.parents), None
                )
                if inside is not None:
                    raise ValueError(f"{{{name}}} {path} holds what {{{inside}}} names: name another folder")
        return self

    def replaced(self) -> list[Path]:
        """The folders that this command writes whole, and in which something stands."""
        return [
            path
            for _, path, written in self._outputs()
            if written.whole and path.is_dir() and any(path.iterdir())
        ]

    def _outputs(self) -> list[tuple[str, Path, Written]]:
        """The fields that name what is written, each with its path."""
        outputs = []
        for name, field in type(self).model_fields.items():
            path, written = getattr(self, name), mark_of(Written, field.annotation, field.metadata)
            if path is not None and path != STDOUT and written is not None:
                outputs.append((name, path, written))
        return outputs

    @property
    def json_to_stdout(self) -> bool:
        """Whether the answer goes to stdout as JSON, and what is meant to be read to stderr."""
        return getattr(self, "json_file", None) == STDOUT

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


STDOUT = Path("-")
"""What stands for standard output in the place of a file."""


def writable_or_stdout(path: Path) -> Path:
    """As `writable`, for a file in whose place `-` may be given."""
    return path if path == STDOUT else writable(path)


OutputFile = Annotated[Path, AfterValidator(writable), Written(), Metavar("FILE")]
"""A file that the command writes."""
LedgerFile = Annotated[Path, Written(), Metavar("FILE")]
"""The path of a ledger, which is made where there is none."""
OutputFolder = Annotated[Path, Written(whole=True), Metavar("FOLDER")]
"""A folder that the command writes whole, in place of what an earlier run wrote there."""
ResumedFolder = Annotated[Path, Written(), Metavar("FOLDER")]
"""A folder that the command adds to: what is done in it is not done again."""
JsonOutput = Annotated[Path, AfterValidator(writable_or_stdout), Written(), Metavar("FILE|-")]
JsonFile = Annotated[JsonOutput | None, Names("--json")]
"""The field is called `json_file`, since `json` is a name of pydantic's. `-` is standard output: what is meant to be read goes to
stderr then."""
