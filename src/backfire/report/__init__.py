"""Tables, pages and pictures of answers: reads answers only, opens no model."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.report.audit.brief import audit_brief
    from backfire.report.audit.changes import change_lines, headline
    from backfire.report.audit.conditions import failed_conditions, parse_conditions, unchecked_conditions
    from backfire.report.audit.markdown import render_audit_markdown, write_audit_markdown
    from backfire.report.audit.page import render_audit_page, write_audit_page
    from backfire.report.audit.table import audit_table
    from backfire.report.pairs.page import render_shown_page, write_shown_page
    from backfire.report.pairs.table import shown_table
    from backfire.report.study.overview import write_picture
    from backfire.report.study.page import render_page, write_page
    from backfire.report.study.table import results_table
    from backfire.report.study.worlds import worlds_table
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "audit.conditions": ("failed_conditions", "parse_conditions", "unchecked_conditions"),
            "audit.changes": ("change_lines", "headline"),
            "audit.markdown": ("render_audit_markdown", "write_audit_markdown"),
            "audit.page": ("render_audit_page", "write_audit_page"),
            "audit.brief": ("audit_brief",),
            "audit.table": ("audit_table",),
            "pairs.page": ("render_shown_page", "write_shown_page"),
            "pairs.table": ("shown_table",),
            "study.overview": ("write_picture",),
            "study.page": ("render_page", "write_page"),
            "study.table": ("results_table",),
            "study.worlds": ("worlds_table",),
        },
    )

__all__ = [
    "audit_brief",
    "audit_table",
    "change_lines",
    "failed_conditions",
    "headline",
    "parse_conditions",
    "render_audit_markdown",
    "render_audit_page",
    "render_page",
    "render_shown_page",
    "results_table",
    "shown_table",
    "unchecked_conditions",
    "worlds_table",
    "write_audit_markdown",
    "write_audit_page",
    "write_page",
    "write_picture",
    "write_shown_page",
]
