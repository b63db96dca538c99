"""Sets of texts as numbers: n-grams, cues, keys, near duplicates, debris. Arrow in, numpy out."""

from backfire.texts.cues import CUES, Cue, cue_features, cue_presence
from backfire.texts.debris import DEBRIS, TEMPLATE_MARKS, debris, template_marks
from backfire.texts.keys import combine_keys, exact_keys, text_keys
from backfire.texts.near import groups_of, near_links, signatures
from backfire.texts.ngrams import Vocabulary

__all__ = [
    "CUES",
    "DEBRIS",
    "TEMPLATE_MARKS",
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
    "template_marks",
    "text_keys",
]
