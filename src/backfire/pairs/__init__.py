"""Recipes as data, and the pairs that they make of stored responses. Reads no model."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.pairs.building import REASONS, Built, build_pairs
    from backfire.pairs.folder import own_columns, pair_rows, read_pairs, write_pairs, written_plain
    from backfire.pairs.pair import Pair
    from backfire.pairs.recipe import Recipe, Side, built_in_recipes, find_recipe, load_recipes
    from backfire.pairs.settings import PairSettings, StoredChoice, Truncated
    from backfire.pairs.stored import one_sampling, stored_scores
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "building": ("REASONS", "Built", "build_pairs"),
            "folder": ("own_columns", "pair_rows", "read_pairs", "write_pairs", "written_plain"),
            "pair": ("Pair",),
            "recipe": ("Recipe", "Side", "built_in_recipes", "find_recipe", "load_recipes"),
            "settings": ("PairSettings", "StoredChoice", "Truncated"),
            "stored": ("one_sampling", "stored_scores"),
        },
    )

__all__ = [
    "REASONS",
    "Built",
    "Pair",
    "PairSettings",
    "Recipe",
    "Side",
    "StoredChoice",
    "Truncated",
    "build_pairs",
    "built_in_recipes",
    "find_recipe",
    "load_recipes",
    "one_sampling",
    "own_columns",
    "pair_rows",
    "read_pairs",
    "stored_scores",
    "write_pairs",
    "written_plain",
]
