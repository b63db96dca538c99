"""The ledger, the artifact folders, and users' table files."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.store.artifacts import (
        artifact,
        is_done,
        manifest_digest,
        read_json,
        whole_file,
        write_json,
        write_text,
    )
    from backfire.store.contents import changed_file, write_contents
    from backfire.store.csv_files import write_csv
    from backfire.store.ledger import Ledger
    from backfire.store.merging import Merged, merge_ledgers
    from backfire.store.prompts import PromptFile, read_prompts
    from backfire.store.row_files import NotHeldError, Row, ending_of, not_the_data_set, write_rows
    from backfire.store.settings import PromptReading
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "artifacts": (
                *("artifact", "is_done", "manifest_digest", "read_json", "whole_file"),
                *("write_json", "write_text"),
            ),
            "contents": ("changed_file", "write_contents"),
            "csv_files": ("write_csv",),
            "ledger": ("Ledger",),
            "merging": ("Merged", "merge_ledgers"),
            "prompts": ("PromptFile", "read_prompts"),
            "row_files": ("NotHeldError", "Row", "ending_of", "not_the_data_set", "write_rows"),
            "settings": ("PromptReading",),
        },
    )

__all__ = [
    "Ledger",
    "Merged",
    "NotHeldError",
    "PromptFile",
    "PromptReading",
    "Row",
    "artifact",
    "changed_file",
    "ending_of",
    "is_done",
    "manifest_digest",
    "merge_ledgers",
    "not_the_data_set",
    "read_json",
    "read_prompts",
    "whole_file",
    "write_contents",
    "write_csv",
    "write_json",
    "write_rows",
    "write_text",
]
