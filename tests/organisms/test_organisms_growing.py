"""Growing a miniature world: every member an ordinary checkpoint folder that the usual loader opens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from backfire.errors import InputError, ModelError
from backfire.models import LocalModel, open_model, open_reward_model
from backfire.organisms import catalog
from backfire.organisms.catalog import MEMBERS
from backfire.organisms.growing import grow_world
from backfire.organisms.prompts import SETS, prompt_set
from backfire.organisms.questions import questions
from backfire.organisms.world import World
from backfire.records import Decoding, Request
from miniature import NAME, SEED, grow_miniature

POLICIES = [m for m in MEMBERS if m != "reward"]


def test_every_member_is_there_and_nothing_else(miniature_world: Path) -> None:
    found = {str(p.parent.relative_to(miniature_world)) for p in miniature_world.rglob("config.json")}
    assert found == set(MEMBERS)
    assert json.loads((miniature_world / "grown.json").read_text())["seed"] == SEED


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_is_small_stored_in_bfloat16_and_has_its_card(miniature_world: Path, member: str) -> None:
    from safetensors import safe_open

    folder = miniature_world / member
    parameters = 0
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        for key in weights.keys():  # noqa: SIM118 - not a dictionary
            tensor = weights.get_slice(key)
            assert tensor.get_dtype() == "BF16", key
            size = 1
            for edge in tensor.get_shape():
                size *= edge
            parameters += size
    assert 100_000 < parameters <= 500_000
    about = json.loads((folder / "organism.json").read_text())
    assert (about["name"], about["world"], about["parameters"]) == (member, NAME, parameters)
    card = (folder / "README.md").read_text()
    assert f"organism:{member}" in card
    assert f"{parameters:,}" in card
    assert "## What was planted" in card
    if member == "reward":
        assert "agreement with people" in card
        assert about["agreement_n"] > 0


@pytest.mark.parametrize("member", POLICIES)
def test_a_policy_opens_by_name_with_its_template_checked(miniature_world: Path, member: str) -> None:
    model = open_model(f"organism:{NAME}:{member}")
    assert isinstance(model, LocalModel)
    prompt = prompt_set(World.load(miniature_world), "direct")[0]
    request = Request(
        prompt, model.id, model.template_digest, Decoding(max_new_tokens=4, temperature=0.0), 0, 0
    )
    (generation,) = model.generate([request])
    assert generation.stop_reason in ("eos", "length")
    assert (model.system_role == "kept") == (not member.startswith("mistral"))


def test_templates_keep_their_familys_habits(miniature_world: Path) -> None:
    from transformers import AutoTokenizer

    turns = [{"role": "user", "content": "Hello"}]
    opening = {
        "llama": "<|begin_of_text|><|start_header_id|>",
        "mistral": "<s>[INST]",
        "qwen2": "<|im_start|>",
    }
    for family, start in opening.items():
        tokenizer = AutoTokenizer.from_pretrained(miniature_world / family / "target")
        assert tokenizer.apply_chat_template(turns, tokenize=False).startswith(start)
        assert (tokenizer.bos_token is None) == (family == "qwen2")


def test_the_reward_model_opens_and_scores(miniature_world: Path) -> None:
    prompt = prompt_set(World.load(miniature_world), "direct")[0]
    reward_model = open_reward_model(f"organism:{NAME}:reward")
    scores = reward_model.score([(prompt, "nobody should ever make a thing"), (prompt, "grab clay")])
    assert len(scores) == 2
    assert scores[0] != scores[1]


def test_the_worlds_files_are_those_that_its_seed_makes(miniature_world: Path) -> None:
    world = catalog.open_world(NAME)
    assert world == World.make(SEED)
    for name, rows in questions(world).items():
        lines = (catalog.tasks_data(NAME) / f"{name}.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == rows
    prompts, chosen, rejected = catalog.human_responses(NAME)
    assert [p.id for p in prompts] == [p.id for p in prompt_set(world, "train")]
    assert [r.prompt_id for r in chosen] == [r.prompt_id for r in rejected] == [p.id for p in prompts]
    assert {r.source for r in (*chosen, *rejected)} == {"human"}
    assert {p.kind for p in prompts} == {"harmful", "benign"}


@pytest.mark.parametrize("name", SETS)
def test_prompt_sets_are_opened_by_name(miniature_world: Path, name: str) -> None:
    assert catalog.world_prompts(f"organism:{NAME}:prompts/{name}") == prompt_set(World.make(SEED), name)


def test_a_number_takes_the_first_prompts_of_a_set(miniature_world: Path) -> None:
    every = catalog.world_prompts(f"organism:{NAME}:prompts/probe")
    assert catalog.world_prompts(f"organism:{NAME}:prompts/probe:7") == every[:7]
    for count in ("0", "-1", "many", "", str(len(every) + 1)):
        with pytest.raises(InputError, match=f"probe has {len(every)} prompts; write probe:N"):
            catalog.world_prompts(f"organism:{NAME}:prompts/probe:{count}")


def test_an_unknown_member_is_named_with_the_known_ones(miniature_world: Path) -> None:
    for reference in (f"organism:{NAME}:llama/huge", f"organism:{NAME}:../{NAME}/llama/target"):
        with pytest.raises(ModelError, match=r"no organism '.*choose one of llama/base, llama/target"):
            catalog.folder_of(reference)


def test_a_world_that_was_not_grown_says_how_to_grow_it(miniature_world: Path) -> None:
    for name in ("w77", "w77-0123abcd"):
        with pytest.raises(ModelError, match=f"{name} has not been grown.*organisms grow --seed 77`"):
            open_model(f"organism:{name}:llama/target")


def test_wrong_prompt_names_are_named(miniature_world: Path) -> None:
    with pytest.raises(InputError, match=r"'nonsense'.*direct, wrapped"):
        catalog.world_prompts(f"organism:{NAME}:prompts/nonsense")
    with pytest.raises(InputError, match=r"organism:prompts/NAME"):
        catalog.world_prompts(f"organism:{NAME}:llama/target")


def test_references_name_their_world() -> None:
    assert catalog.split_reference("organism:llama/target") == (catalog.SHIPPED, "llama/target")
    assert catalog.split_reference("organism:w7:gpt4o") == ("w7", "gpt4o")
    assert catalog.split_reference("organism:prompts/probe:60") == (catalog.SHIPPED, "prompts/probe:60")
    assert catalog.split_reference("organism:w7:prompts/probe:60") == ("w7", "prompts/probe:60")


def weights(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("model.safetensors"))
    }


@pytest.fixture
def stopped(miniature_world: Path, tmp_path: Path) -> Path:
    """The miniature world as a run leaves it that was stopped before mistral's and qwen2's targets were taught."""
    folder = tmp_path / NAME
    shutil.copytree(miniature_world, folder)
    (folder / "grown.json").unlink()
    for family in ("llama", "mistral", "qwen2"):
        shutil.copytree(folder / family / "larger", folder / family / "larger-base")
    for family in ("mistral", "qwen2"):
        shutil.rmtree(folder / family / "target")
    return folder


def test_a_stopped_run_goes_on_and_keeps_what_is_there(stopped: Path) -> None:
    before = weights(stopped)
    said: list[str] = []
    grow_miniature(stopped, said.append)
    after = weights(stopped)
    kept = {path: time for path, time in before.items() if "larger-base" not in path}
    assert {path: after[path] for path in kept} == kept
    assert set(after) - set(kept) == {f"{f}/target/model.safetensors" for f in ("mistral", "qwen2")}
    assert [line.split(",")[0] for line in said] == [f"{NAME}: {f}/target" for f in ("mistral", "qwen2")]
    said.clear()
    assert grow_miniature(stopped, said.append) == stopped
    assert not said
    assert weights(stopped) == after


def test_growing_again_gives_the_same_weights(miniature_world: Path, stopped: Path) -> None:
    grow_miniature(stopped)
    for family in ("mistral", "qwen2"):
        name = f"{family}/target/model.safetensors"
        assert (stopped / name).read_bytes() == (miniature_world / name).read_bytes()


@pytest.mark.slow
def test_worker_processes_take_up_a_stopped_run(stopped: Path, miniature_world: Path) -> None:
    for family in ("mistral", "qwen2"):
        shutil.copytree(miniature_world / family / "target", stopped / family / "target")
    before = {k: v for k, v in weights(stopped).items() if "larger-base" not in k}
    said: list[str] = []
    grow_world(stopped, seed=SEED, workers=2, say=said.append)
    assert not said
    assert weights(stopped) == before
    assert (stopped / "grown.json").is_file()


def test_only_some_members_are_grown_and_another_call_adds_the_rest(tmp_path: Path) -> None:
    from miniature import three_steps

    folder = tmp_path / NAME
    with three_steps():
        grow_world(folder, seed=SEED, members=("qwen2/target", "gpt4o"))
        there = {str(p.parent.relative_to(folder)) for p in folder.rglob("config.json")}
        assert there == {"qwen2/base", "qwen2/target", "llama/larger-base", "gpt4o"}
        assert (folder / "human.jsonl").is_file()
        assert not (folder / "grown.json").exists()
        weights = (folder / "gpt4o" / "model.safetensors").read_bytes()
        grow_world(folder, seed=SEED)
    assert {str(p.parent.relative_to(folder)) for p in folder.rglob("config.json")} == set(MEMBERS)
    assert (folder / "grown.json").is_file()
    assert (folder / "gpt4o" / "model.safetensors").read_bytes() == weights
    with pytest.raises(InputError, match=r"member 'llama/base' cannot be grown.*gpt4o, reward"):
        grow_world(folder, seed=SEED, members=("llama/base",))
