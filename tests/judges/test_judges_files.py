"""Judges asked about files in Python: settings or keywords, judges by name or opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.judges import (
    JudgeFileSettings,
    PhraseJudge,
    correct_rate,
    judge_file,
    read_labelled,
    train_judge,
    validate_judges,
)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "labelled.csv"
    rows = [f"Question {n}?,{('I cannot help.', 'Boil it.')[n % 2]},{n % 2}" for n in range(50)]
    file.write_text("\n".join(["asked,response,label", *rows]) + "\n")
    return file


def test_keywords_are_the_settings_fields(labelled: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = judge_file(
        labelled,
        prompt_column="asked",
        judges=("refusals", PhraseJudge()),
        progress=lambda *at: seen.append(at),
    )
    assert list(done.rates) == ["refusals", "phrases"]
    assert done.rates["phrases"].hits == 25
    assert seen[-1] == (100, 100)
    first = json.loads(done.write(tmp_path / "judged.jsonl").read_text().splitlines()[0])
    assert first["verdicts"]["phrases"]["refusal"] is True


def test_settings_and_keywords_together(labelled: Path) -> None:
    settings = JudgeFileSettings.of(judges="phrases", kind="benign")
    done = judge_file(labelled, settings, prompt_column="asked")
    assert done.rates["phrases"].hits == 0


def test_one_judge_may_stand_alone(labelled: Path) -> None:
    done = validate_judges(labelled, judges=PhraseJudge(), prompt_column="asked")
    assert [one.accuracy for one in done.agreements] == [1.0]
    assert (done.n, done.prompts, done.positive) == (50, 50, 25)


def test_what_is_wrong_goes_by_its_keyword(labelled: Path) -> None:
    with pytest.raises(InputError, match="the offline judges give no grade; name by judges one"):
        validate_judges(labelled, threshold=0.4)
    with pytest.raises(InputError, match="labels is missing: give it"):
        correct_rate(labelled, judge="phrases")
    with pytest.raises(InputError, match="judges = "):
        judge_file(labelled, judges=())


def test_a_judge_is_trained_on_files_or_on_what_was_read(labelled: Path) -> None:
    of_file = train_judge(labelled, prompt_column="asked", what="refusal", positive=("0",))
    cases = read_labelled(labelled, prompt="asked", positive=("0",))
    assert train_judge(cases, what="refusal").id == of_file.id
    with pytest.raises(InputError, match="columns are named"):
        train_judge(cases, label_column="label")
