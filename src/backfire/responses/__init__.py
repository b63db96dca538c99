"""The one sampler; scoring by reward models; responses that were given in files."""

from backfire.responses.sampler import Failure, Sampled, sample
from backfire.responses.scoring import score

__all__ = ["Failure", "Sampled", "sample", "score"]
