"""What the results hold: what stands now under the present configuration, and nothing that lies there from before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny_study import MEMBER, tiny_settings, write_prompts

from backfire.answers import read_cells, read_results
from backfire.errors import InputError, ModelError, StudyError
from backfire.judges import rubric, trained
from backfire.judges.reasoning import AnswerAndThoughts
from backfire.store import read_json
from backfire.study import Finished, parse_study, rewrite_page, run_study
from backfire.study.identities import identity_of, judge_identity, suite_identity
from loopback import chat
from running import invoke


def settings_of(folder: Path, **changes: Any) -> dict[str, Any]:
    return tiny_settings(folder, recipes=["gpt4o+self"], audit=None, **changes)


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Put a run folder back as it was afterwards."""
    copy = folder.with_name("kept")
    shutil.copytree(folder, copy, symlinks=True)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        copy.rename(folder)


def run(settings: dict[str, Any], folder: Path) -> Finished:
    return run_study(parse_study(settings), folder, say=lambda _: None)


@pytest.fixture(scope="module")
def files(miniature_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standing")


@pytest.fixture(scope="module")
def settings(files: Path) -> dict[str, Any]:
    return settings_of(files)


@pytest.fixture
def folder(settings: dict[str, Any], files: Path) -> Iterator[Path]:
    """A finished run, put back after each test."""
    there = files / "run"
    if not there.exists():
        assert not run(settings, there).failed
    with kept(there):
        yield there


@pytest.mark.parametrize("ending", ["", ".dir", ".dat", ".bak", ".db"])
def test_the_database_of_an_older_scheduler_does_not_matter(
    settings: dict[str, Any], folder: Path, files: Path, ending: str
) -> None:
    (folder / ".schedule" / f"doit.db{ending}").write_bytes(b"\x00 cut")
    direct = Path(settings["attacks"]["harmful"]["direct"])
    before = direct.read_text()
    try:
        direct.write_text("".join(before.splitlines(keepends=True)[:3]))
        found = run(settings, folder)
        assert not found.failed
        (rate,) = found.results.cells[0].asr
        assert rate.scored + rate.unscored == 3
    finally:
        direct.write_text(before)


def test_a_stage_that_fails_leaves_none_of_its_old_numbers(settings: dict[str, Any], folder: Path) -> None:
    old = read_json(folder / "results.json")
    attacks = {**settings["attacks"], "judges": [f"rubric:{folder}/nobody"]}
    with pytest.raises(StudyError, match=r"no cell of tiny could be finished.*nobody"):
        run({**settings, "attacks": attacks}, folder)
    assert read_json(folder / "results.json") == old
    assert "Of an earlier run" in (folder / "report" / "index.html").read_text()
    said = invoke(["report", str(folder)])
    assert said.exit_code == 0
    assert "has not finished" in said.output
    assert "Of an earlier run" in (folder / "report" / "index.html").read_text()
    assert not run(settings, folder).failed
    assert "Of an earlier run" not in (folder / "report" / "index.html").read_text()
    assert "Of an earlier run" not in rewrite_page(folder).read_text()


def test_a_part_that_fails_is_missing_by_name_and_the_rest_stands(
    settings: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backfire import auditing

    def fails(*_: object, **__: object) -> None:
        raise InputError("no room for an audit")

    first = run({**settings, "audit": {"hidden": False}}, folder)
    assert not first.failed
    assert "audit" in first.results.cells[1].provenance
    with monkeypatch.context() as patch:
        patch.setattr(auditing, "audit", fails)
        found = run({**settings, "audit": {"hidden": False, "max_pairs": 30}}, folder)
    assert {name.partition(" ")[0] for name in found.failed} == {"audit"}
    assert all(cell.asr for cell in found.results.cells)
    assert list(folder.glob("cells/*/audit/audit.json")), "the old audit lies there still"
    written = read_json(folder / "results.json")
    assert written["stages"]["parts_missing"] == {"llama gpt4o+self": "audit: no room for an audit"}
    assert not [key for key in written["cells"][1]["provenance"] if "audit" in key]
    assert "Not measured" in (folder / "report" / "index.html").read_text()
    back = run(settings, folder)
    assert "audit" not in back.results.cells[1].provenance, "a part that is not asked for is not shown"
    assert "parts_missing" not in back.results.stages


def test_a_cell_whose_training_fails_now_is_not_in_the_table(settings: dict[str, Any], folder: Path) -> None:
    human = {**settings, "targets": [{**settings["targets"][0]}]}
    responders = [dict(r) for r in settings["targets"][0]["responders"]]
    responders[1]["model"] = f"{MEMBER}nobody"
    human["targets"][0]["responders"] = responders
    found = run(human, folder)
    assert [cell.recipe for cell in found.results.cells] == ["sft"]
    assert "nobody" in str(found.results.stages["cells_missing"])


@pytest.mark.parametrize("garbage", ["", "{", "[1]", "\udc80"])
def test_results_that_do_not_read_are_written_anew(
    settings: dict[str, Any], folder: Path, garbage: str
) -> None:
    whole = read_json(folder / "results.json")
    (folder / "results.json").write_bytes(garbage.encode("utf-8", "surrogateescape"))
    run(settings, folder)
    assert {**read_json(folder / "results.json"), "created": ""} == {**whole, "created": ""}


def test_a_run_killed_between_the_page_and_the_results_writes_both(
    settings: dict[str, Any], folder: Path
) -> None:
    text = (folder / "report" / "index.html").read_text()
    (folder / "report" / "index.html").write_text("of another configuration")
    (folder / ".schedule" / "unfinished").write_text("2026-01-01")
    run(settings, folder)
    assert len((folder / "report" / "index.html").read_text()) > len(text) / 2
    assert not (folder / ".schedule" / "unfinished").exists()


def test_outcomes_of_another_run_than_the_results_are_not_compared(
    settings: dict[str, Any], folder: Path
) -> None:
    assert len(read_cells(folder)) == 2
    manifest = next(folder.glob("cells/*/attack/manifest.json"))
    manifest.write_text(json.dumps({**read_json(manifest), "seed": 1}))
    with pytest.raises(InputError, match=r"attack\.json is not the one.*Run the study again"):
        read_cells(folder)


def test_a_garbage_stamp_is_no_run_of_ours(settings: dict[str, Any], tmp_path: Path) -> None:
    for garbage in ("{", "digest: 1\nstudy: 2\n", "digest: 1\nstudy: {}\n", "\x00"):
        (tmp_path / "study.yaml").write_text(garbage)
        with pytest.raises(StudyError, match="was not written by a run"):
            run(settings, tmp_path)


def test_lost_requests_exit_1_and_are_asked_for_again_and_no_others(
    miniature_world: Path, tmp_path: Path
) -> None:
    import yaml

    from backfire.organisms.catalog import world_prompts

    broken = {p.text for p in world_prompts(f"{MEMBER}prompts/train")[:3]}
    refused = {p.text for p in world_prompts(f"{MEMBER}prompts/train")[3:5]}
    well = False

    def reply(_: str, turns: list[dict[str, str]]) -> str | None:
        text = turns[-1]["content"]
        if text in refused:
            return None
        return " " if text in broken and not well else f"An answer of {len(text)} letters."

    with chat(reply) as server:
        settings = settings_of(tmp_path)
        settings["targets"][0]["responders"][1]["model"] = server.reference("m")
        path, out = tmp_path / "study.yaml", tmp_path / "run"
        path.write_text(yaml.safe_dump(settings))
        command = ["study", "run", str(path), "--out", str(out)]
        first = invoke(command)
        assert first.exit_code == 1, first.output
        assert "3 requests were lost; the same command asks for them again" in first.output
        assert len(server.asked["m"]) == 12
        cell = read_results(out).cells[1]
        assert cell.pairs is not None
        assert cell.pairs.built == 12 - 5
        left_out = read_json(out / "results.json")["stages"]["left_out"]
        counts = {what.partition("(")[2]: sum(of.values()) for what, of in left_out.items()}
        assert 3 in counts.values()
        assert 2 in counts.values()

        again = invoke(command)
        assert again.exit_code == 1
        assert len(server.asked["m"]) == 12 + 3, "only what was lost, and not what was refused"
        assert "train" not in again.output

        well = True
        last = invoke(command)
        assert last.exit_code == 0, last.output
        assert len(server.asked["m"]) == 12 + 3 + 3
        cell = read_results(out).cells[1]
        assert cell.pairs is not None
        assert cell.pairs.built == 12 - 2
        assert invoke(command).exit_code == 0
        assert len(server.asked["m"]) == 12 + 3 + 3


def test_verdicts_that_are_lost_are_asked_for_again(
    settings: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Organisms of three steps write no letter, and such responses are not put to a judge.
    monkeypatch.setattr(rubric, "readable", lambda text: AnswerAndThoughts(text))
    well = False

    def reply(_: str, turns: list[dict[str, str]]) -> str | None:
        return "#thereason: none\n#thescore: 1" if well else " "

    with chat(reply) as server:
        judged = {
            **settings,
            "attacks": {**settings["attacks"], "judges": [f"rubric:{server.reference('j')}"]},
        }
        found = run(judged, folder)
        assert not found.failed
        assert len(found.lost) == 2, [c.notes for c in found.results.cells]
        assert all(rate.unscored == 6 for cell in found.results.cells for rate in cell.asr)
        well = True
        found = run(judged, folder)
        assert not found.lost
        assert all(rate.unscored == 0 for cell in found.results.cells for rate in cell.asr)


def test_retrained_shipped_weights_are_another_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def name() -> str:
        return judge_identity("refusals", None)

    before, panel = name(), judge_identity("panel:any:refusals+phrases", None)
    assert before == trained.shipped_refusals().id
    judge = trained.shipped_refusals()
    moved = trained.TrainedJudge(
        judge.name,
        judge.what,
        judge.features,
        trained.Weights(judge.weights.coefficients * 2, judge.weights.intercept),
        judge.card,
    )
    monkeypatch.setattr(trained, "shipped_refusals", lambda: moved)
    assert name() != before
    assert judge_identity("panel:any:refusals+phrases", None) != panel


def test_every_judge_has_an_identity_of_its_contents(
    miniature_world: Path, tmp_path: Path, tiny_llama: Path
) -> None:
    references = [
        *("phrases", "refusals", "matcher:zou2023universal-demo", "matcher:zou2023universal-transfer"),
        *("panel:any:phrases+refusals", "panel:all:phrases+refusals"),
        *("rubric:openai:m@http://a/v1", "rubric:openai:m@http://b/v1", "strongreject:openai:m@http://a/v1"),
        *(f"rubric:{tiny_llama}", f"wildguard:{tiny_llama}", f"harmbench:{tiny_llama}"),
    ]
    found = [judge_identity(reference, None) for reference in references]
    assert len(set(found)) == len(found)
    assert judge_identity("exact", "w5") != judge_identity("exact", "w0")
    moved = shutil.copytree(tiny_llama, tmp_path / "moved")
    assert judge_identity(f"rubric:{moved}", None) == judge_identity(f"rubric:{tiny_llama}", None)
    template = moved / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert judge_identity(f"rubric:{moved}", None) != judge_identity(f"rubric:{tiny_llama}", None)
    file = trained.shipped_refusals().write(tmp_path / "mine.json")
    before = judge_identity(str(file), None)
    content = json.loads(file.read_text())
    content["intercept"] += 1
    file.write_text(json.dumps(content))
    assert judge_identity(str(file), None) != before


def test_endpoints_and_folders_of_data_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://a/v1")
    before = identity_of("openai:m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://b/v1")
    assert identity_of("openai:m") != before
    assert identity_of("openai:m") == identity_of("openai:m@http://b/v1/")
    folder = tmp_path / "shards"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"prompt": "a"}\n')
    first = identity_of(str(folder))
    (folder / "b.jsonl").write_text('{"prompt": "b"}\n')
    assert identity_of(str(folder)) != first


def test_a_suites_files_and_wordings_are_part_of_it(tmp_path: Path) -> None:
    shots = tmp_path / "shots.jsonl"
    shots.write_text('{"prompt": "p", "response": "r"}\n')
    suite = tmp_path / "mine.yaml"
    suite.write_text("mine: [leetspeak, {attack: few-shot, n: 1, examples: shots.jsonl}]\n")
    before = suite_identity(str(suite))
    shots.write_text('{"prompt": "p", "response": "other"}\n')
    after = suite_identity(str(suite))
    assert before[0] == after[0]
    assert before[1] != after[1]
    suite.write_text("mine: [{attack: translation, translator: 'openai:m@http://a/v1'}]\n")
    one = suite_identity(str(suite))
    suite.write_text("mine: [{attack: translation, translator: 'openai:m@http://b/v1'}]\n")
    assert suite_identity(str(suite)) != one
    words = {one["wording"] for one in suite_identity("leetspeak,rot13,prefill,escalation")}
    assert len(words) == 4


def test_a_table_of_prompts_is_known_by_its_contents(miniature_world: Path, tmp_path: Path) -> None:
    one = write_prompts(tmp_path, "one.jsonl", {"direct": 3})
    other = write_prompts(tmp_path, "other.jsonl", {"direct": 3})
    assert identity_of(one) == identity_of(other)


def test_an_audit_of_which_a_part_failed_is_tried_again(
    settings: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backfire.auditing import measuring

    def fails(*_: object, **__: object) -> None:
        raise ModelError("no room for the policy")

    asked = {**settings, "audit": {"hidden": True}}
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "read_policy", fails)
        first = run(asked, folder)
    assert not first.failed
    assert list(first.lost.values()) == [{"policy: no room for the policy": 1}]
    left_out = read_json(folder / "results.json")["stages"]["left_out"]
    assert [name for name in left_out if "parts of the audit" in name and "tries them again" in name]
    assert "tries them again" in (folder / "report" / "index.html").read_text()
    second = run(asked, folder)
    assert not second.lost
    assert "parts of the audit" not in (folder / "results.json").read_text()
