"""Tables as CSV that a spreadsheet opens as text: no cell of a text column is a formula there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
"""How a cell begins that a spreadsheet would compute, as OWASP lists them (CSV injection): the full-width signs count, too."""
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
"""A text that is a plain number computes nothing, and stays as it is."""
QUOTE = "'"
"""What is put before such a cell. A spreadsheet then takes the cell for text."""


def write_csv(path: Path, table: pa.Table) -> None:
    """Write a table as CSV. A text that begins like a formula gets an apostrophe before it; numbers are left alone."""
    from pyarrow import csv

    csv.write_csv(without_formulas(table), path)


def without_formulas(table: pa.Table) -> pa.Table:
    """The same table, in which no text, and no name of a column, begins like a formula."""
    columns = [_harmless(column) if _is_text(column.type) else column for column in table.columns]
    names = _harmless(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    return pa.Table.from_arrays(columns, names=names)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _harmless(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    texts = column.cast(pa.large_string())
    formula = pc.match_substring_regex(texts, FORMULA)
    dangerous = pc.and_not(formula, pc.match_substring_regex(texts, NUMBER))
    quoted = pc.binary_join_element_wise(
        pa.scalar(QUOTE, pa.large_string()), texts, pa.scalar("", pa.large_string())
    )
    return pc.if_else(dangerous, quoted, texts)
