"""A study that puts every request in several ways: a row for each, one for all together, and paired comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_study import tiny_settings

from backfire.answers import read_cells, read_results
from backfire.errors import StudyError
from backfire.store import Ledger
from backfire.study import Finished, parse_study, run_study

ROWS = ["alpaca", "leetspeak", "any attack"]


def settings(folder: Path, **attacks: Any) -> dict[str, Any]:
    value = tiny_settings(folder, recipes=["self+rm"])
    value["attacks"] |= attacks
    return value


@pytest.fixture(scope="module")
def finished(miniature_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("suites")
    own = folder / "suites.yaml"
    own.write_text("mine: [alpaca, leetspeak]\n")
    study = parse_study(settings(folder, suite=str(own), system="Be brief."))
    done = run_study(study, folder / "run", say=lambda _: None)
    assert not done.failed
    return done


def test_every_cell_has_a_row_for_each_and_for_all(finished: Finished) -> None:
    for cell in read_results(finished.folder).cells:
        assert [row.attack for row in cell.asr] == ROWS
        each = {row.attack: row for row in cell.asr}
        assert each["any attack"].harmful >= max(each["alpaca"].harmful, each["leetspeak"].harmful)
        assert {row.scored + row.unscored for row in cell.asr} == {6}


def test_outcomes_can_be_paired(finished: Finished) -> None:
    one, other = (cell.checkpoint for cell in read_cells(finished.folder))
    assert one.attacks == other.attacks == {"alpaca", "leetspeak"}
    assert one.together == other.together == {"any attack": 2}
    assert one.sets.keys() == {*ROWS, "benign"}
    asked = [set(outcomes) for cell in (one, other) for row in ROWS for outcomes in cell.sets[row].values()]
    assert all(prompts == asked[0] for prompts in asked)
    assert set(one.references) == {"direct", "benign"}


def test_the_system_prompt_stands_before_what_policies_are_asked(finished: Finished) -> None:
    with Ledger(finished.folder / "ledger.db") as ledger:
        tested = [r for name in ledger.sources() for r in ledger.responses_of(name) if r.decoding.greedy]
        asked = ledger.prompts([r.prompt_id for r in tested])
    assert len(tested) == 2 * (6 * 2 + 4)
    assert all(prompt.messages[0].content == "Be brief." for prompt in asked.values())


def test_an_unknown_suite_is_refused_before_anything_runs(tmp_path: Path, miniature_world: Path) -> None:
    with pytest.raises(StudyError, match=r"attacks\.suite.*'moarse'"):
        parse_study(settings(tmp_path, suite="moarse"))
    broken = tmp_path / "suites.yaml"
    broken.write_text(json.dumps({"mine": [{"attack": "few-shot"}]}))
    with pytest.raises(StudyError, match=r"attacks\.suite.*examples"):
        parse_study(settings(tmp_path, suite=str(broken)))


def test_a_suite_may_be_a_list_of_names(tmp_path: Path) -> None:
    listed = parse_study(settings(tmp_path, suite=["direct", "alpaca"]))
    assert listed == parse_study(settings(tmp_path, suite="direct,alpaca"))


@pytest.mark.parametrize("suite", [["direct", 3], 3, {"mine": ["direct"]}, [["direct"]], [], [object()]])
def test_a_suite_that_is_no_name_is_an_error_with_its_place(tmp_path: Path, suite: Any) -> None:
    with pytest.raises(StudyError, match=r"attacks(\.suite)?"):
        parse_study(settings(tmp_path, suite=suite))
