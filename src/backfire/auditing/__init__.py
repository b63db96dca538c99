"""What does the label of a preference data set encode? Probes, source leak, shortcuts, confounds, safety contrast."""

from backfire.auditing.dataset_audit import audit
from backfire.auditing.showing import show

__all__ = ["audit", "show"]
