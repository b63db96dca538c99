"""The ledger and the artifact folders."""

from backfire.store.artifacts import (
    artifact,
    changed_keys,
    is_done,
    read_json,
    write_json,
    write_text,
)
from backfire.store.ledger import Ledger

__all__ = ["Ledger", "artifact", "changed_keys", "is_done", "read_json", "write_json", "write_text"]
