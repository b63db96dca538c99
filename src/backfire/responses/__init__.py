"""The one sampler; scoring by reward models; responses that were given in files."""

from backfire.responses.given import Given, store_given
from backfire.responses.sampler import Failure, Sampled, counted_reasons, sample
from backfire.responses.scoring import score

__all__ = ["Failure", "Given", "Sampled", "counted_reasons", "sample", "score", "store_given"]
