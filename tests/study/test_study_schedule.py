"""The schedule: what runs, what stands, what failed, and what is noticed about artifacts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import StudyError
from backfire.study.cells import RunFolder
from backfire.study.graph import in_order
from backfire.study.inputs import Artifact, FileInput, ModelInput
from backfire.study.process_pool import ThisProcess
from backfire.study.schedule import Outcome, run_stages
from backfire.study.stage import Job, Stage, State, dependencies


class Bench:
    """Stages over a folder; `made` counts how often each was made, and `broken` those that fail."""

    def __init__(self, root: Path) -> None:
        self.run_folder = RunFolder(root, root / "ledger.db")
        self.made: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.lost: dict[str, dict[str, int]] = {}
        self.settings: dict[str, Any] = {}
        self.said: list[str] = []

    def stage(self, name: str, *needs: str, **options: Any) -> Stage[Any]:
        def make(job: Job[Any]) -> dict[str, Any]:
            self.made.append(name)
            if name in self.broken:
                raise self.broken[name]
            (job.folder / "part.txt").write_text(f"{name} {job.settings}")
            return {"lost": self.lost.get(name, {})}

        inputs = [Artifact(need, self.folder(need)) for need in needs]
        options = {"make": make, "inputs": inputs, "settings": self.settings.get(name)} | options
        verb = options.pop("verb", name.split()[0])
        return Stage(self.run_folder, verb, self.folder(name), **options)

    def folder(self, name: str) -> Path:
        return self.run_folder.root / Path(*name.split())

    def run(self, *stages: Stage[Any]) -> Outcome:
        self.made.clear()
        return run_stages(stages, ThisProcess(), say=self.said.append)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def chain(bench: Bench) -> list[Stage[Any]]:
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
    def stages() -> list[Stage[Any]]:
        return [*chain(bench), bench.stage("sample b"), bench.stage("pair b", "sample b")]

    assert len(bench.run(*stages()).standing) == 5
    bench.settings |= {"pair a": 2, "sample b": 2}
    bench.broken["pair a"] = StudyError("no more room:\n  fix it")
    found = bench.run(*stages())
    assert found.standing == {"sample a", "sample b", "pair b"}
    assert found.failed == {
        "pair a": "no more room: fix it",
        "train a": "did not run, for it needs pair a",
    }
    assert found.cause("train a") == "pair a: no more room: fix it"
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


@pytest.mark.parametrize(
    "what", ["folder", "manifest", "part", "cut", "flipped", "contents", "a file in its place"]
)
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
    elif what == "flipped":
        (folder / "part.txt").write_text("pair b None")
    else:
        (folder / "contents.json").write_text("{")
    assert bench.run(*chain(bench)).failed == {}
    assert bench.made == ["pair a"]
    assert (folder / "part.txt").read_text() == "pair a None"


def test_a_large_file_that_changed_is_noticed_by_whoever_reads_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(*chain(bench))
    monkeypatch.setattr("backfire.store.contents.LARGE", 0)
    (bench.folder("pair a") / "part.txt").write_text("pair b None")
    bench.settings["train a"] = 2
    outcome = bench.run(*chain(bench))
    assert "part.txt is not as it was written" in outcome.failed["train a"]
    assert bench.made == []
    assert bench.run(*chain(bench)).failed == {}
    assert bench.made == ["pair a", "train a"]


def test_contents_of_an_older_version_are_sizes(bench: Bench) -> None:
    bench.run(*chain(bench))
    for name in ("sample a", "pair a", "train a"):
        contents = bench.folder(name) / "contents.json"
        contents.write_text(
            json.dumps({path: size for path, (size, _) in json.loads(contents.read_text()).items()})
        )
    bench.run(*chain(bench))
    assert bench.made == []


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


def test_an_input_that_no_stage_makes_is_named(bench: Bench) -> None:
    folder = bench.folder("smaple a")
    with pytest.raises(StudyError, match=rf"'pair a' takes its 'smaple a' from {folder}.* no stage makes it"):
        bench.run(bench.stage("sample a"), bench.stage("pair a", "smaple a"))
    assert bench.made == []


def test_a_reference_into_the_run_folder_waits_for_the_stage_that_makes_it(bench: Bench) -> None:
    """A policy of the same run as the start of another training, named by its path in the study file."""
    first = bench.stage("train a")
    inside = ModelInput("policy", str(first.folder / "policy"))
    second = bench.stage("train b", inputs=[inside])
    assert dependencies([second, first]) == {"train b": ("train a",), "train a": ()}
    nobody = ModelInput("policy", str(bench.folder("train c")))
    with pytest.raises(StudyError, match=r"'train b' takes its 'policy' from .* no stage makes it"):
        dependencies([first, bench.stage("train b", inputs=[nobody])])
    beside = FileInput("prompts", str(bench.run_folder.root / "prompts.jsonl"))
    assert dependencies([bench.stage("train b", inputs=[beside])]) == {"train b": ()}


def test_two_inputs_of_one_role_are_named(bench: Bench) -> None:
    sample = bench.stage("sample a")
    pair = bench.stage("pair a", inputs=[Artifact("sample a", sample.folder)] * 2)
    assert "two inputs of one role: sample a" in bench.run(sample, pair).failed["pair a"]


def test_two_stages_of_one_folder_are_named(bench: Bench) -> None:
    twice = [bench.stage("sample a"), bench.stage("sample a", verb="score")]
    with pytest.raises(StudyError, match="two stages"):
        bench.run(*twice)


def test_stages_that_wait_for_one_another_are_named(bench: Bench) -> None:
    circle = [bench.stage("pair a", "train a"), bench.stage("train a", "pair a")]
    with pytest.raises(StudyError, match="wait for one another: pair a, train a"):
        bench.run(bench.stage("sample a"), *circle)


def test_what_nobody_uses_is_left_out_and_the_rest_is_ordered(bench: Bench) -> None:
    stages = [
        bench.stage("train a", "pair a"),
        bench.stage("sample b", only_if_used=True),
        bench.stage("sample a", only_if_used=True),
        bench.stage("pair a", "sample a"),
        bench.stage("human a"),
    ]
    assert [stage.name for stage in in_order(stages)] == ["sample a", "pair a", "train a", "human a"]


def test_an_input_that_changes_while_a_stage_runs_is_noticed(bench: Bench, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("one")

    def make(job: Job[Any]) -> None:
        prompts.write_text("two")

    stage = bench.stage("sample a", inputs=[FileInput("prompts", str(prompts))], make=make)
    assert "changed while it ran" in bench.run(stage).failed["sample a"]
    assert not bench.folder("sample a").exists()


def test_the_beginning_is_told_only_where_something_runs(bench: Bench) -> None:
    begun: list[int] = []
    run_stages(
        chain(bench), ThisProcess(), say=lambda _: None, beginning=lambda: begun.append(len(bench.made))
    )
    assert begun == [0]
    run_stages(chain(bench), ThisProcess(), say=lambda _: None, beginning=lambda: begun.append(1))
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

    class Quick(Stage[Any]):
        def state(self) -> State:
            return State.MISSING

        def lost(self) -> dict[str, int]:
            return {}

        def run(self) -> None:
            assert set(needs[self.name]) <= set(made)
            if self.name in broken:
                raise StudyError("broken")
            made.append(self.name)

    root = Path("none")

    def quick(name: str) -> Stage[Any]:
        inputs = [Artifact(need, root / need.replace(" ", "/")) for need in needs[name]]
        run = RunFolder(root, root / "ledger.db")
        return Quick(run, "stage", root / name.replace(" ", "/"), None, inputs, lambda _: None)

    order = data.draw(st.permutations(names))
    found = run_stages([quick(n) for n in order], ThisProcess(), say=lambda _: None)

    def sound(name: str) -> bool:
        return name not in broken and all(map(sound, needs[name]))

    assert found.standing == set(made) == {n for n in names if sound(n)}
    assert found.failed.keys() == set(names) - found.standing
    assert len(made) == len(set(made))
    assert {found.cause(n).rpartition(": ")[2] for n in found.failed} <= {"broken"}
