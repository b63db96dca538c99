"""What a study's training takes from the rest of its file: how models are opened, and what its pilot does not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from backfire.answers.results import Training
from backfire.errors import StudyError
from backfire.models import Opening
from backfire.study.cells import RunFolder, grid
from backfire.study.collect import watch_row
from backfire.study.graph import stages_of
from backfire.study.plan import StudyFile
from backfire.study.sampling import sample_stages, score_stages
from backfire.study.stage import Job
from backfire.study.study_file import parse_study
from backfire.study.training import opened_as, train_stages, watched_as_named
from backfire.training import DPOSettings
from backfire.training.watch_points import WatchedPairs, WatchedShare, WatchPoint, write_points

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "prompts": "advbench",
    "targets": [
        {"family": "a", "policy": "some/model", "responders": [{"role": "self", "model": "some/model"}]}
    ],
    "recipes": ["gpt4o+self"],
    "attacks": {"harmful": {"direct": "advbench:10"}},
}


def study(**changes: Any) -> StudyFile:
    return parse_study({**SETTINGS, **changes})


def test_training_computes_where_and_in_what_the_study_opens_its_models() -> None:
    training = study(training={"lr": 1e-5}).dpo()
    settings = opened_as(
        training, Opening(device="cpu", dtype="bfloat16", chat_template=Path("chat.jinja")), DPOSettings
    )
    assert (settings.opening.device, settings.dtype) == ("cpu", "bfloat16")
    assert settings.opening.chat_template == Path("chat.jinja")
    assert settings.lr == 1e-5
    assert opened_as(training, Opening(device="cuda:1"), DPOSettings).opening.device == "cuda"
    assert opened_as(training, Opening(device="auto"), DPOSettings).opening.device is None


def test_what_training_says_itself_counts() -> None:
    training = study(training={"dtype": "float32"}).dpo()
    assert opened_as(training, Opening(dtype="bfloat16"), DPOSettings).dtype == "float32"
    with pytest.raises(StudyError, match=r"opening\.dtype float16 cannot be trained in"):
        opened_as(study().dpo(), Opening(dtype="float16"), DPOSettings)


def test_a_dtype_that_nothing_is_trained_in_ends_the_study_before_any_stage_runs(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, tmp_path / "ledger.db")
    settings = study(opening={"dtype": "float16"})
    with pytest.raises(StudyError, match=r"opening\.dtype float16 cannot be trained in"):
        stages_of(run, grid(settings))


def test_a_rate_that_the_study_does_not_give_stays_one_that_nobody_gave() -> None:
    assert "lr" not in opened_as(study().dpo(), Opening(dtype="float32"), DPOSettings).model_fields_set


@pytest.mark.parametrize("name", ["seed", "reading", "opening"])
def test_what_the_study_knows_is_no_setting_of_its_training(name: str) -> None:
    with pytest.raises(StudyError, match=rf"training\.{name} comes from the study"):
        study(training={name: 1 if name == "seed" else {}})


def test_the_pilot_is_in_the_settings_of_the_training_but_for_what_it_says() -> None:
    training = {"lr": 2e-6, "beta": 0.2, "batch_size": 4, "gradient_accumulation": 8}
    steps, plain = study(training=training, influence={"harmful": "advbench", "pilot": 5}).pilot()
    assert (steps, plain.lr, plain.beta, plain.batch_size * plain.gradient_accumulation) == (5, 2e-6, 0.2, 32)
    own = {"steps": 5, "lr": 1e-5, "batch_size": 16}
    _, other = study(training=training, influence={"harmful": "advbench", "pilot": own}).pilot()
    assert (other.lr, other.beta, other.batch_size * other.gradient_accumulation) == (1e-5, 0.2, 16)


def given(**responder: Any) -> list[dict[str, Any]]:
    return [{"family": "a", "policy": "some/model", "responders": [{"role": "self", **responder}]}]


def test_a_file_of_responses_is_read_as_the_study_says(tmp_path: Path) -> None:
    reading = {"prompt_column": "question", "encoding": "cp1252"}
    run = RunFolder(tmp_path, tmp_path / "ledger.db")
    plain, other = (
        next(sample_stages(run, next(c for c in grid(study(targets=targets)) if c.recipe != "sft")))
        for targets in (given(file="people.csv"), given(file="people.csv", reading=reading))
    )
    assert (plain.settings, other.settings) == ({}, reading)
    assert plain.folder != other.folder


@pytest.mark.parametrize(
    ("responder", "wrong"),
    [
        ({"model": "some/model", "reading": {}}, "reading"),
        ({"file": "people.csv", "decoding": {"temperature": 0.5}}, "decoding"),
        ({"file": "people.csv", "reading": {"source_column": "who"}}, "source_column"),
    ],
)
def test_what_belongs_to_the_other_kind_of_responder_is_refused(
    responder: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(StudyError, match=wrong):
        study(targets=given(**responder))


def test_a_study_scores_as_the_command_does(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, tmp_path / "ledger.db")
    scoring = {"batch_size": 4, "opening": {"label": "good", "max_length": 128, "dtype": "float32"}}

    def stage(**changes: Any) -> Any:
        settings = study(reward_model="some/reward", opening={"device": "cpu"}, **changes)
        return next(score_stages(run, next(c for c in grid(settings) if c.recipe != "sft")))

    plain, other = stage(), stage(scoring=scoring)
    assert plain.settings == {}
    assert other.settings == {"batch_size": 4, "label": "good", "max_length": 128}
    opening = next(one for one in other.inputs if one.role == "reward model").opening
    assert (opening.dtype, opening.device) == ("float32", "cpu")


def test_a_watched_training_is_made_of_what_it_watches_too(tmp_path: Path) -> None:
    """And one that is not watched is made of what it was made of before there was any watching."""
    run = RunFolder(tmp_path, tmp_path / "ledger.db")

    def training(**changes: Any) -> Any:
        (stage,) = train_stages(run, grid(study(training=changes))[-1])
        return stage

    plain = training(lr=1e-5)
    assert {one.role for one in plain.inputs} == {"pairs", "policy"}
    assert "watch" not in to_jsonable_python(plain.settings)
    watched = training(watch={"prompts": ["advbench:5", "organism:prompts/probe"], "every": 5})
    roles = {one.role for one in watched.inputs}
    assert roles == {"pairs", "policy", "watch/prompts.0", "watch/prompts.1", "watch/judge"}
    assert to_jsonable_python(watched.settings)["watch"]["every"] == 5
    job = Job(tmp_path, watched.settings, {one.role: one for one in watched.inputs}, run)
    settings = opened_as(watched_as_named(job), Opening(dtype="float32"), DPOSettings)
    assert settings.watch.prompts == ("advbench:5", "organism:w0:prompts/probe")
    assert settings.watch.every == 5


def test_what_was_watched_stands_in_the_results(tmp_path: Path) -> None:
    """Every line of watch.jsonl becomes a row that the results take, without what was not measured."""
    pairs = WatchedPairs(examples=4, logps_chosen=-3.0, logps_rejected=-5.0)
    share = WatchedShare(hits=1, scored=4, rate=0.25, low=0.1, high=0.5)
    first = WatchPoint(step=0, seconds=1.0, refused=share, training=pairs)
    later = first.model_copy(
        update={
            "step": 5,
            "refusal_margin": -1.5,
            "held_out": pairs.model_copy(update={"reward_accuracy": share}),
        }
    )
    lines = write_points(tmp_path, [first, later]).read_text(encoding="utf-8").splitlines()
    rows = [watch_row(json.loads(line)) for line in lines]
    assert rows[0] == {"step": 0, "refused": 0.25, "logps_chosen": -3.0, "logps_rejected": -5.0}
    assert rows[1] == {**rows[0], "step": 5, "refusal_margin": -1.5, "held_out_accuracy": 0.25}
    training = Training.model_validate({"method": "dpo", "steps": 5, "final_loss": 0.5, "watch": rows})
    assert [row.step for row in training.watch] == [0, 5]
