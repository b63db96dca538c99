"""YAML that somebody wrote is read as it was meant, or refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.settings.yaml_files import parse_yaml, read_yaml


def test_numbers_are_what_was_meant_and_quoted_texts_stay_texts() -> None:
    text = "lr: 1e-6\nbig: 2E5\nplain: 0.1\nname: '1e5'\nversion: 1.2.3\nmodel: 7e-b\n"
    assert parse_yaml(text, "file") == {
        "lr": 1e-6,
        "big": 2e5,
        "plain": 0.1,
        "name": "1e5",
        "version": "1.2.3",
        "model": "7e-b",
    }


def test_an_alias_stands_for_what_it_names() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n", "file") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1, "e": 2},
    }


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert parse_yaml(text, "file") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [1", "study file x is not YAML", id="not YAML"),
        pytest.param("a: 1\nb: 2\na: 3\n", "'a' stands twice in study file x.*line 3", id="key twice"),
        pytest.param(
            "a:\n  - {c: 1, c: 2}\n", "'c' stands twice in study file x.*line 2", id="key twice within"
        ),
        pytest.param("a: &x [1, *x]\n", "study file x, line 1: a value holds itself", id="holds itself"),
        pytest.param(
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
                for before, name in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "study file x unfolds to [0-9,]+ values",
            id="aliases of aliases",
        ),
        pytest.param("a: " + "[" * 5000 + "]" * 5000, "study file x is nested too deeply", id="too deep"),
        pytest.param("a: !!python/object/apply:os.getcwd []\n", "study file x is not YAML", id="runs code"),
        pytest.param("? [a, b]\n: 1\n", "study file x is not YAML", id="a key that is no text"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "study file x")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes("name: café\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"study file .*study\.yaml is no text in UTF-8"):
        read_yaml(file, "study file")
    file.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_yaml(file, "study file") == {"name": "x"}
    with pytest.raises(InputError, match="cannot be read"):
        read_yaml(tmp_path, "study file")
