"""Repair: a better preference data set made of a given one, with what was changed and why."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.repairing.balancing import balance_pairs
    from backfire.repairing.choosing import LADDER, Choice, Prediction, choose_share
    from backfire.repairing.comparing import faults_left, side_by_side
    from backfire.repairing.ends import match_ends
    from backfire.repairing.filtering import filter_pairs, matched_at_random
    from backfire.repairing.mixing import mix_pairs
    from backfire.repairing.outcome import Outcome, RepairedPair
    from backfire.repairing.repaired import Repaired
    from backfire.repairing.repairing import repair
    from backfire.repairing.restyling import restyle_pairs
    from backfire.repairing.reviewing import review_pairs
    from backfire.repairing.settings import (
        Auto,
        Balance,
        Clean,
        Filter,
        Mix,
        Repair,
        RepairSettings,
        Restyle,
        Review,
        Switch,
        options_of,
    )
    from backfire.repairing.switching import switch_pairs
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "balancing": ("balance_pairs",),
            "choosing": ("LADDER", "Choice", "Prediction", "choose_share"),
            "comparing": ("faults_left", "side_by_side"),
            "ends": ("match_ends",),
            "filtering": ("filter_pairs", "matched_at_random"),
            "mixing": ("mix_pairs",),
            "outcome": ("RepairedPair", "Outcome"),
            "repaired": ("Repaired",),
            "repairing": ("repair",),
            "restyling": ("restyle_pairs",),
            "reviewing": ("review_pairs",),
            "switching": ("switch_pairs",),
            "settings": (
                *(
                    "Auto",
                    "Balance",
                    "Clean",
                    "Filter",
                    "Mix",
                    "Repair",
                    "RepairSettings",
                    "Restyle",
                    "Review",
                    "Switch",
                ),
                "options_of",
            ),
        },
    )

__all__ = [
    "LADDER",
    "Auto",
    "Balance",
    "Choice",
    "Clean",
    "Filter",
    "Mix",
    "Outcome",
    "Prediction",
    "Repair",
    "RepairSettings",
    "Repaired",
    "RepairedPair",
    "Restyle",
    "Review",
    "Switch",
    "balance_pairs",
    "choose_share",
    "faults_left",
    "filter_pairs",
    "match_ends",
    "matched_at_random",
    "mix_pairs",
    "options_of",
    "repair",
    "restyle_pairs",
    "review_pairs",
    "side_by_side",
    "switch_pairs",
]
