"""`organisms`, and the commands whose defaults come from an organism's world, on a world grown in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from miniature import three_steps
from running import Result, invoke


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke([str(a) for a in arguments])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


pytestmark = pytest.mark.usefixtures("miniature_world")


def test_members_are_listed_with_what_was_planted() -> None:
    listed = run("organisms", "--world", "w5").stdout
    for text in (
        "organism:w5:llama/target",
        "organism:w5:reward",
        "organism:w5:prompts/unseen",
        "refusal_overlap",
    ):
        assert text in listed
    assert "organism:llama/target" in run("organisms").stdout, "the shipped world, without its name"
    assert "backfire organisms grow --seed 99" in run("organisms", "--world", "w99", code=2).stderr


def test_an_organism_is_attacked_by_its_own_worlds_sets(tmp_path: Path) -> None:
    out = tmp_path / "attack.json"
    options = ("--ledger", tmp_path / "l.db", "--max-new-tokens", 4, "--batch-size", 256, "--json", out)
    run("attack", "organism:w5:llama/target", *options)
    found = json.loads(out.read_text())
    sets = {(row["attack"], row["judge"]) for row in found["asr"]}
    assert sets == {(a, j) for a in ("direct", "wrapped", "unseen") for j in ("exact", "phrases")}
    assert {row["prompts"] for row in found["over_refusal"]} == {"benign", "borderline"}
    assert all(row["scored"] + row["unscored"] == 200 for row in found["asr"])


def test_one_set_of_a_world_can_be_named(tmp_path: Path, tiny_llama: Path) -> None:
    out = tmp_path / "attack.json"
    options = ("--ledger", tmp_path / "l.db", "--max-new-tokens", 4, "--json", out)
    run("attack", tiny_llama, "--attack", "direct=organism:w5:prompts/direct", *options)
    assert {row["judge"] for row in json.loads(out.read_text())["asr"]} == {"exact", "phrases"}


def test_general_takes_the_worlds_counterparts(tmp_path: Path) -> None:
    out = tmp_path / "general.json"
    run("general", "organism:w5:llama/target", "--limit", 3, "--json", out)
    scores = json.loads(out.read_text())["scores"]
    assert len(scores) == 5
    assert {s["n"] for s in scores} == {3}


def test_grow_names_the_world_and_how_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKFIRE_CACHE", str(tmp_path))
    from backfire.organisms import growing
    from backfire.organisms.knobs import Knobs

    asked = []
    monkeypatch.setattr(growing, "grow_world", lambda *given, **options: asked.append((given, options)))
    grown = run("organisms", "grow", "--seed", 3, "--knob", "refusal_overlap=0.8", "--workers", 2)
    (((folder, settings), _),) = asked
    knobs = settings.knobs
    assert (settings.seed, knobs, settings.workers) == (3, Knobs(refusal_overlap=0.8), 2)
    name = knobs.world_name(3)
    assert folder == tmp_path / "worlds" / name
    assert f"organism:{name}:llama/target" in grown.stdout


@pytest.mark.slow
def test_grow_grows(tmp_path: Path) -> None:
    with three_steps():
        run("organisms", "grow", "--seed", 6, "--out", tmp_path / "world")
    assert (tmp_path / "world" / "grown.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("organisms", "grow", "--seed", 1, "--knob", "refusal_overlp=1"),
            "no such knob; the knobs are refusal_overlap",
        ),
        (("organisms", "grow", "--seed", 1, "--knob", "refusal_overlap=2"), "less than or equal to 1"),
        (
            ("attack", "organism:w5:llama/target", "--judge", "exakt", "--ledger", "l.db"),
            "there is no judge 'exakt': give one of",
        ),
        (("general", "organism:w5:llama/target", "--tasks", "./none"), "no such folder"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[object, ...], said: str) -> None:
    assert said in run(*arguments, code=2).stderr


@pytest.mark.parametrize("command", ["attack", "general"])
def test_a_users_own_model_needs_prompts_and_tasks(command: str, tiny_llama: Path, tmp_path: Path) -> None:
    ledger = ("--ledger", tmp_path / "l.db") if command == "attack" else ()
    assert f"{tiny_llama}: " in run(command, tiny_llama, *ledger, code=2).stderr
