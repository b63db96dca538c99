"""Recipes as data: the seven built-in ones, and errors that name recipe, key and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.pairs import built_in_recipes, find_recipe, load_recipes

OWN = """
peer+self:
  chosen: {from: [peer], pick: best}
  rejected: {from: [self]}
"""


def test_the_seven_recipes_of_the_paper() -> None:
    sides = {
        name: (set(r.chosen.roles), r.chosen.pick, set(r.rejected.roles), r.rejected.pick)
        for name, r in built_in_recipes().items()
    }
    everybody = {"self", "stronger", "gpt4o", "peer", "human-chosen", "human-rejected"}
    assert sides == {
        "original": ({"human-chosen"}, "first", {"human-rejected"}, "first"),
        "hc+self": ({"human-chosen"}, "first", {"self"}, "first"),
        "gpt4o+self": ({"gpt4o"}, "first", {"self"}, "first"),
        "stronger+self": ({"stronger"}, "first", {"self"}, "first"),
        "peer+rm": ({"peer"}, "best", {"peer"}, "worst"),
        "all+rm": (everybody, "best", everybody, "worst"),
        "self+rm": ({"self"}, "best", {"self"}, "worst"),
    }
    assert [n for n, r in built_in_recipes().items() if r.needs_scores] == ["peer+rm", "all+rm", "self+rm"]


def test_own_recipes_join_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    recipes = load_recipes(tmp_path / "own.yaml")
    assert list(recipes) == [*built_in_recipes(), "peer+self"]
    assert recipes["peer+self"].rejected.pick == "first"
    assert "peer+self" not in load_recipes()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a: {chosen: {from: [x]}}", ["'a'", "'rejected'", "missing"]),
        ("a: {chosen: {from: [x], pik: best}, rejected: {from: [y]}}", ["'a'", "chosen.pik", "from, pick"]),
        (
            "a: {chosen: {from: [x]}, rejected: {from: [y]}, rank: 1}",
            ["'a'", "'rank'", "chosen, rejected, labels, about"],
        ),
        (
            "a: {chosen: {from: [x], pick: top}, rejected: {from: [y]}}",
            ["'a'", "chosen.pick", "'top'", "first, best, worst"],
        ),
        ("a: {chosen: {from: x}, rejected: {from: [y]}}", ["'a'", "chosen.from", "'x'", "[self]"]),
        ("a: {chosen: {from: []}, rejected: {from: [y]}}", ["'a'", "chosen.from", "[self]"]),
        ("a: {chosen: {from: [x, 3]}, rejected: {from: [y]}}", ["'a'", "chosen.from.1", "3"]),
        ("a: {chosen: {from: [x]}, rejected: {from: [x]}}", ["'a'", "identical", "`pick` or `from`"]),
        ("a: {chosen: {}, rejected: {from: [x]}}", ["'a'", "chosen.from", "missing"]),
        ("a: [1, 2]", ["'a'", "form"]),
        ("- a", ["holds no recipes"]),
        ("", ["holds no recipes"]),
        ("a: {chosen: [", ["not YAML"]),
        (
            "self+rm: {chosen: {from: [peer]}, rejected: {from: [self]}}",
            ["'self+rm'", "another meaning", "name"],
        ),
        (OWN + OWN, ["'peer+self'", "twice"]),
    ],
)
def test_errors_name_recipe_key_and_mend(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load_recipes(path)
    message = str(raised.value)
    assert "own.yaml" in message
    for part in parts:
        assert part in message, message


def test_the_packaged_file_may_be_copied_and_extended(tmp_path: Path) -> None:
    from importlib.resources import files

    packaged = files("backfire.pairs").joinpath("recipes.yaml").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(packaged + OWN, encoding="utf-8")
    assert len(load_recipes(tmp_path / "own.yaml")) == 8


def test_unknown_names_and_files() -> None:
    with pytest.raises(InputError, match=r"'self\+mr'.*self\+rm"):
        find_recipe("self+mr")
    with pytest.raises(InputError, match=r"absent\.yaml"):
        load_recipes("absent.yaml")
