"""The digest of what was read: of the pairs, and of neither their form, their packing, nor the blocks they came in."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backfire.preferences import convert, open_preferences
from backfire.preferences.content import ContentDigest
from backfire.preferences.schema import SCHEMA

ROWS: list[dict[str, Any]] = [
    {
        "prompt": f"question {n}",
        "chosen": f"yes {n} ☃",
        "rejected": f"no {n}",
        "chosen_model": None if n % 3 else "a",
        "rejected_model": "c",
    }
    for n in range(40)
]


def digest_of(dataset: Any) -> str:
    data = open_preferences(dataset)
    assert data.digest is None
    for _ in data.blocks():
        pass
    assert data.digest is not None
    return data.digest


def test_equal_pairs_have_one_digest_whatever_holds_them(tmp_path: Path) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.json").write_text(json.dumps(ROWS))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "d.parquet")
    (tmp_path / "gaps.jsonl").write_text(
        "\n" + lines.replace("\n", "\n\n") + '{"prompt": "x", "chosen": " "}\n'
    )
    files = ("a.jsonl", "b.jsonl.gz", "c.json", "d.parquet", "gaps.jsonl")
    digests = {digest_of(tmp_path / name) for name in files} | {digest_of(ROWS)}
    assert len(digests) == 1
    assert len(digests.pop()) == 64
    done = convert(tmp_path / "a.jsonl", tmp_path / "converted.parquet")
    assert digest_of(done.path) == digest_of(ROWS) == done.digest, "the same pairs in another form"


@pytest.mark.parametrize(
    "changed",
    [
        ROWS[::-1],
        ROWS[1:],
        [ROWS[0] | {"chosen": "yes 0"}, *ROWS[1:]],
        [ROWS[0] | {"chosen_model": "b"}, *ROWS[1:]],
        [ROWS[0] | {"prompt": "question 0 yes", "chosen": "0 ☃"}, *ROWS[1:]],
        [ROWS[0] | {"chosen": ROWS[0]["rejected"], "rejected": ROWS[0]["chosen"]}, *ROWS[1:]],
    ],
)
def test_other_pairs_have_another_digest(changed: list[dict[str, Any]]) -> None:
    assert digest_of(changed) != digest_of(ROWS)


def test_the_digest_is_that_of_the_columns_and_their_lengths_however_blocks_are_cut() -> None:
    block = next(open_preferences(ROWS).blocks())
    whole = hashlib.sha256(b"pairs 1 40")
    for name in SCHEMA.names:
        if name not in ("row", "earlier_row"):
            texts = [None if text is None else text.encode() for text in block.column(name).to_pylist()]
            if not any(texts):
                continue
            lengths = b"".join(
                (-1 if t is None else len(t)).to_bytes(4, "little", signed=True) for t in texts
            )
            whole.update(name.encode() + hashlib.sha256(b"".join(t or b"" for t in texts)).digest())
            whole.update(hashlib.sha256(lengths).digest())
    for cut in (40, 7, 1):
        content = ContentDigest()
        for start in range(0, 40, cut):
            content.add(block.slice(start, cut))
        assert content.hexdigest() == whole.hexdigest()
