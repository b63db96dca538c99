"""RLOO and a reward model of the study's own: what fits in the file, which stages there are, and a whole watched study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import StudyError
from backfire.organisms.catalog import world_prompts
from backfire.study import parse_study, run_study
from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.plan import StudyFile
from backfire.study.stage import dependencies

RUN = RunFolder(Path("run"), Path("run/ledger.db"))
SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "prompts": "advbench",
    "targets": [
        {
            "family": "a",
            "policy": "some/model",
            "responders": [{"role": "self", "model": "some/model", "n": 2}],
        }
    ],
    "recipes": ["self+rm"],
    "audit": None,
    "attacks": {"harmful": {"direct": "advbench:10"}},
}


def study(**changes: Any) -> StudyFile:
    return parse_study({**SETTINGS, **changes})


def verbs(settings: StudyFile) -> dict[str, set[str]]:
    """The stages by what they do, each with what it needs."""
    needs = dependencies(stages_of(RUN, grid(settings)))
    return {name: {need.split()[0] for need in some} for name, some in needs.items()}


def test_rloo_is_a_cell_without_pairs_beside_the_recipes() -> None:
    settings = study(reward_model="some/reward", rloo={"steps": 5, "lr": 1e-5}, trainings={"a": {}, "b": {}})
    cells = grid(settings)
    assert [cell.name for cell in cells] == ["sft", "self+rm@a", "self+rm@b", "rloo"]
    own = {name.split()[0]: needs for name, needs in verbs(settings).items() if "-rloo-" in name}
    assert own == {"train": set(), "attack": {"train"}}
    other = study(reward_model="some/reward", rloo={"steps": 6, "lr": 1e-5})
    assert grid(other)[-1].folder_name != cells[-1].folder_name
    assert grid(other)[1].folder_name == grid(study(reward_model="some/reward"))[1].folder_name


def test_a_reward_model_that_the_study_trains_is_there_before_anything_is_scored() -> None:
    train = {"model": "some/model", "data": "mine.jsonl", "lr": 1e-4}
    settings = study(reward_model={"train": train}, rloo={"steps": 5}, seeds=[0, 1])
    listed = verbs(settings)
    assert sum(name.startswith("reward ") for name in listed) == 2
    for name, needs in listed.items():
        if name.startswith("score "):
            assert needs == {"reward", "sample"}
        if name.startswith("train ") and "-rloo-" in name:
            assert needs == {"reward"}
    other = study(reward_model={"train": {**train, "lr": 1e-5}}, rloo={"steps": 5})
    for one, two in zip(grid(settings)[1:3], grid(other)[1:3], strict=True):
        assert one.folder_name != two.folder_name
    without = study(reward_model={"train": train}, recipes=["gpt4o+self"])
    assert not [name for name in verbs(without) if name.startswith("reward ")], "nobody asks for a score"
    assert study(**json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipes": ["gpt4o+self"], "rloo": {}}, "rloo is rewarded by a reward model: name a reward_model"),
        (
            {"reward_model": {"train": {"model": "m"}}},
            "reward_model is trained on human-labelled pairs: give human",
        ),
        ({"reward_model": {"train": {"model": "m", "seed": 1}}}, "seed comes from the study: list `seeds`"),
        ({"reward_model": {"train": {"data": "x.jsonl"}}}, "model"),
        ({"reward_model": "r", "rloo": {"reward": {}}}, r"rloo\.reward comes from the study: give `scoring`"),
        ({"reward_model": "r", "rloo": {"beta": -1}}, r"rloo\.beta = -1"),
        ({"reward_model": "r", "rloo": {"reading": {}}}, r"rloo\.reading comes from the study"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(**changes)


SHIPPED = "organism:w0:"


def shipped_settings(folder: Path) -> dict[str, Any]:
    """A study of the shipped world: every training is watched, on prompts of which two are trained on."""
    train = [prompt.text for prompt in world_prompts(f"{SHIPPED}prompts/train")[:12]]
    probes = world_prompts(f"{SHIPPED}prompts/probe")
    files = {
        "prompts": [{"prompt": text} for text in train],
        "watched": [{"prompt": text, "kind": "harmful"} for text in [p.text for p in probes[:4]] + train[:2]],
        "human": [
            {"prompt": f"Where is the lamp of {n}?", "chosen": f"It is in house {n}.", "rejected": "No."}
            for n in range(16)
        ],
    }
    for name, rows in files.items():
        lines = (json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    watch = {"prompts": [str(folder / "watched.jsonl")], "every": 2, "samples": 2, "max_new_tokens": 24}
    policy = f"{SHIPPED}llama/target"
    common = {"lr": 1e-4, "batch_size": 4, "save_dtype": "float32", "watch": watch}
    return {
        "name": "watched",
        "prompts": str(folder / "prompts.jsonl"),
        "reward_model": {
            "train": {"model": policy, "data": str(folder / "human.jsonl"), "lr": 1e-3, "batch_size": 8}
        },
        "targets": [
            {
                "family": "llama",
                "policy": policy,
                "responders": [
                    {"role": "self", "model": policy, "n": 2},
                    {"role": "gpt4o", "model": f"{SHIPPED}gpt4o"},
                ],
            }
        ],
        "recipes": ["gpt4o+self", "self+rm"],
        "decoding": {"max_new_tokens": 12},
        "audit": None,
        "training": common,
        "rloo": {**common, "steps": 3, "generations": 2, "max_new_tokens": 12},
        "attacks": {
            "harmful": {"direct": str(folder / "watched.jsonl")},
            "decoding": {"max_new_tokens": 12, "temperature": 0},
        },
    }


@pytest.mark.slow
def test_a_watched_study_of_dpo_and_rloo_end_to_end(tmp_path: Path) -> None:
    """The study trains its reward model, every training is watched, and the page has curves of recipes side by side."""
    settings = shipped_settings(tmp_path)
    said: list[str] = []
    finished = run_study(parse_study(settings), tmp_path / "run", say=said.append)
    assert not finished.failed, said
    cells = {cell.recipe: cell for cell in finished.results.cells}
    assert list(cells) == ["sft", "gpt4o+self", "self+rm", "rloo"]
    assert cells["sft"].training is None
    for name in ("gpt4o+self", "self+rm", "rloo"):
        training = cells[name].training
        assert training is not None
        assert training.watch[0].step == 0
        assert training.watch[0].refused is not None
        assert training.watch[-1].step == training.steps
        assert training.tokens_sampled, "what was sampled for it is counted"
        assert training.seconds
        policy = tmp_path / "run" / "cells" / cells[name].id / "policy"
        watched = json.loads((policy / "training.json").read_text())["watch"]
        assert (watched["prompts"], watched["in_training"]) == ({"harmful": 4}, 2)
    rewarded = cells["rloo"].training
    assert rewarded is not None
    assert cells["rloo"].pairs is None
    assert [row.step for row in rewarded.rewards] == [1, 2, 3]
    assert rewarded.tokens_sampled == sum(round(row.tokens * 8) for row in rewarded.rewards)
    assert cells["rloo"].asr[0].scored + cells["rloo"].asr[0].unscored == 6
    assert cells["rloo"].provenance["reward_model"].startswith("reward/s0-")
    page = finished.page.read_text(encoding="utf-8")
    for title in ("Refusals during training", "Rewards during RLOO", "rloo: KL in nats", "Cost"):
        assert title in page
    assert page.count("refused, in percent by step") == 3, "a panel for each cell that was trained"

    again: list[str] = []
    run_study(parse_study(settings), tmp_path / "run", say=again.append)
    assert not again
