"""Tables, figures and the page: reads results only, opens no model."""

from backfire.report.page import render_page, write_page
from backfire.report.picture import write_picture
from backfire.report.results import Cell, Results, parse_results, read_results, write_results
from backfire.report.terminal import results_table
from backfire.report.worlds import worlds_table

__all__ = [
    "Cell",
    "Results",
    "parse_results",
    "read_results",
    "render_page",
    "results_table",
    "worlds_table",
    "write_page",
    "write_picture",
    "write_results",
]
