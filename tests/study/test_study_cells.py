"""The grid, and what a changed setting moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.study import parse_study
from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.stage import dependencies

ORGANISMS: dict[str, Any] = {
    "name": "grid",
    "worlds": ["w1", "w0"],
    "prompts": "organism:prompts/train",
    "human": "organism:human",
    "reward_model": "organism:reward",
    "targets": [
        {
            "family": family,
            "policy": f"organism:{family}/target",
            "responders": [
                {"role": "self", "model": f"organism:{family}/target", "n": 5},
                {"role": "gpt4o", "model": "organism:gpt4o"},
                {"role": "peer", "model": f"organism:{peer}/target", "n": 2},
            ],
        }
        for family, peer in (("qwen2", "llama"), ("llama", "qwen2"))
    ],
    "recipes": ["self+rm", "gpt4o+self", "original"],
    "seeds": [3, 1],
    "decoding": {"max_new_tokens": 64, "temperature": 0.7},
    "attacks": {"harmful": {"direct": "organism:prompts/direct"}},
}
RUN = RunFolder(Path("run"), Path("run/ledger.db"))


def changed(**changes: Any) -> Any:
    return parse_study({**ORGANISMS, **changes})


def with_responder(number: int, **changes: Any) -> list[dict[str, Any]]:
    targets = []
    for target in ORGANISMS["targets"]:
        responders = [dict(r) for r in target["responders"]]
        responders[number] |= changes
        targets.append({**target, "responders": responders})
    return targets


def folders(study: Any) -> dict[tuple[str | None, str, str, int], str]:
    return {(c.world, c.target.family, c.recipe, c.seed): c.folder_name for c in grid(study)}


def samples(study: Any) -> set[str]:
    return {s.name for s in stages_of(RUN, grid(study)) if s.name.startswith("sample ")}


def moved(before: Any, after: Any) -> set[str]:
    """The recipes whose cells lie elsewhere now."""
    old, new = folders(before), folders(after)
    return {key[2] for key in old if old[key] != new[key]}


def test_cells_stand_in_the_order_of_the_file_sft_first() -> None:
    cells = [(c.world, c.target.family, c.seed, c.recipe) for c in grid(changed())]
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 4
    assert cells[:5] == [
        ("w1", "qwen2", 3, "sft"),
        ("w1", "qwen2", 3, "self+rm"),
        ("w1", "qwen2", 3, "gpt4o+self"),
        ("w1", "qwen2", 3, "original"),
        ("w1", "qwen2", 1, "sft"),
    ]
    assert cells[8][:2] == ("w1", "llama")
    assert cells[16][0] == "w0"


def test_every_cell_has_a_folder_of_its_own_and_references_in_its_world() -> None:
    study = changed()
    assert len(set(folders(study).values())) == len(grid(study))
    for cell in grid(study):
        assert cell.policy == f"organism:{cell.world}:{cell.target.family}/target"
        assert all(f":{cell.world}:" in one.responses.responder for one in cell.candidates())


def test_a_target_can_keep_to_some_worlds_and_its_cells_stay_where_they_were() -> None:
    everywhere = {c.folder_name for c in grid(changed())}
    rotated = [{**t, "worlds": [w]} for t, w in zip(ORGANISMS["targets"], ("w0", "w1"), strict=True)]
    cells = grid(changed(targets=rotated))
    assert {(c.target.family, c.world) for c in cells} == {("qwen2", "w0"), ("llama", "w1")}
    assert {c.folder_name for c in cells} < everywhere


def test_the_learning_rate_moves_trained_cells_and_no_sample() -> None:
    before, after = changed(), changed(training={"lr": 2e-4})
    assert moved(before, after) == {"self+rm", "gpt4o+self", "original"}
    assert samples(before) == samples(after)


def test_attacks_general_tasks_and_workers_move_nothing() -> None:
    after = changed(
        attacks={"harmful": {"unseen": "organism:prompts/unseen"}, "judges": ["exact"]},
        general={"tasks": "organism"},
        workers=2,
        about="other words",
    )
    assert folders(changed()) == folders(after)


def test_a_responder_moves_only_the_recipes_that_ask_it() -> None:
    assert moved(changed(), changed(targets=with_responder(1, n=2))) == {"gpt4o+self"}
    assert moved(changed(), changed(targets=with_responder(2, n=3))) == set()


def test_the_reward_model_and_the_human_set_move_only_the_recipes_that_use_them() -> None:
    assert moved(changed(), changed(reward_model="other")) == {"self+rm"}
    assert moved(changed(), changed(human="mine.jsonl")) == {"original"}


def test_the_prompts_move_every_trained_cell() -> None:
    assert moved(changed(), changed(prompts="mine.jsonl")) == {"self+rm", "gpt4o+self", "original"}


def test_a_target_may_have_prompts_and_human_data_of_its_own() -> None:
    """Nothing of the other target moves; what it says in full is what it would have taken from the study."""
    first, second = ORGANISMS["targets"]
    for own, recipes in (
        ({"prompts": "mine.jsonl"}, {"self+rm", "gpt4o+self", "original"}),
        ({"human": "mine.jsonl"}, {"original"}),
        ({"human": {"data": "mine.jsonl", "columns": {"prompt": "ask"}}}, {"original"}),
    ):
        before, after = folders(changed()), folders(changed(targets=[{**first, **own}, second]))
        assert {key[1:3] for key in before if before[key] != after[key]} == {("qwen2", r) for r in recipes}
    same = {"prompts": ORGANISMS["prompts"], "human": ORGANISMS["human"]}
    assert folders(changed()) == folders(changed(targets=[{**first, **same}, second]))


def test_a_responder_of_several_targets_is_sampled_once_as_often_as_most_need() -> None:
    study = changed(recipes=["all+rm"], worlds=["w1"], seeds=[0])
    trained = [c for c in grid(study) if c.recipe == "all+rm"]
    candidates = {c.target.family: {one.role: one for one in c.candidates()} for c in trained}
    own, peer = candidates["llama"]["self"], candidates["qwen2"]["peer"]
    assert own.responses == peer.responses
    assert own.responses.n == 5
    assert (own.n, peer.n) == (5, 2)
    assert len(samples(study)) == 3


def test_the_slug_of_responses_is_stable_and_tells_them_apart() -> None:
    def first(study: Any) -> str:
        return grid(study)[1].candidates()[0].responses.slug

    slug = first(changed())
    assert slug == first(changed(training={"lr": 2e-4}, attacks={"harmful": {"a": "a.jsonl"}}))
    assert slug.startswith("w1-qwen2-target-s3-")
    others = [
        changed(seeds=[4]),
        changed(decoding={"temperature": 0.5}),
        changed(targets=with_responder(0, n=6)),
        changed(prompts="mine.jsonl"),
    ]
    assert len({slug, *map(first, others)}) == 5


def test_stages_come_after_what_they_need() -> None:
    stages = stages_of(RUN, grid(changed()))
    names = [s.name for s in stages]
    assert len(names) == len(set(names))
    for number, needs in enumerate(dependencies(stages).values()):
        assert set(needs) <= set(names[:number])


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [("original", {"human"}), ("gpt4o+self", {"sample"}), ("self+rm", {"sample", "score"})],
)
def test_only_what_recipes_need_is_drawn_and_scored(recipe: str, expected: set[str]) -> None:
    stages = stages_of(RUN, grid(changed(recipes=[recipe])))
    first = {s.name.partition(" ")[0] for s in stages} - {"pair", "audit", "train", "attack"}
    assert first - {"human"} == expected - {"human"}
    if recipe == "original":
        assert "human" in first
