"""Real input: the AlpacaEval answers of five models as stored responses of five responders."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from backfire.pairs import Built, build_pairs, built_in_recipes
from backfire.records import Prompt, given_response

ROLES = {
    "self": ["Meta-Llama-3-8B-Instruct"],
    "stronger": ["Meta-Llama-3-70B-Instruct"],
    "gpt4o": ["gpt4_1106_preview"],
    "peer": ["Mistral-7B-Instruct-v0.2", "Qwen1.5-7B-Chat"],
}


@pytest.fixture(scope="module")
def built(real_data: Path) -> dict[str, Built]:
    prompts, candidates = {}, {}
    for role, models in ROLES.items():
        candidates[role] = []
        for model in models:
            for row in json.loads((real_data / "alpaca-eval" / f"{model}.json").read_text(encoding="utf-8")):
                prompt = Prompt.of(row["instruction"], kind="benign")
                prompts[prompt.id] = prompt
                candidates[role].append(given_response(prompt, model, row["output"]))
    every = [r for rs in candidates.values() for r in rs]
    scores = {r.id: int(r.id[:12], 16) / 16**12 for r in every}
    return {
        name: build_pairs(recipe, prompts.values(), candidates, scores)
        for name, recipe in built_in_recipes().items()
    }


@pytest.mark.parametrize("name", ["gpt4o+self", "stronger+self", "peer+rm", "all+rm"])
def test_four_recipes_fill(built: dict[str, Built], name: str) -> None:
    result = built[name]
    left_out = result.counts["left_out"]
    assert len(result.pairs) + sum(left_out.values()) == 805
    assert set(left_out) <= {"identical"}
    assert len(result.pairs) > 790


def test_sources_follow_the_recipe(built: dict[str, Built]) -> None:
    assert {p.chosen.source for p in built["gpt4o+self"].pairs} == {"gpt4_1106_preview"}
    assert {p.rejected.source for p in built["gpt4o+self"].pairs} == {"Meta-Llama-3-8B-Instruct"}
    assert {p.chosen.source for p in built["stronger+self"].pairs} == {"Meta-Llama-3-70B-Instruct"}
    assert {p.chosen.source for p in built["peer+rm"].pairs} == set(ROLES["peer"])
    for side in ("chosen", "rejected"):
        counts = Counter(getattr(p, side).source for p in built["all+rm"].pairs)
        assert len(counts) == 5
        assert min(counts.values()) > 100
    assert "without roles human-chosen, human-rejected" in built["all+rm"].warnings[0]


def test_three_recipes_say_why_they_are_empty(built: dict[str, Built]) -> None:
    assert all(not built[name].pairs for name in ("original", "hc+self", "self+rm"))
    assert built["self+rm"].counts["left_out"] == {"one_response": 805}
    assert "at least two responses per prompt from self" in built["self+rm"].warnings[0]
    assert "human-chosen, human-rejected" in built["original"].warnings[0]
    assert "no responses for role human-chosen" in built["hc+self"].warnings[0]
