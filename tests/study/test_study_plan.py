"""Study files: what is read, and how what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError, StudyError
from backfire.study import demo_study, example_text, parse_study, read_study
from backfire.study.worlds import in_world


def settings(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": "small",
        "prompts": "prompts.jsonl",
        "targets": [
            {"family": "llama", "policy": "a", "responders": [{"role": "self", "model": "a", "n": 2}]}
        ],
        "reward_model": "r",
        "recipes": ["self+rm"],
        "attacks": {"harmful": {"direct": "attacks.jsonl"}},
    }
    return {**value, **changes}


def responder(**changes: Any) -> list[dict[str, Any]]:
    return [{"family": "llama", "policy": "a", "responders": [{"role": "self", **changes}]}]


def test_a_small_study_reads_with_its_defaults() -> None:
    study = parse_study(settings())
    assert study.seeds == (0,)
    assert study.world_names() == (None,)
    assert study.attacks.judges == ("phrases",)
    assert study.attacks.decoding.decoding().greedy


def test_the_demo_is_the_example_and_a_valid_study(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(example_text())
    assert read_study(path) == demo_study()
    assert demo_study().world_names() == ("w0",)
    assert len(demo_study().recipes) == 7


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "1.0e-6", "0.000001"])
def test_numbers_that_yaml_reads_as_texts_are_numbers(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: small\nprompts: p.jsonl\nreward_model: r\nrecipes: [self+rm]\n"
        "targets: [{family: llama, policy: a, responders: [{role: self, model: a, n: 2}]}]\n"
        f"attacks: {{harmful: {{direct: d.jsonl}}}}\ntraining: {{lr: {text}}}\n"
    )
    assert read_study(path).training.lr == pytest.approx(1e-6)


WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "an unknown recipe": (settings(recipes=["self+mr"]), ("self+mr", "self+rm")),
    "a recipe twice": (settings(recipes=["self+rm", "self+rm"]), ("recipe", "twice", "self+rm")),
    "a seed twice": (settings(seeds=[1, 1]), ("seed", "twice", "1")),
    "no recipe": (settings(recipes=[]), ("recipes",)),
    "model and file": (settings(targets=responder(model="a", file="b.jsonl")), ("self", "model or file")),
    "neither model nor file": (settings(targets=responder()), ("self", "model or file")),
    "no responses": (settings(targets=responder(model="a", n=0)), ("targets.0.responders.0.n",)),
    "a misspelt setting": (settings(recepies=["self+rm"]), ("recepies",)),
    "a misspelt training setting": (settings(training={"lrr": 0.1}), ("training", "lrr")),
    "a bad training value": (settings(training={"beta": -1}), ("beta", "-1")),
    "a seed in training": (settings(training={"seed": 3}), ("training.seed", "seeds")),
    "a family twice": (
        settings(targets=[*responder(model="a"), *responder(model="b")]),
        ("share a family", "llama"),
    ),
    "a score without a reward model": (settings(reward_model=None), ("self+rm", "reward_model")),
    "exact on one's own file": (
        settings(attacks={"harmful": {"direct": "d.jsonl"}, "judges": ["exact"]}),
        ("exact", "phrases"),
    ),
    "an unknown judge": (
        settings(attacks={"harmful": {"direct": "d.jsonl"}, "judges": ["gpt"]}),
        ("attacks.judges.0", "exact"),
    ),
    "a world that the study does not list": (
        settings(targets=[{**responder(model="a")[0], "worlds": ["w9"]}], worlds=["w0"]),
        ("llama", "w9", "worlds"),
    ),
    "a name that is no folder's": (settings(name="../up"), ("name",)),
    "a name of earlier versions": (
        settings(repairs={"r": {"of": ["self+rm"], "method": "filter", "keep": 0.5, "control": True}}),
        ("repairs.r.control is called repairs.r.at_random now",),
    ),
    "temperature below nothing": (settings(decoding={"temperature": -1}), ("decoding.temperature",)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    value, words = WRONG[what]
    with pytest.raises((StudyError, InputError)) as raised:
        parse_study(value, origin="mine.yaml")
    for word in words:
        assert word in str(raised.value)


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(StudyError) as raised:
        parse_study(settings(workers=0, seeds=["x"]), origin="mine.yaml")
    assert all(word in str(raised.value) for word in ("mine.yaml", "workers", "seeds.0"))


def test_a_file_that_is_no_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no study file at .*study example"):
        read_study(tmp_path / "none.yaml")
    path = tmp_path / "study.yaml"
    path.write_text("a: [1")
    with pytest.raises(StudyError, match="not YAML"):
        read_study(path)
    path.write_text("- a\n- b\n")
    with pytest.raises(StudyError, match="list, not settings"):
        read_study(path)


@pytest.mark.parametrize(
    ("reference", "world", "expected"),
    [
        ("organism:llama/target", "w7", "organism:w7:llama/target"),
        ("organism:prompts/train", "w7", "organism:w7:prompts/train"),
        ("organism:prompts/probe:60", "w7", "organism:w7:prompts/probe:60"),
        ("organism:w1:llama/target", "w7", "organism:w1:llama/target"),
        ("organism:llama/target", None, "organism:llama/target"),
        ("./my-model", "w7", "./my-model"),
        ("openai:gpt-4o", "w7", "openai:gpt-4o"),
    ],
)
def test_a_reference_is_read_in_its_world(reference: str, world: str | None, expected: str) -> None:
    assert in_world(reference, world) == expected


def test_without_worlds_the_one_that_references_name_is_the_grids() -> None:
    assert parse_study(settings(prompts="organism:w5:prompts/train")).world_names() == ("w5",)
    assert parse_study(settings(prompts="organism:prompts/train")).world_names() == ("w0",)
    with pytest.raises(StudyError, match=r"several worlds \(w0, w5\).*list `worlds`"):
        parse_study(settings(prompts="organism:w5:prompts/train", reward_model="organism:reward"))


def test_influence_takes_the_settings_of_the_function_but_for_what_the_study_knows() -> None:
    from backfire.influence import InfluenceSettings

    section = {"harmful": "probe.jsonl", "pairs": 200, "beta": 0.3, "precondition": "adam", "pilot": 4}
    influence = parse_study(settings(influence=section), origin="mine.yaml").influence
    assert isinstance(influence, InfluenceSettings)
    assert (influence.pairs, influence.beta, influence.precondition) == (200, 0.3, "adam")
    for name, fix in (("seed", "seeds"), ("max_length", "training"), ("reading", "leave it out")):
        with pytest.raises(StudyError, match=f"influence.{name} comes from the study: .*{fix}"):
            parse_study(settings(influence={**section, name: 3}), origin="mine.yaml")
