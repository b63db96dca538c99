"""The fast path vouches only for rows that the exact path reads the same way: blocks and defects are equal."""

from __future__ import annotations

import copy
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from preference_rows import FORMS, PAIRS, Row, assistant, jsonl, standard, user

from backfire.errors import InputError
from backfire.preferences import Preferences, open_preferences
from backfire.preferences.arrow_turns import BLANKS
from backfire.preferences.blocks import in_blocks
from backfire.preferences.columnar import read_table, wanted
from backfire.tables.arrow_lines import Lines, table_of

PIECES = ["a", "b", " ", "\n", "\u00a0", "\x1d", "\x1f", "\x00", '"', "\\", "é", "🙂", "\u2028", "[{", "\r"]
PIECES += ["\n\nHuman: x", "\n\nAssistant: y", "\n\nHuman:", "Inf", "2020-01-01", "\ud800"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 3),
    st.floats(),
    TEXT,
    st.just([]),
    st.just({}),
    st.just([["q", "r"]]),
    st.just([user("x"), None]),
    st.just([{"role": "assistant", "content": None}]),
    st.just(
        [
            {
                "role": "assistant",
                "content": "x",
                "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
            }
        ]
    ),
    st.just([{"role": "assistant", "content": "x", "thinking": "y"}]),
    st.just([user("x"), {"role": "tool", "content": "y", "name": "f"}, assistant("z")]),
    st.just({"role": "assistant", "content": "x", "reasoning_content": "y"}),
    st.just([{"from": "gpt", "value": "x"}, {"from": "human", "value": "y"}]),
    st.lists(
        st.builds(
            lambda r, c: {"role": r, "content": c}, st.sampled_from(["user", "assistant", "gpt", "s"]), TEXT
        )
    ),
)
BESIDE = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["harmful", "benign", " Safe", True, None]),
        "chosen_source": st.sampled_from(["big", "", None, 3]),
        "rejected_source": st.sampled_from(["small", "big"]),
        "chosen_decoding": st.sampled_from(['{"b": 1, "a": NaN}', "greedy", "3", None, {"a": 1}]),
        "rejected_decoding": st.just("{}"),
        "tags": st.sampled_from(['{"b": "1", "a": 2}', "[]", "no", None, ["x"], {"n": "m"}]),
        "status": st.sampled_from(["tie", "Tie ", "swapped", None, 3]),
        "tools": st.sampled_from([None, "", "[]", '[{"name": "f"}]', "{}", "x"]),
        "system": st.sampled_from(["", " ", "Be brief.", None, 3]),
        "chosen_score": st.sampled_from([1, 2.5, None]),
        "rejected_score": st.sampled_from([1, 2.5]),
        "ignored": st.sampled_from([1, "x", float("inf"), [{"a": 1}], {"chosen": 2}]),
    },
)
LINES = [
    b"",
    b" ",
    b"x",
    b"{",
    b"}",
    b"{}",
    b"null",
    b"[]",
    b'{"chosen": "a"',
    b'{"a": {"b": 1}',
    b'{"n": Inf}',
]
LINES += [
    b'{"chosen": "\xff"}',
    b'{"a": 1}}',
    b'{"a": 1} {"a": 2}',
    b'"',
    b'{"prompt": "\\ud800"}',
    b"\r",
    b"{},",
]


@st.composite
def rows_of(draw: st.DrawFn, name: str) -> list[Row]:
    """Rows of one form, some of them broken in one place; the first ones are sound, so that the form is known."""
    shape = FORMS[name][1]
    rows: list[Row] = [shape(*PAIRS[0]), shape(*PAIRS[1])]
    for _ in range(draw(st.integers(1, 8))):
        row = copy.deepcopy(shape(draw(TEXT), draw(TEXT), draw(TEXT)))
        if draw(st.booleans()):
            row |= draw(BESIDE)
        if draw(st.integers(0, 2)) == 0:
            _break(draw, row)
        rows.append(row)
    return rows


def _break(draw: st.DrawFn, row: Row) -> None:
    name = draw(st.sampled_from(sorted(row)))
    how = draw(st.sampled_from(["drop", "replace", "extend", "inside"]))
    value = row[name]
    if how == "drop":
        del row[name]
    elif how == "extend" and isinstance(value, list):
        row[name] = draw(st.permutations([*value, user("more"), assistant(draw(TEXT))]))
    elif how == "inside" and isinstance(value, list) and value and isinstance(value[0], dict):
        value[draw(st.integers(0, len(value) - 1))][draw(st.sampled_from(sorted(value[0])))] = draw(ODD)
    else:
        row[name] = draw(ODD)


NOTES = [json.dumps({"note": "à l’été"}, ensure_ascii=False).encode()] * 3
"""Lines that are UTF-8 beyond ASCII, beside which a few that are not are damage, and not another encoding."""


def outcome(dataset: Any, *, fast: bool) -> tuple[list[Row], int, dict[str, list[int]]]:
    opened = open_preferences(dataset)
    preferences = Preferences(opened._source, opened._plan, fast=fast)
    rows = [row for block in preferences.blocks() for row in block.to_pylist()]
    return rows, preferences.rows, {str(kind): numbers for kind, numbers in preferences.defects.items()}


def agree(dataset: Any) -> None:
    """Both paths read the same, or both name the same row whose kind is none."""
    try:
        rows, seen, defects = outcome(dataset, fast=True)
    except InputError as error:
        if "neither harmful nor benign" not in str(error):
            raise
        with pytest.raises(InputError, match=re.escape(str(error))):
            outcome(dataset, fast=False)
        return
    assert (rows, seen, defects) == outcome(dataset, fast=False)
    assert seen == len(rows) + sum(map(len, defects.values()))


THOROUGH = pytest.param(150, marks=pytest.mark.slow)


@pytest.mark.parametrize("examples", [6, THOROUGH])
@pytest.mark.parametrize("name", FORMS)
def test_lines_agree(name: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(
        rows_of(name),
        st.lists(st.tuples(st.integers(2, 12), st.sampled_from(LINES)), max_size=2),
        st.booleans(),
    )
    def check(rows: list[Row], inserted: list[tuple[int, bytes]], escaped: bool) -> None:
        lines = [json.dumps(row, ensure_ascii=escaped).encode("utf-8", "surrogatepass") for row in rows]
        for place, line in inserted:
            lines.insert(place, line)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.jsonl"
            path.write_bytes(b"\n".join([*lines, *NOTES]))
            agree(path)

    check()


def _columns(rows: list[Row]) -> pa.Table | None:
    """The rows as a table, if Arrow has one type for each column."""
    try:
        return pa.table({name: [row.get(name) for row in rows] for row in rows for name in row})
    except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError, OverflowError):
        return None


@pytest.mark.parametrize("examples", [4, THOROUGH])
@pytest.mark.parametrize("name", FORMS)
def test_parquet_and_data_sets_agree(name: str, examples: int) -> None:
    from datasets import Dataset

    @settings(max_examples=examples)
    @given(rows_of(name))
    def check(rows: list[Row]) -> None:
        kept: list[Row] = []
        for row in rows:
            if _columns([*kept, row]) is not None:
                kept.append(row)
        table = _columns(kept)
        with tempfile.TemporaryDirectory() as folder:
            try:
                parquet.write_table(table, Path(folder) / "a.parquet")
            except pa.ArrowNotImplementedError:
                return
            agree(Path(folder) / "a.parquet")
        agree(Dataset(table))

    check()


@pytest.mark.parametrize("name", ["standard", "question", "alpaca", "orca", "transcript", "safe rlhf"])
def test_csv_agrees(name: str) -> None:
    import csv

    shape = FORMS[name][1]

    @settings(max_examples=25)
    @given(
        st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=6),
        # where most rows are broken, a form is not recognised, and the file is refused as a whole
        st.lists(st.sampled_from(["", "x,y", '"a', "[{}]"]), max_size=3),
    )
    def check(pairs: list[tuple[str, str, str]], broken: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.csv"
            with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
                writer = csv.DictWriter(file, list(shape(*PAIRS[0])))
                writer.writeheader()
                writer.writerows(shape(*pair) for pair in [*PAIRS, *pairs])
                file.write("\n".join(broken))
            assume(path.read_bytes().count(0) < 8)  # with more it may be UTF-16, which is asked about
            if broken.count('"a') % 2:
                with pytest.raises(InputError, match="is never closed"):
                    agree(path)
            else:
                agree(path)

    check()


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"in parts", "outputs"}))
def test_sound_rows_never_leave_the_fast_path(tmp_path: Path, name: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", [FORMS[name][1](*pair) for pair in PAIRS[:3]])
    preferences = open_preferences(path)
    plan = preferences._plan
    table = table_of(Lines.of(path.read_bytes()), wanted(plan))
    assert table is not None
    batch, sound = read_table(plan, np.arange(3), table)
    assert sound.all()
    assert batch.column("chosen").to_pylist() == [pair[1] for pair in PAIRS[:3]]


def test_blanks_are_those_of_strip() -> None:
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    trimmed = pc.utf8_trim(pa.array(characters, pa.large_string()), characters=BLANKS).to_pylist()
    assert trimmed == [c.strip() for c in characters]


@given(st.lists(st.lists(st.integers(0, 30), max_size=9), max_size=6), st.integers(1, 5), st.integers(1, 60))
def test_blocks_depend_on_the_rows_alone(sizes: list[list[int]], rows: int, size: int) -> None:
    def batch(lengths: list[int]) -> pa.RecordBatch:
        texts = pa.array(["x" * n for n in lengths], pa.large_string())
        nulls = pa.nulls(len(lengths), pa.large_string())
        return pa.RecordBatch.from_arrays(
            [texts, nulls, nulls, nulls], ["prompt", "messages", "chosen", "rejected"]
        )

    found = [block.column("prompt").to_pylist() for block in in_blocks(map(batch, sizes), rows, size)]
    expected: list[list[str]] = []
    for text in ("x" * n for lengths in sizes for n in lengths):
        full = not expected or len(expected[-1]) == rows or len("".join(expected[-1])) + len(text) > size
        if full:
            expected.append([])
        expected[-1].append(text)
    assert found == expected


def test_messages_are_spelled_as_json_spells_them() -> None:
    odd = "".join(map(chr, range(1, 256))) + "\u2028\U0001f642"
    row = standard("", "c", "r") | {"prompt": [user(odd), assistant("x"), user('\\"')]}
    (block,) = open_preferences([row | {"chosen": [assistant("c")], "rejected": [assistant("r")]}]).blocks()
    spelled = block.column("messages")[0].as_py()
    assert json.loads(spelled) == row["prompt"]
    assert not re.search(r'": |, "', spelled.replace(json.dumps(odd, ensure_ascii=False), ""))


START = "\n\nHuman: x\n\nAssistant:"
TRAPS: dict[str, list[Row | bytes]] = {
    "standard": [
        b'{"prompt": "p", "chosen": "a", "rejected": "b", "n": Inf}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b", "n": [-NaN ]}',
        b'{"prompt": "p", "chosen": "\xff", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b"}}',
        b'{"prompt": {"p": 1}, "chosen": "a", "rejected": "b"',
    ],
    "transcript": [
        {"chosen": f"{START} a\n\nHuman: b", "rejected": f"{START} a\n\nHuman: c"},
        {"chosen": f"{START} a", "rejected": f"{START} c\n\nAssistant: d"},
        {"chosen": f"{START} a", "rejected": f"\n{START} b"},
        {"chosen": f"\n\nHuman: \x1dA{START} a", "rejected": f"\n\nHuman: \x1dA{START} b"},
        {"chosen": "\n\nAssistant: a", "rejected": "\n\nAssistant: b"},
    ],
    "conversational": [
        {
            "prompt": [user("\x00\x7f"), assistant("\b"), user("x")],
            "chosen": [assistant("a")],
            "rejected": [assistant("b")],
        },
        {"prompt": [], "chosen": [assistant("a")], "rejected": [assistant("b")]},
        {"prompt": [user("p")], "chosen": [assistant("a"), user("u")], "rejected": [assistant("b")]},
    ],
    "whole": [
        {"chosen": [user("a"), assistant("b")], "rejected": [assistant("a"), assistant("c")]},
        {"chosen": [user("a"), assistant("b")], "rejected": [user("a"), user("b"), assistant("c")]},
    ],
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps_among_many_sound_rows(tmp_path: Path, name: str) -> None:
    sound = [json.dumps(FORMS[name][1](*PAIRS[0])).encode() for _ in range(40)]
    traps = [trap if isinstance(trap, bytes) else json.dumps(trap).encode() for trap in TRAPS[name]]
    lines = [line for index, trap in enumerate(traps) for line in (*sound[5 * index : 5 * index + 5], trap)]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([*lines, *sound, *NOTES]))
    plan = open_preferences(path)._plan
    schema = wanted(plan)
    assert schema is not None
    assert table_of(Lines.of(path.read_bytes()), schema) is not None
    agree(path)
