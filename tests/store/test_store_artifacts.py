"""Artifact folders: whole or not at all, and known by what they were made from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backfire.store import artifact, is_done, read_json, write_json, write_text

CONFIGURATION = {"recipe": "self+rm", "seed": 0, "settings": {"lr": 1e-4}, "sources": ("a", "b")}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_artifact_is_done_under_its_own_configuration_only(tmp_path: Path) -> None:
    folder = tmp_path / "cells" / "pairs"
    assert not is_done(folder, CONFIGURATION)
    with artifact(folder, CONFIGURATION) as aside:
        (aside / "train.txt").write_text("pairs")
        assert not folder.exists()
        assert not is_done(aside, CONFIGURATION)
    assert (folder / "train.txt").read_text() == "pairs"
    assert is_done(folder, CONFIGURATION)
    assert not is_done(folder, CONFIGURATION | {"seed": 1})
    assert not is_done(folder, CONFIGURATION | {"new": None})
    assert names(tmp_path / "cells") == ["pairs"]


def breaks_off(folder: Path) -> None:
    with artifact(folder, {"seed": 1}) as aside:
        (aside / "train.txt").write_text("new")
        raise KeyboardInterrupt


def test_an_exception_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    with artifact(folder, {"seed": 0}) as aside:
        (aside / "train.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        breaks_off(folder)
    assert (folder / "train.txt").read_text() == "old"
    assert is_done(folder, {"seed": 0})
    assert names(tmp_path) == ["pairs"]


def test_a_new_one_leaves_nothing_of_the_old(tmp_path: Path) -> None:
    for seed in (0, 1):
        with artifact(tmp_path / "pairs", {"seed": seed}) as aside:
            (aside / f"of-{seed}.txt").write_text("")
    assert names(tmp_path / "pairs") == ["manifest.json", "of-1.txt"]


HALF = """
import sys
from pathlib import Path
from backfire.store import artifact
with artifact(Path(sys.argv[1]), {"seed": 1}) as aside:
    (aside / "train.txt").write_text("half")
    print("half", flush=True)
    sys.stdin.readline()
"""


def test_a_half_written_one_never_counts(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    command = [sys.executable, "-c", HALF, str(folder)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=60)
    assert not folder.exists()
    assert not is_done(folder, {"seed": 1})
    with artifact(folder, {"seed": 1}) as aside:
        (aside / "train.txt").write_text("whole")
    assert is_done(folder, {"seed": 1})
    assert (folder / "train.txt").read_text() == "whole"


def test_json_is_whole_unrounded_and_without_nan(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    write_json(path, {"rate": 0.1 + 0.2, "none": None, "text": "\u00e9"})
    assert read_json(path) == {"rate": 0.1 + 0.2, "none": None, "text": "\u00e9"}
    with pytest.raises(ValueError, match="nan"):
        write_json(path, {"rate": float("nan")})
    assert read_json(path)["rate"] == 0.1 + 0.2
    write_text(path, "{}")
    assert read_json(path) == {}
    assert names(path.parent) == ["results.json"]
