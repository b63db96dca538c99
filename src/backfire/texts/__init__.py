"""Sets of texts as numbers: n-grams, cues, keys, near duplicates, debris, cut ends, echoes, personal data. Arrow in, numpy out."""

from backfire.texts.cues import CUES, Cue, cue_features, cue_presence
from backfire.texts.debris import (
    DEBRIS,
    TEMPLATE_MARKS,
    debris,
    longest_between_marks,
    template_marks,
    template_remains,
)
from backfire.texts.echoes import echo_mask
from backfire.texts.endings import ENDINGS, cut_ends, cut_mask
from backfire.texts.keys import combine_keys, exact_keys, text_keys
from backfire.texts.near import groups_of, near_links, signatures
from backfire.texts.ngrams import Vocabulary
from backfire.texts.personal import PERSONAL, personal_data

__all__ = [
    "CUES",
    "DEBRIS",
    "ENDINGS",
    "PERSONAL",
    "TEMPLATE_MARKS",
    "Cue",
    "Vocabulary",
    "combine_keys",
    "cue_features",
    "cue_presence",
    "cut_ends",
    "cut_mask",
    "debris",
    "echo_mask",
    "exact_keys",
    "groups_of",
    "longest_between_marks",
    "near_links",
    "personal_data",
    "signatures",
    "template_marks",
    "template_remains",
    "text_keys",
]
