"""Sets of texts as numbers: n-grams, cues, keys, near duplicates, debris. Arrow in, numpy out."""

from backfire.texts.cues import CUES, Cue, cue_features, cue_presence
from backfire.texts.debris import DEBRIS, debris
from backfire.texts.keys import combine_keys, exact_keys, text_keys
from backfire.texts.near import groups_of, near_links, signatures
from backfire.texts.ngrams import Vocabulary

__all__ = [
    "CUES",
    "DEBRIS",
    "Cue",
    "Vocabulary",
    "combine_keys",
    "cue_features",
    "cue_presence",
    "debris",
    "exact_keys",
    "groups_of",
    "near_links",
    "signatures",
    "text_keys",
]
