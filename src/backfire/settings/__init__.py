"""What every command's settings are made of: one frozen class a command, whose docstrings document its options."""

from backfire.settings.fields import Input, Part, Setting, flat, inputs_of, parts
from backfire.settings.frozen import Settings, nested, taken
from backfire.settings.marks import Argument, Commas, Default, Group, Metavar, Names, Prefix, Repeated
from backfire.settings.places import COMMAND_LINE, PYTHON, STUDY, CommandLine, Place, StudyFile, options_of
from backfire.settings.references import (
    DatasetReference,
    EmbedderReference,
    FileReference,
    FolderReference,
    InputKind,
    JudgeReference,
    LedgerReference,
    ModelReference,
    PromptsReference,
    Reference,
    RewardModelReference,
    SuiteReference,
)

__all__ = [
    "COMMAND_LINE",
    "PYTHON",
    "STUDY",
    "Argument",
    "CommandLine",
    "Commas",
    "DatasetReference",
    "Default",
    "EmbedderReference",
    "FileReference",
    "FolderReference",
    "Group",
    "Input",
    "InputKind",
    "JudgeReference",
    "LedgerReference",
    "Metavar",
    "ModelReference",
    "Names",
    "Part",
    "Place",
    "Prefix",
    "PromptsReference",
    "Reference",
    "Repeated",
    "RewardModelReference",
    "Setting",
    "Settings",
    "StudyFile",
    "SuiteReference",
    "flat",
    "inputs_of",
    "nested",
    "options_of",
    "parts",
    "taken",
]
