"""The ledger, the artifact folders, and users' table files."""

from backfire.store.artifacts import (
    artifact,
    is_done,
    manifest_digest,
    read_json,
    whole_file,
    write_json,
    write_text,
)
from backfire.store.ledger import Ledger
from backfire.store.prompts import PromptFile, read_prompts
from backfire.store.row_files import NotHeldError, Row, ending_of, write_rows
from backfire.tables import check_decodable, read_rows, undecodable

__all__ = [
    "Ledger",
    "NotHeldError",
    "PromptFile",
    "Row",
    "artifact",
    "check_decodable",
    "ending_of",
    "is_done",
    "manifest_digest",
    "read_json",
    "read_prompts",
    "read_rows",
    "undecodable",
    "whole_file",
    "write_json",
    "write_rows",
    "write_text",
]
