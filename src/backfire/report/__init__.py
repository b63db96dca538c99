"""Tables, figures and the page: reads results only, opens no model."""

from backfire.report.audit_answer import AuditReport, parse_audit, read_audit, write_audit
from backfire.report.audit_gate import failed_conditions, parse_conditions, unchecked_conditions
from backfire.report.audit_page import render_audit_page, write_audit_page
from backfire.report.audit_table import audit_table
from backfire.report.comparisons import (
    Difference,
    adjust,
    compare_checkpoints,
    compare_recipes,
    compare_wrappers,
)
from backfire.report.outcomes import Checkpoint, read_cells, read_checkpoint
from backfire.report.page import render_page, write_page
from backfire.report.picture import write_picture
from backfire.report.results import Cell, Results, parse_results, read_results, write_results
from backfire.report.shown_page import render_shown_page, write_shown_page
from backfire.report.shown_pairs import Shown
from backfire.report.shown_table import shown_table
from backfire.report.terminal import results_table
from backfire.report.worlds import worlds_table

__all__ = [
    "AuditReport",
    "Cell",
    "Checkpoint",
    "Difference",
    "Results",
    "Shown",
    "adjust",
    "audit_table",
    "compare_checkpoints",
    "compare_recipes",
    "compare_wrappers",
    "failed_conditions",
    "parse_audit",
    "parse_conditions",
    "parse_results",
    "read_audit",
    "read_cells",
    "read_checkpoint",
    "read_results",
    "render_audit_page",
    "render_page",
    "render_shown_page",
    "results_table",
    "shown_table",
    "unchecked_conditions",
    "worlds_table",
    "write_audit",
    "write_audit_page",
    "write_page",
    "write_picture",
    "write_results",
    "write_shown_page",
]
