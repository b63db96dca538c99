"""The ledger, the artifact folders, and users' table files."""

from backfire.store.artifacts import (
    artifact,
    is_done,
    read_json,
    write_json,
    write_text,
)
from backfire.store.ledger import Ledger
from backfire.store.prompts import PROMPT_COLUMNS, PromptFile, read_prompts
from backfire.store.rows import read_rows

__all__ = [
    "PROMPT_COLUMNS",
    "Ledger",
    "PromptFile",
    "artifact",
    "is_done",
    "read_json",
    "read_prompts",
    "read_rows",
    "write_json",
    "write_text",
]
