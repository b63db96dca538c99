"""Samples as lm-evaluation-harness logs them (`lm_eval --log_samples`): one JSON line a document and filter."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.logs.sample_log import LoggedSample, SampleLog
from backfire.records import digest

NAMED = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
"""How the harness names such a file."""
TOOL = "lm-evaluation-harness"
OURS = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics")
NO_WORDS = "the harness scored given answers by their log-probabilities, so the model wrote nothing"
PLAIN = "none"
"""The filter that changes nothing; scores by another filter carry its name, as in the harness's own table."""


def read_harness_samples(path: Path) -> SampleLog:
    """Read a file of samples; rows of one document, which differ by filter alone, are one sample.

    Raises:
        InputError: a line that is not JSON or lacks what the harness writes, or no line at all.
    """
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    row = _row(path, number, line)
                    rows.setdefault((str(row["doc_id"]), _asked(row)), []).append(row)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 ({error}): the file is damaged; run `lm_eval --log_samples` again"
        ) from error
    if not rows:
        raise InputError(f"{path} holds no samples: run `lm_eval --log_samples --output_path FOLDER` again")
    not_numbers: Counter[str] = Counter()
    samples = [_sample(*key, of, not_numbers) for key, of in rows.items()]
    match = NAMED.fullmatch(path.name)
    task = match["task"] if match else path.stem
    put = digest(sorted(str(row.get("prompt_hash")) for of in rows.values() for row in of[:1]))
    settings = {"digest of the prompts as they were put": put[:8]}
    return SampleLog(path, TOOL, task, path.parent.name or path.stem, samples, settings, not_numbers)


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}, line {number} is not JSON ({error}): the file is cut short or edited; run `lm_eval --log_samples` again"
        ) from error
    lacking = [name for name in OURS[:6] if not isinstance(row, dict) or name not in row]
    if lacking:
        raise InputError(
            f"{path}, line {number} has no {lacking[0]!r}, which lm_eval 0.4 writes for every sample: run "
            "`lm_eval --log_samples` again with lm_eval 0.4.5 or newer"
        )
    checked: dict[str, Any] = row
    metrics = checked.get("metrics") or []
    if not isinstance(metrics, list) or not all(isinstance(metric, str) for metric in metrics):
        raise InputError(f"{path}, line {number} has metrics {str(metrics)[:80]!r}, which are no names")
    return checked


def _asked(row: Mapping[str, Any]) -> str:
    known = row.get("doc_hash")
    return str(known) if known else digest(row["doc"])


def _sample(doc_id: str, asked: str, rows: list[dict[str, Any]], not_numbers: Counter[str]) -> LoggedSample:
    first = rows[0]
    context, wanted = _put(first["arguments"])
    wrote = isinstance(wanted, dict)
    response = _first_text(first["resps"]) if wrote else None
    scores: dict[str, float | None] = {}
    for row in rows:
        by = row.get("filter", PLAIN)
        names = row.get("metrics") or [k for k in row if k not in OURS and not k.endswith("_hash")]
        for metric in names:
            name = metric if by == PLAIN else f"{metric},{by}"
            value = row.get(metric)
            if isinstance(value, (int, float)):
                scores[name] = float(value) if math.isfinite(value) else None
            elif value is None:
                scores[name] = None
            else:
                not_numbers[name] += 1
    problem = "" if response is not None else "no response is logged" if wrote else NO_WORDS
    turns = [{"role": "user", "content": context}]
    return LoggedSample(doc_id, 1, asked, turns, response, problem, scores, {"target": first["target"]})


def _put(arguments: Any) -> tuple[str, Any]:
    """The text that the model was given first, and what was wanted: settings of a generation, or a given answer."""
    if isinstance(arguments, dict):
        first = arguments.get("gen_args_0", {})
    else:
        first = arguments[0] if isinstance(arguments, list) and arguments else []
    values = first.values() if isinstance(first, dict) else first
    parts = list(values) if isinstance(first, dict | list) else [first]
    return str(parts[0]) if parts else "", parts[1] if len(parts) > 1 else None


def _first_text(value: Any) -> str | None:
    while isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, str) else None
