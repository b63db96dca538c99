"""Users' table files: JSONL, JSON, CSV, TSV, Parquet, folders, hub names and data sets in memory, read in one place."""

from backfire.tables.rows import check_decodable, read_rows, undecodable

__all__ = ["check_decodable", "read_rows", "undecodable"]
