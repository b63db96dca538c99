"""`compare`: two policies on the same prompts, or a study's recipes, with what each difference says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from backfire.cli.command import Command, JsonFile
from backfire.cli.terminal import present, write_answer
from backfire.comparing.settings import CompareSettings
from backfire.settings import Argument, FileReference, Metavar


class Compare(Command):
    """Compare policies on the same prompts: differences with 95% intervals, exact tests, Holm's correction.

    Rows about these checkpoints say what these two policies do on prompts like these. Rows about these recipes need
    three or more worlds or seeds, rows about unseen wrappers ten or more wrappers; with fewer they say so. What is
    unscored stays out of a rate, and the bounds show the most it could change.
    """

    runs: Annotated[tuple[FileReference, ...], Argument(), Metavar("RUN_OR_JSON")]
    """A run folder, or two or more files of `backfire attack --json`, the first of which is compared with every other. A file may
    also be an Inspect log (.eval, .json), or samples of `lm_eval --log_samples` (a file, or the folder of one model)."""
    settings: CompareSettings = CompareSettings()
    markdown: bool = False
    """Print Markdown tables."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to FILE. With - it is printed, and everything else goes to stderr."""

    def run(self) -> None:
        from backfire.comparing import compare
        from backfire.report import comparison_parts

        rows = compare(self.runs, self.settings)
        present(comparison_parts(rows, markdown=self.markdown))
        if self.json_file is not None:
            differences = [asdict(row) for row in rows]
            write_answer(self.json_file, {"seed": self.settings.seed, "differences": differences})
