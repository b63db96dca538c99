"""Which files are logs of other tools, and reading them: a file, or a folder of a model's logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from backfire.errors import InputError
from backfire.logs.harness_samples import NAMED, read_harness_samples
from backfire.logs.inspect_logs import read_inspect_log
from backfire.logs.sample_log import SampleLog

HEAD = 4096
_INSPECT = re.compile(r'^\s*\{\s*"version"\s*:\s*\S+\s*,.*"eval"\s*:\s*\{', re.DOTALL)


def is_sample_log(path: str | Path) -> bool:
    """Whether a file is an Inspect log or a file of the harness's samples; a folder, whether such a file lies in it."""
    path = Path(path)
    if path.is_dir():
        return not (path / "results.json").is_file() and bool(_inside(path))
    return path.is_file() and (_is_inspect(path) or _is_harness(path))


def read_sample_logs(path: str | Path) -> list[SampleLog]:
    """The log that a file is, or all logs of a folder, each of a task of its own.

    Raises:
        InputError: a file that is no log, that its tool cannot read, or that holds no samples; two logs of one task in a folder.
    """
    path = Path(path)
    if not path.is_dir():
        return [_read(path)]
    logs: dict[str, SampleLog] = {}
    for file in _inside(path):
        log = _read(file)
        if log.task in logs:
            raise InputError(
                f"{path} holds two logs of the task {log.task!r}: {logs[log.task].path.name} and {file.name}; name the file that "
                "is meant"
            )
        logs[log.task] = log
    if not logs:
        raise InputError(
            f"{path} holds no log: there is neither an Inspect log (.eval) nor a samples_TASK_DATE.jsonl of "
            "`lm_eval --log_samples` in it"
        )
    return list(logs.values())


def _inside(folder: Path) -> list[Path]:
    candidates = [p for p in folder.rglob("*") if p.suffix == ".eval" or NAMED.fullmatch(p.name)]
    return sorted(p for p in candidates if p.is_file())


def _read(path: Path) -> SampleLog:
    if _is_inspect(path):
        return read_inspect_log(path)
    if _is_harness(path):
        return read_harness_samples(path)
    raise InputError(
        f"{path} is neither an Inspect log (.eval or .json) nor a file of samples of `lm_eval --log_samples`"
    )


def _is_inspect(path: Path) -> bool:
    if path.suffix.lower() == ".eval":
        return True
    return path.suffix.lower() == ".json" and bool(_INSPECT.search(_head(path)))


def _is_harness(path: Path) -> bool:
    if path.suffix.lower() not in (".jsonl", ".json"):
        return False
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = next((line for line in lines if line.strip()), "")
    try:
        row = json.loads(first)
    except ValueError:
        return False
    return isinstance(row, dict) and {"doc_id", "resps", "filtered_resps"} <= row.keys()


def _head(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(HEAD)
