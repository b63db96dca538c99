"""The schedule: what runs, what stands, what failed, and what is noticed about artifacts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import StudyError
from backfire.study.hands import Here
from backfire.study.schedule import Outcome, run_stages
from backfire.study.stage import Stage, State


class Bench:
    """Stages over a folder; `made` counts how often each was made, and `broken` those that fail."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.lost: dict[str, dict[str, int]] = {}
        self.settings: dict[str, Any] = {}
        self.said: list[str] = []

    def stage(self, name: str, *needs: str, meanwhile: Callable[[], None] | None = None) -> Stage:
        def make(aside: Path) -> dict[str, Any]:
            self.made.append(name)
            if name in self.broken:
                raise self.broken[name]
            (aside / "part.txt").write_text(f"{name} {self.settings.get(name)}")
            if meanwhile is not None:
                meanwhile()
            return {"lost": self.lost.get(name, {})}

        def configuration() -> dict[str, Any]:
            from backfire.store import manifest_digest

            return {
                "stage": name,
                "setting": self.settings.get(name),
                "inputs": [manifest_digest(self.folder(need)) for need in needs],
            }

        return Stage(name, self.folder(name), list(needs), configuration, make)

    def folder(self, name: str) -> Path:
        return self.root / name.replace(" ", "-")

    def run(self, *stages: Stage) -> Outcome:
        self.made.clear()
        return run_stages(stages, Here(), say=self.said.append)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def chain(bench: Bench) -> list[Stage]:
    return [bench.stage("sample a"), bench.stage("pair a", "sample a"), bench.stage("train a", "pair a")]


def test_what_is_done_is_not_made_again(bench: Bench) -> None:
    first = bench.run(*chain(bench))
    assert bench.made == ["sample a", "pair a", "train a"]
    assert (first.standing, first.failed, first.lost) == ({"sample a", "pair a", "train a"}, {}, {})
    assert bench.run(*chain(bench)) == first
    assert bench.made == []


def test_a_changed_setting_makes_what_depends_on_it(bench: Bench) -> None:
    bench.run(*chain(bench))
    bench.settings["pair a"] = 2
    bench.run(*chain(bench))
    assert bench.made == ["pair a", "train a"]


def test_a_failed_stage_stops_only_what_needs_it_and_stands_no_more(bench: Bench) -> None:
    stages = [*chain(bench), bench.stage("sample b"), bench.stage("pair b", "sample b")]
    assert len(bench.run(*stages).standing) == 5
    bench.settings |= {"pair a": 2, "sample b": 2}
    bench.broken["pair a"] = StudyError("no more room:\n  mend it")
    found = bench.run(*stages)
    assert found.standing == {"sample a", "sample b", "pair b"}
    assert found.failed == {
        "pair a": "no more room: mend it",
        "train a": "did not run, for it needs pair a",
    }
    assert found.cause("train a") == "pair a: no more room: mend it"
    assert bench.folder("train a").is_dir(), "the old artifact lies there still, and does not count"


def test_a_defect_of_the_program_is_named_by_its_kind(bench: Bench) -> None:
    bench.broken["sample a"] = KeyError("x")
    assert bench.run(*chain(bench)).failed["sample a"] == "KeyError: 'x'"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"5", b"[" * 100_000, b'{"stage": 1}'])
def test_a_garbage_manifest_is_no_manifest(bench: Bench, content: bytes) -> None:
    bench.run(*chain(bench))
    (bench.folder("pair a") / "manifest.json").write_bytes(content)
    assert bench.run(*chain(bench)).failed == {}
    assert bench.made == ["pair a"]


@pytest.mark.parametrize("what", ["folder", "manifest", "part", "cut", "contents", "a file in its place"])
def test_an_artifact_that_is_not_whole_is_made_again(bench: Bench, what: str) -> None:
    bench.run(*chain(bench))
    folder = bench.folder("pair a")
    if what in ("folder", "a file in its place"):
        shutil.rmtree(folder)
        if what != "folder":
            folder.write_text("not a folder")
    elif what == "manifest":
        (folder / "manifest.json").unlink()
    elif what == "part":
        (folder / "part.txt").unlink()
    elif what == "cut":
        (folder / "part.txt").write_text("")
    else:
        (folder / "contents.json").write_text("{")
    assert bench.run(*chain(bench)).failed == {}
    assert bench.made == ["pair a"]
    assert (folder / "part.txt").read_text() == "pair a None"


def test_what_was_lost_is_asked_for_again_and_what_depends_on_it_made_anew(bench: Bench) -> None:
    bench.lost["sample a"] = {"timed out": 3}
    first = bench.run(*chain(bench))
    assert len(first.standing) == 3
    assert first.lost == {"sample a": {"timed out": 3}}
    assert any("3 lost" in line for line in bench.said)
    assert chain(bench)[0].state() is State.PARTLY
    assert bench.run(*chain(bench)) == first
    assert bench.made == ["sample a"], "the same is missing, so what was built from it is as it was"
    bench.lost["sample a"] = {"timed out": 1}
    bench.run(*chain(bench))
    assert bench.made == ["sample a", "pair a", "train a"]
    bench.lost.clear()
    assert bench.run(*chain(bench)).lost == {}
    assert bench.made == ["sample a", "pair a", "train a"]
    bench.run(*chain(bench))
    assert bench.made == []


def test_what_stands_partly_stands_when_asking_again_fails(bench: Bench) -> None:
    bench.lost["sample a"] = {"timed out": 3}
    first = bench.run(*chain(bench))
    bench.broken["sample a"] = StudyError("the server is down")
    assert bench.run(*chain(bench)) == first
    assert any("asked again in vain: the server is down" in line for line in bench.said)
    bench.settings["sample a"] = "other"
    assert bench.run(*chain(bench)).standing == set()


def test_a_need_that_no_stage_fills_is_named(bench: Bench) -> None:
    with pytest.raises(StudyError, match=r"'pair a' needs 'smaple a', and no stage of that name is there"):
        bench.run(bench.stage("sample a"), bench.stage("pair a", "smaple a"))
    assert bench.made == []


def test_stages_that_wait_for_one_another_are_named(bench: Bench) -> None:
    with pytest.raises(StudyError, match="wait for one another: pair a, train a"):
        bench.run(bench.stage("sample a"), bench.stage("pair a", "train a"), bench.stage("train a", "pair a"))


def test_what_changes_while_a_stage_runs_is_noticed(bench: Bench) -> None:
    def edit() -> None:
        bench.settings["sample a"] = "edited"

    found = bench.run(bench.stage("sample a", meanwhile=edit))
    assert "changed while it ran" in found.failed["sample a"]
    assert not bench.folder("sample a").exists()


def test_the_beginning_is_told_only_where_something_runs(bench: Bench) -> None:
    begun: list[int] = []
    run_stages(chain(bench), Here(), say=lambda _: None, beginning=lambda: begun.append(len(bench.made)))
    assert begun == [0]
    run_stages(chain(bench), Here(), say=lambda _: None, beginning=lambda: begun.append(1))
    assert begun == [0]


@given(st.data())
def test_every_stage_stands_or_has_its_reason(data: st.DataObject) -> None:
    """Any graph, any stages that fail: each runs after what it needs, once, and none is forgotten."""
    count = data.draw(st.integers(1, 8))
    names = [f"stage {k}" for k in range(count)]
    needs = {
        n: data.draw(st.lists(st.sampled_from(names[:k]), unique=True)) if k else []
        for k, n in enumerate(names)
    }
    broken = set(data.draw(st.lists(st.sampled_from(names), unique=True)))
    made: list[str] = []

    class Quick(Stage):
        def state(self) -> State:
            return State.MISSING

        def lost(self) -> dict[str, int]:
            return {}

        def run(self) -> None:
            assert set(self.needs) <= set(made)
            if self.name in broken:
                raise StudyError("broken")
            made.append(self.name)

    order = data.draw(st.permutations(names))
    stages = [Quick(n, Path("none"), needs[n], dict, lambda _: None) for n in order]
    found = run_stages(stages, Here(), say=lambda _: None)

    def sound(name: str) -> bool:
        return name not in broken and all(map(sound, needs[name]))

    assert found.standing == set(made) == {n for n in names if sound(n)}
    assert found.failed.keys() == set(names) - found.standing
    assert len(made) == len(set(made))
    assert {found.cause(n).rpartition(": ")[2] for n in found.failed} <= {"broken"}
