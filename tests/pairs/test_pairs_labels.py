"""Labels that point elsewhere: the sides change places after they are picked, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.pairs import Recipe, build_pairs, built_in_recipes, load_recipes
from backfire.pairs.recipe import Labels
from backfire.records import Decoding, Prompt, Request, Response, digest

SELF_RM = built_in_recipes()["self+rm"]
OF_STUDY = Path(__file__).parents[2] / "studies" / "influence-recipes.yaml"
PROMPTS = [Prompt.of(f"question {i}", kind="harmful") for i in range(400)]


def labelled(labels: Labels) -> Recipe:
    return Recipe(name="mine", chosen=SELF_RM.chosen, rejected=SELF_RM.rejected, labels=labels)


def texts(recipe: Recipe) -> dict[str, tuple[str, str, float | None, float | None]]:
    decoding = Decoding(max_new_tokens=8)
    responses: list[Response] = []
    for prompt in PROMPTS:
        for index, text in enumerate(("good", "poor")):
            request = Request(prompt, "model", "template", decoding, 0, index)
            responses.append(
                Response(request.id, prompt.id, "model", "m", text, "eos", 1, decoding, 0, index)
            )
    scores = {r.id: float(r.text == "good") for r in responses}
    built = build_pairs(recipe, PROMPTS, {"self": responses}, scores)
    return {
        p.prompt.text: (p.chosen.text, p.rejected.text, p.chosen_score, p.rejected_score) for p in built.pairs
    }


def test_reversed_sides_carry_their_scores_with_them() -> None:
    assert set(texts(labelled("as-picked")).values()) == {("good", "poor", 1.0, 0.0)}
    assert set(texts(labelled("reversed")).values()) == {("poor", "good", 0.0, 1.0)}


def test_random_labels_are_a_fair_coin_fixed_by_the_prompt() -> None:
    first, again = texts(labelled("random")), texts(labelled("random"))
    assert first == again
    turned = sum(chosen == "poor" for chosen, *_ in first.values())
    assert 160 <= turned <= 240  # four standard deviations of 400 fair coins


def test_a_recipe_as_it_was_has_the_digest_that_it_had() -> None:
    stated = {
        "name": "self+rm",
        "chosen": {"from": ["self"], "pick": "best"},
        "rejected": {"from": ["self"], "pick": "worst"},
        "about": SELF_RM.about,
    }
    assert digest(SELF_RM.as_dict()) == digest(stated)
    assert labelled("random").as_dict()["labels"] == "random"
    assert Recipe.model_validate(labelled("reversed").as_dict()) == labelled("reversed")


def test_the_study_turns_recipes_of_the_paper_round() -> None:
    known = load_recipes(OF_STUDY)
    own = set(known) - set(built_in_recipes())
    assert own == {"gpt4o+self-reversed", "self+rm-reversed", "stronger+self-reversed", "self+random"}
    for name in own - {"self+random"}:
        plain = known[name.removesuffix("-reversed")]
        assert (known[name].chosen, known[name].rejected) == (plain.chosen, plain.rejected)
        assert known[name].labels == "reversed"
    assert (known["self+random"].chosen, known["self+random"].labels) == (SELF_RM.chosen, "random")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "a: {chosen: {from: [x]}, rejected: {from: [y]}, labels: flipped}",
            ["flipped", "reversed", "random"],
        ),
        (
            "gpt4o+self: {chosen: {from: [gpt4o]}, rejected: {from: [self]}, labels: reversed}",
            ["another meaning"],
        ),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, text: str, parts: list[str]) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        load_recipes(tmp_path / "own.yaml")
    assert all(part in str(raised.value) for part in parts)
