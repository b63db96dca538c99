"""Other tools' records of single samples: Inspect's logs, and the samples that lm-evaluation-harness logs."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.logs.inspect_writing import (
        WrittenLog,
        WrittenSample,
        WrittenScore,
        write_inspect_samples,
    )
    from backfire.logs.reading import is_sample_log, read_sample_logs
    from backfire.logs.sample_log import LoggedSample, SampleLog
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "inspect_writing": ("WrittenLog", "WrittenSample", "WrittenScore", "write_inspect_samples"),
            "reading": ("is_sample_log", "read_sample_logs"),
            "sample_log": ("LoggedSample", "SampleLog"),
        },
    )

__all__ = [
    "LoggedSample",
    "SampleLog",
    "WrittenLog",
    "WrittenSample",
    "WrittenScore",
    "is_sample_log",
    "read_sample_logs",
    "write_inspect_samples",
]
