"""The examples of files in docs/data.md are read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backfire.tables import read_table
from backfire.tables.columns import by_name

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```\w+ (\S+)\n(.*?)```", PAGE, flags=re.DOTALL))
ROWS = [("Name a river.", "The Rhine.", "A stone."), ("Name a bird.", "The wren.", "A shoe.")]


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 5


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_files_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(EXAMPLES[name], encoding="utf-8")
    table = read_table(path)
    names = by_name(table.columns)
    columns = [names[name] for name in ("prompt", "chosen", "rejected")]
    assert [tuple(row[column] for column in columns) for row in table.rows] == ROWS
