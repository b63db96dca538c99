"""The rows of every finding in one file, a line a row and finding, fit for a filter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from backfire.auditing.affected import Affected
from backfire.auditing.findings.per_pair import SUFFIXES, write_table
from backfire.errors import InputError

SIDES = ("prompt", "chosen", "rejected", "both")
"""By the codes of `affected`."""
SCHEMA = pa.schema(
    [
        ("finding", pa.string()),
        ("row", pa.int64()),
        ("side", pa.string()),
        ("other_row", pa.int64()),
        ("detail", pa.string()),
    ]
)


def check_rows_file(path: Path) -> Path:
    """The path; InputError for a name whose ending says no format."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: the name of the file of rows has to end in {', '.join(SUFFIXES)}")
    return path


def write_affected(path: Path, affected: Sequence[Affected]) -> bool:
    """Write SCHEMA: all rows of each finding, both of a pair that is made of two; whole or not at all.

    A file that cannot be written is warned about.
    """
    tables = [_table(one.of_both_rows()) for one in affected]
    return write_table(path, pa.concat_tables([SCHEMA.empty_table(), *tables]))


def _table(one: Affected) -> pa.Table:
    count = len(one.rows)
    sides = pa.nulls(count, pa.string())
    if one.sides is not None:
        sides = pa.array(SIDES).take(pa.array(one.sides.astype(np.int64)))
    others = pa.nulls(count, pa.int64())
    if one.others is not None:
        others = pa.array(one.others, pa.int64(), mask=one.others == 0)
    details = (
        pa.nulls(count, pa.string()) if one.details is None else pa.array(list(one.details), pa.string())
    )
    columns = [pa.array([one.finding] * count, pa.string()), pa.array(one.rows, pa.int64())]
    return pa.table([*columns, sides, others, details], schema=SCHEMA)
