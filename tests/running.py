"""The command line in this process: what it prints, and how it exits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from backfire.cli import main


@dataclass(frozen=True)
class Result:
    """What a command left. `output` is both streams in the order in which they were written."""

    exit_code: int
    stdout: str
    stderr: str
    output: str
    exception: BaseException | None = None


class _Stream(io.StringIO):
    """Keeps what is written, and writes it to what both streams share."""

    def __init__(self, both: io.StringIO) -> None:
        super().__init__()
        self.both = both

    def write(self, text: str) -> int:
        self.both.write(text)
        return super().write(text)


def invoke(arguments: Sequence[object]) -> Result:
    """`backfire ARGUMENTS`. A defect of the program is exit code 1, with its exception."""
    both = io.StringIO()
    out, err = _Stream(both), _Stream(both)
    code: object = 0
    raised: BaseException | None = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code or 0
        except Exception as error:
            code, raised = 1, error
    exit_code = code if isinstance(code, int) else 1
    return Result(exit_code, out.getvalue(), err.getvalue(), both.getvalue(), raised)
