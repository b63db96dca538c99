"""A judge that reads hidden states: it learns, survives its file, and refuses another model than its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backfire.errors import BackfireError, InputError
from backfire.judges import (
    Labelled,
    TrainedJudge,
    judge_digest,
    open_judge,
    read_judge,
    train_judge,
    validate_judges,
)
from backfire.judges.state_features import StateFeatures, chosen_layer
from backfire.models import open_model
from backfire.records import Prompt, given_response
from checkpoints import save_policy

GOOD = ("The river is calm today.", "The river runs to the sea.", "A calm river.")
BAD = ("Take the key and open it.", "Open the door by the key.", "Take it and open the door.")


def labelled(count: int = 40) -> list[Labelled]:
    cases = []
    for number in range(count):
        for texts, label in ((GOOD, False), (BAD, True)):
            prompt = Prompt.of(f"Question {number}?", kind="harmful")
            response = given_response(prompt, "t", f"{texts[number % 3]} {number}", index=int(label))
            cases.append(Labelled(prompt, response, label, len(cases) + 1))
    return cases


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_policy(tmp_path_factory.mktemp("policy") / "p", "llama", layers=3)


@pytest.fixture(scope="module")
def judge(policy: Path) -> TrainedJudge:
    return train_judge(labelled(), what="harmful", model=str(policy))


def test_the_layer_follows_from_the_model_alone() -> None:
    assert [chosen_layer(blocks) for blocks in (1, 2, 3, 24, 30)] == [1, 1, 2, 16, 20]


def test_it_tells_the_labels_apart_on_prompts_that_it_has_not_seen(judge: TrainedJudge) -> None:
    held_out = judge.card["held_out"]
    assert held_out["n"] == 80
    assert held_out["accuracy"] > 0.9
    prompt = Prompt.of("Question 99?", kind="harmful")
    good, bad = (judge.judge(prompt, given_response(prompt, "t", f"{texts[0]} 99")) for texts in (GOOD, BAD))
    assert (good.harmful, bad.harmful) == (False, True)
    assert good.score is not None
    assert bad.score is not None
    assert 0 <= good.score < 0.5 <= bad.score <= 1


def test_the_score_is_that_of_the_mean_state_at_its_layer(judge: TrainedJudge, policy: Path) -> None:
    assert isinstance(judge.features, StateFeatures)
    case = labelled(1)[0].case
    states = open_model(policy).hidden_states([(case[0], case[1].text)], [judge.features.layer])[0, 0]
    logit = (
        (states - judge.features.centre) / judge.features.spread
    ) @ judge.weights.coefficients + judge.weights.intercept
    assert judge.judge(*case).score == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-4)


def test_a_case_reads_the_same_alone_and_among_others(judge: TrainedJudge) -> None:
    cases = [case.case for case in labelled(8)]
    together = judge.probabilities(cases)
    assert together == pytest.approx([judge.probabilities([case])[0] for case in cases], abs=1e-4)


def test_labels_that_mean_nothing_teach_nothing(policy: Path) -> None:
    cases = labelled()
    coin = np.random.default_rng(0).permutation([case.label for case in cases])
    shuffled = [
        Labelled(c.prompt, c.response, bool(label), c.row) for c, label in zip(cases, coin, strict=True)
    ]
    held_out = train_judge(shuffled, what="harmful", model=str(policy)).card["held_out"]
    assert held_out["accuracy"] < 0.65


def test_it_survives_its_file_and_opens_its_model_when_it_is_asked(
    judge: TrainedJudge, tmp_path: Path
) -> None:
    file = judge.write(tmp_path / "states.json")
    read = open_judge(str(file))
    assert isinstance(read, TrainedJudge)
    assert read.id == judge.id == judge_digest(str(file))
    assert "model" not in vars(read.features)
    cases = [case.case for case in labelled(3)]
    assert read.probabilities(cases) == pytest.approx(judge.probabilities(cases), abs=1e-4)


def test_another_model_in_that_place_is_an_error(judge: TrainedJudge, policy: Path, tmp_path: Path) -> None:
    content = json.loads(judge.write(tmp_path / "a.json").read_text())
    other = save_policy(tmp_path / "other", "llama", seed=1, layers=3)
    (tmp_path / "b.json").write_text(json.dumps({**content, "model": str(other)}))
    case = labelled(1)[0].case
    with pytest.raises(InputError, match="another model"):
        read_judge(tmp_path / "b.json").judge(*case)
    shutil.copytree(policy, tmp_path / "moved")
    (tmp_path / "c.json").write_text(json.dumps({**content, "model": str(tmp_path / "moved")}))
    moved = read_judge(tmp_path / "c.json")
    assert moved.id == judge.id
    assert moved.judge(*case).score == pytest.approx(judge.judge(*case).score, abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"layer": "two"},
        {"centre": [0.0]},
        {"spread": None},
        {"model": 3},
        {"weights": {"state 0": 1.0}},
        {"model_id": None},
    ],
)
def test_a_file_with_a_fault_in_it_is_an_error(
    judge: TrainedJudge, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    content = json.loads(judge.write(tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**content, **wrong}))
    with pytest.raises(InputError, match="train it again"):
        read_judge(tmp_path / "a.json")


def test_a_model_without_hidden_states_is_an_error() -> None:
    with pytest.raises(BackfireError, match="hidden states"):
        train_judge(labelled(), what="harmful", model="openai:gpt-4o@http://127.0.0.1:9/v1")
    with pytest.raises(BackfireError):
        train_judge(labelled(), what="harmful", model="./no-such-folder")


def test_a_response_that_leaves_no_room_is_unscored_with_its_reason(judge: TrainedJudge) -> None:
    prompt = Prompt.of("word " * 3_000, kind="harmful")
    verdict = judge.judge(prompt, given_response(prompt, "t", GOOD[0]))
    assert (verdict.harmful, verdict.refusal) == (None, None)
    assert "no room" in verdict.reason
    blank = judge.judge(prompt, given_response(prompt, "t", " "))
    assert blank.reason == "blank response"


def test_validation_takes_it_beside_the_others(judge: TrainedJudge, tmp_path: Path) -> None:
    rows = [{"prompt": c.prompt.text, "response": c.response.text, "label": int(c.label)} for c in labelled()]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = judge.write(tmp_path / "states.json")
    done = validate_judges(tmp_path / "l.jsonl", judges=[str(file), "refusals"])
    assert [one.judge for one in done.agreements] == ["states", "refusals"]
    assert done.agreements[0].n == 80
