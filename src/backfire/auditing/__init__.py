"""What does the label of a preference data set encode? Probes, source leak, confounds, safety contrast."""

from backfire.auditing.conclusion import CAVEAT, Conclusion
from backfire.auditing.confounds import Confounds
from backfire.auditing.contrast import SafetyContrast
from backfire.auditing.dataset_audit import audit
from backfire.auditing.old_estimate import Control, Estimate
from backfire.auditing.labelled_pair import Defect, LabelledPair, Provenance
from backfire.auditing.report import AuditReport
from backfire.auditing.separability import Rung
from backfire.auditing.sources import SourceLeak
from backfire.auditing.table import render

__all__ = [
    "CAVEAT",
    "AuditReport",
    "Conclusion",
    "Confounds",
    "Control",
    "Defect",
    "Estimate",
    "LabelledPair",
    "Provenance",
    "Rung",
    "SafetyContrast",
    "SourceLeak",
    "audit",
    "render",
]
