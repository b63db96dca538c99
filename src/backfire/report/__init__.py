"""Tables, pages and pictures of answers: reads answers only, opens no model."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.report.audit.brief import audit_brief
    from backfire.report.audit.changes import change_lines, headline
    from backfire.report.audit.markdown import render_audit_markdown, write_audit_markdown
    from backfire.report.audit.page import render_audit_page, write_audit_page
    from backfire.report.audit.table import audit_table
    from backfire.report.pairs.page import render_shown_page, write_shown_page
    from backfire.report.pairs.table import shown_table
    from backfire.report.release.card import card_results, render_release_card
    from backfire.report.release.markdown import render_release_markdown, write_release_markdown
    from backfire.report.study.figure_files import write_figures
    from backfire.report.study.overview import write_picture
    from backfire.report.study.page import render_page, write_page
    from backfire.report.study.table import results_table
    from backfire.report.study.tables import results_latex, results_markdown, write_results_table
    from backfire.report.study.worlds import worlds_table
    from backfire.report.terminal.attack import attack_parts
    from backfire.report.terminal.comparison import comparison_parts
    from backfire.report.terminal.general import general_parts
    from backfire.report.terminal.judges import agreement_table, correction_parts, judged_table
    from backfire.report.terminal.ledger import given_parts, merged_parts, sampled_parts, scores_table
    from backfire.report.terminal.organisms import world_parts
    from backfire.report.terminal.pairs import built_parts, converted_parts, recipes_table
    from backfire.report.terminal.prompt_sets import prompt_sets_table
    from backfire.report.terminal.release import release_check_parts, release_parts
    from backfire.report.terminal.repair import repair_parts
    from backfire.report.terminal.study import failures_of, results_parts, standing_parts
    from backfire.report.terminal.study_comparison import study_comparison_parts
    from backfire.report.terminal.training import training_parts
    from backfire.report.worst.page import render_worst_page, write_worst_page
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "worst.page": ("render_worst_page", "write_worst_page"),
            "audit.changes": ("change_lines", "headline"),
            "audit.markdown": ("render_audit_markdown", "write_audit_markdown"),
            "audit.page": ("render_audit_page", "write_audit_page"),
            "audit.brief": ("audit_brief",),
            "audit.table": ("audit_table",),
            "pairs.page": ("render_shown_page", "write_shown_page"),
            "pairs.table": ("shown_table",),
            "release.card": ("card_results", "render_release_card"),
            "release.markdown": ("render_release_markdown", "write_release_markdown"),
            "study.figure_files": ("write_figures",),
            "study.overview": ("write_picture",),
            "study.page": ("render_page", "write_page"),
            "study.table": ("results_table",),
            "study.tables": ("results_latex", "results_markdown", "write_results_table"),
            "study.worlds": ("worlds_table",),
            "terminal.attack": ("attack_parts",),
            "terminal.comparison": ("comparison_parts",),
            "terminal.general": ("general_parts",),
            "terminal.judges": (
                "agreement_table",
                "correction_parts",
                "judged_table",
            ),
            "terminal.ledger": (
                "given_parts",
                "merged_parts",
                "sampled_parts",
                "scores_table",
            ),
            "terminal.organisms": ("world_parts",),
            "terminal.pairs": (
                "built_parts",
                "converted_parts",
                "recipes_table",
            ),
            "terminal.prompt_sets": ("prompt_sets_table",),
            "terminal.release": ("release_check_parts", "release_parts"),
            "terminal.repair": ("repair_parts",),
            "terminal.study": (
                "failures_of",
                "results_parts",
                "standing_parts",
                "study_comparison_parts",
            ),
            "terminal.study_comparison": ("study_comparison_parts",),
            "terminal.training": ("training_parts",),
        },
    )

__all__ = [
    "agreement_table",
    "attack_parts",
    "audit_brief",
    "audit_table",
    "built_parts",
    "card_results",
    "change_lines",
    "comparison_parts",
    "converted_parts",
    "correction_parts",
    "failures_of",
    "general_parts",
    "given_parts",
    "headline",
    "judged_table",
    "merged_parts",
    "prompt_sets_table",
    "recipes_table",
    "release_check_parts",
    "release_parts",
    "render_audit_markdown",
    "render_audit_page",
    "render_page",
    "render_release_card",
    "render_release_markdown",
    "render_shown_page",
    "render_worst_page",
    "repair_parts",
    "results_latex",
    "results_markdown",
    "results_parts",
    "results_table",
    "sampled_parts",
    "scores_table",
    "shown_table",
    "standing_parts",
    "study_comparison_parts",
    "training_parts",
    "world_parts",
    "worlds_table",
    "write_audit_markdown",
    "write_audit_page",
    "write_figures",
    "write_page",
    "write_picture",
    "write_release_markdown",
    "write_results_table",
    "write_shown_page",
    "write_worst_page",
]
