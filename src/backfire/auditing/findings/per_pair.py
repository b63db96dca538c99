"""How easily each pair is told apart, as a column that users can sort and filter by."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import pyarrow as pa

from backfire.answers.audit import PerPair
from backfire.auditing.audited_pairs import COMPLY, REFUSE, AuditedPairs
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.probe import MeasuredProbe
from backfire.auditing.probes.uncertainty import Values
from backfire.auditing.text_faults import VOTED
from backfire.auditing.topics.grouping import PromptTopics
from backfire.errors import DiskError, InputError
from backfire.statistics import Z95
from backfire.store import whole_file, write_csv

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SUFFIXES = (".parquet", ".jsonl", ".csv")


def most_informative(probes: Sequence[MeasuredProbe], audited: AuditedPairs) -> MeasuredProbe | None:
    """Of the probes that read every pair, the one with the most V-information; None where none did."""
    whole = [probe for probe in probes if len(probe.pairs) == audited.pairs]
    return max(whole, key=lambda probe: probe.measured.information.value, default=None)


def per_pair_of(probe: MeasuredProbe, split: Split, file: Path | None) -> PerPair:
    """How the column is spread. Intervals of quantiles are those of order statistics, with prompts in place of pairs."""
    bits, swapped = probe.measured.bits, probe.measured.bits_swapped
    names = {f"{100 * q:g}%": q for q in QUANTILES}
    return PerPair(
        probe=probe.answer.probe,
        pairs=len(bits),
        quantiles={name: float(np.quantile(bits, q)) for name, q in names.items()},
        intervals={name: _between(bits, q, split.prompts) for name, q in names.items()},
        control={name: float(np.quantile(swapped, q)) for name, q in names.items()},
        file=None if file is None else str(file),
    )


def _between(bits: Values, q: float, prompts: int) -> tuple[float, float]:
    half = Z95 * sqrt(q * (1 - q) / prompts)
    low, high = np.quantile(bits, [max(0.0, q - half), min(1.0, q + half)])
    return float(low), float(high)


@dataclass(frozen=True)
class PairColumn:
    """How easily each pair is told apart, and the file that this was written to."""

    probe: MeasuredProbe | None
    """The probe that tells most; None where none read every pair."""
    file: Path | None
    """None where no file was asked for, or none could be written."""


def pair_column(
    probes: Sequence[MeasuredProbe],
    audited: AuditedPairs,
    file: Path | None,
    influence: Mapping[str, Values],
    topics: PromptTopics | None = None,
) -> PairColumn:
    """Take the probe that tells most, and write what it says of each pair where a file is asked for."""
    probe = most_informative(probes, audited)
    if probe is None or file is None or not write_column(file, probe, audited, influence, topics):
        return PairColumn(probe, None)
    return PairColumn(probe, file)


def check_file(path: Path) -> Path:
    """The path; InputError for a name whose ending says no format."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: the per-pair file's name has to end in {', '.join(SUFFIXES)}")
    return path


def write_column(
    path: Path,
    probe: MeasuredProbe,
    audited: AuditedPairs,
    influence: Mapping[str, Values] | None = None,
    topics: PromptTopics | None = None,
) -> bool:
    """Write one line a pair: its row, V-information in bits, prompt group, what either side decides, people's votes, and its topic.

    influence: what a policy's probes say of each pair, by the column's name: [pairs], NaN where it was not read, which is null.
    A file that cannot be written is warned about, for the answer is not to be lost with it.
    """
    table = pa.table(
        {
            "row": audited.rows,
            "v_information": probe.measured.bits,
            "prompt_group": audited.groups,
            **{
                f"{side}_refuses": pa.array(
                    audited.decisions[:, column] == REFUSE,
                    mask=~np.isin(audited.decisions[:, column], (COMPLY, REFUSE)),
                )
                for column, side in enumerate(("chosen", "rejected"))
            },
            **{
                name: pa.array(values, mask=~np.isfinite(values))
                for name, values in {**(influence or {}), **_votes(audited)}.items()
            },
            **({} if topics is None else _topic_columns(topics)),
        }
    )
    return write_table(path, table)


def _votes(audited: AuditedPairs) -> dict[str, Values]:
    """How many people preferred either side, or neither, where votes are recorded."""
    votes = audited.faults.votes
    return {} if votes is None else {f"{whose}_votes": votes[:, place] for place, whose in enumerate(VOTED)}


def _topic_columns(topics: PromptTopics) -> dict[str, pa.Array]:
    """The number of each pair's topic, 0 for none, and the words that tell it; null for none."""
    words = pa.array([None, *(", ".join(terms) for terms in topics.terms)], pa.string())
    return {"topic": pa.array(topics.codes), "topic_words": words.take(pa.array(topics.codes))}


def write_table(path: Path, table: pa.Table) -> bool:
    """Write a table as its file's name ends, whole or not at all. A file that cannot be written is warned about."""
    try:
        with whole_file(path) as aside:
            _write(aside, path.suffix.lower(), table)
    except (OSError, DiskError) as error:
        warnings.warn(f"{path} was not written: {error}", stacklevel=2)
        return False
    return True


def _write(path: Path, suffix: str, table: pa.Table) -> None:
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, path)
    elif suffix == ".csv":
        write_csv(path, table)
    else:
        import json

        with path.open("w", encoding="utf-8") as lines:
            for batch in table.to_batches(max_chunksize=8192):
                lines.writelines(json.dumps(row) + "\n" for row in batch.to_pylist())
