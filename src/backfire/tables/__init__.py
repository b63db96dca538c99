"""Users' tables: JSONL, JSON, CSV, Parquet, text, folders, hub names and data sets in memory, read in one place."""

from backfire.tables.recognising import ENDINGS
from backfire.tables.rows import Table, check_decodable, read_rows, read_table, undecodable

__all__ = ["ENDINGS", "Table", "check_decodable", "read_rows", "read_table", "undecodable"]
