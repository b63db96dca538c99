"""What every command answers, as typed records: the object in Python, the JSON file, and what a page is made from."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.answers.audit import AuditReport, parse_audit, read_audit, write_audit
    from backfire.answers.outcomes import Checkpoint, read_cells, read_checkpoint
    from backfire.answers.results import Cell, Results, parse_results, read_results, write_results
    from backfire.answers.shown import Shown
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "audit": ("AuditReport", "parse_audit", "read_audit", "write_audit"),
            "outcomes": ("Checkpoint", "read_cells", "read_checkpoint"),
            "results": ("Cell", "Results", "parse_results", "read_results", "write_results"),
            "shown": ("Shown",),
        },
    )

__all__ = [
    "AuditReport",
    "Cell",
    "Checkpoint",
    "Results",
    "Shown",
    "parse_audit",
    "parse_results",
    "read_audit",
    "read_cells",
    "read_checkpoint",
    "read_results",
    "write_audit",
    "write_results",
]
