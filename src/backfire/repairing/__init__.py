"""Repair: a better preference data set made of a given one, with what was changed and why."""

from backfire.repairing.balancing import balance_pairs
from backfire.repairing.choosing import LADDER, Choice, Prediction, choose_share
from backfire.repairing.comparing import side_by_side
from backfire.repairing.ends import match_ends
from backfire.repairing.filtering import filter_pairs, matched_at_random
from backfire.repairing.mixing import mix_pairs
from backfire.repairing.outcome import Mended, Outcome
from backfire.repairing.repairing import METHODS, Repaired, repair
from backfire.repairing.restyling import restyle_pairs

__all__ = [
    "LADDER",
    "METHODS",
    "Choice",
    "Mended",
    "Outcome",
    "Prediction",
    "Repaired",
    "balance_pairs",
    "choose_share",
    "filter_pairs",
    "match_ends",
    "matched_at_random",
    "mix_pairs",
    "repair",
    "restyle_pairs",
    "side_by_side",
]
