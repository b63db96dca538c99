"""The command line: parse, call, print; the only place that exits."""

from backfire.cli.app import app, main

__all__ = ["app", "main"]
