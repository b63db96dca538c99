"""The one sampler; scoring by reward models; responses that were given in files."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.responses.given import Given, store_given
    from backfire.responses.sampler import Failure, Sampled, counted_reasons, sample
    from backfire.responses.scoring import score, score_stored
    from backfire.responses.settings import GivenSettings, SamplingSettings, ScoreSettings
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "given": ("Given", "store_given"),
            "sampler": ("Failure", "Sampled", "counted_reasons", "sample"),
            "scoring": ("score", "score_stored"),
            "settings": ("GivenSettings", "SamplingSettings", "ScoreSettings"),
        },
    )

__all__ = [
    "Failure",
    "Given",
    "GivenSettings",
    "Sampled",
    "SamplingSettings",
    "ScoreSettings",
    "counted_reasons",
    "sample",
    "score",
    "score_stored",
    "store_given",
]
