"""How a notebook shows an answer: as the tables that the command line prints of it."""

from __future__ import annotations

from importlib import import_module

RENDERED_BY = "backfire.report.notebook"
"""The module that makes the HTML. It stands above the answers, so that it is named here and imported when it is needed."""


class InNotebooks:
    """An answer that a notebook shows as tables."""

    def _repr_html_(self) -> str:
        shown: str = import_module(RENDERED_BY).html_of(self)
        return shown
