"""Recipes as data, and the pairs that they make of stored responses. Reads no model."""

from backfire.pairs.building import REASONS, Built, Truncated, build_pairs
from backfire.pairs.folder import own_columns, pair_rows, read_pairs, write_pairs, written_plain
from backfire.pairs.pair import Pair
from backfire.pairs.recipe import Recipe, Side, built_in_recipes, find_recipe, load_recipes

__all__ = [
    "REASONS",
    "Built",
    "Pair",
    "Recipe",
    "Side",
    "Truncated",
    "build_pairs",
    "built_in_recipes",
    "find_recipe",
    "load_recipes",
    "own_columns",
    "pair_rows",
    "read_pairs",
    "write_pairs",
    "written_plain",
]
