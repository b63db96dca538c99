"""Reading preference data: any common form, from any common place, in blocks of one schema."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.preferences.beside import ROWS_OF_SIDES, columns_beside
    from backfire.preferences.converting import Converted, convert
    from backfire.preferences.explaining import left_out_first, no_pairs
    from backfire.preferences.preferences import Preferences, open_preferences
    from backfire.preferences.read_options import ReadOptions
    from backfire.preferences.schema import (
        SCHEMA,
        DefectKind,
        Format,
        completion_of_side,
        pairs_of,
        prompt_of,
    )
    from backfire.preferences.settings import ConvertSettings, Reading
    from backfire.preferences.wrappers import unwrapped
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "beside": ("ROWS_OF_SIDES", "columns_beside"),
            "converting": ("Converted", "convert"),
            "explaining": ("left_out_first", "no_pairs"),
            "preferences": ("Preferences", "open_preferences"),
            "read_options": ("ReadOptions",),
            "schema": ("DefectKind", "Format", "SCHEMA", "completion_of_side", "pairs_of", "prompt_of"),
            "settings": ("ConvertSettings", "Reading"),
            "wrappers": ("unwrapped",),
        },
    )

__all__ = [
    "ROWS_OF_SIDES",
    "SCHEMA",
    "ConvertSettings",
    "Converted",
    "DefectKind",
    "Format",
    "Preferences",
    "ReadOptions",
    "Reading",
    "columns_beside",
    "completion_of_side",
    "convert",
    "left_out_first",
    "no_pairs",
    "open_preferences",
    "pairs_of",
    "prompt_of",
    "unwrapped",
]
