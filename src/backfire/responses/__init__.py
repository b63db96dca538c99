"""The one sampler; scoring by reward models; responses that were given in files."""

from backfire.responses.given import Given, read_rows, store_given
from backfire.responses.sampler import Failure, Sampled, sample
from backfire.responses.scoring import score

__all__ = ["Failure", "Given", "Sampled", "read_rows", "sample", "score", "store_given"]
