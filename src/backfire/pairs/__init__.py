"""Recipes as data, and the pairs that they make of stored responses. Reads no model."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.pairs.building import REASONS, Built, build_pairs
    from backfire.pairs.folder import own_columns, pair_rows, read_pairs, write_pairs, written_plain
    from backfire.pairs.from_ledger import PairedFromLedger, pair_stored
    from backfire.pairs.human import HumanResponses, open_human
    from backfire.pairs.pair import Pair
    from backfire.pairs.recipe import Recipe, Side, built_in_recipes, find_recipe, load_recipes
    from backfire.pairs.settings import HUMAN_ROLES, PairSettings, StoredChoice, StoredPairSettings, Truncated
    from backfire.pairs.stored import one_sampling, stored_scores
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "building": ("REASONS", "Built", "build_pairs"),
            "folder": ("own_columns", "pair_rows", "read_pairs", "write_pairs", "written_plain"),
            "from_ledger": ("PairedFromLedger", "pair_stored"),
            "human": ("HumanResponses", "open_human"),
            "pair": ("Pair",),
            "recipe": ("Recipe", "Side", "built_in_recipes", "find_recipe", "load_recipes"),
            "settings": ("HUMAN_ROLES", "PairSettings", "StoredChoice", "StoredPairSettings", "Truncated"),
            "stored": ("one_sampling", "stored_scores"),
        },
    )

__all__ = [
    "HUMAN_ROLES",
    "REASONS",
    "Built",
    "HumanResponses",
    "Pair",
    "PairSettings",
    "PairedFromLedger",
    "Recipe",
    "Side",
    "StoredChoice",
    "StoredPairSettings",
    "Truncated",
    "build_pairs",
    "built_in_recipes",
    "find_recipe",
    "load_recipes",
    "one_sampling",
    "open_human",
    "own_columns",
    "pair_rows",
    "pair_stored",
    "read_pairs",
    "stored_scores",
    "write_pairs",
    "written_plain",
]
