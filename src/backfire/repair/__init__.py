"""Repair: a better preference data set made of a given one, with what was changed and why."""

from backfire.repair.balancing import balance_pairs
from backfire.repair.choosing import LADDER, Choice, Prediction, choose_share
from backfire.repair.comparing import side_by_side
from backfire.repair.ends import match_ends
from backfire.repair.filtering import filter_pairs, matched_at_random
from backfire.repair.mixing import mix_pairs
from backfire.repair.outcome import Mended, Outcome
from backfire.repair.repairing import METHODS, Repaired, repair
from backfire.repair.restyling import restyle_pairs

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
