"""What does the label of a preference data set encode? Probes, source leak, shortcuts, confounds, safety contrast."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.auditing.conditions import failed_conditions, parse_conditions, unchecked_conditions
    from backfire.auditing.dataset_audit import audit
    from backfire.auditing.settings import AuditSettings, ShowSettings
    from backfire.auditing.showing import show
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "conditions": ("failed_conditions", "parse_conditions", "unchecked_conditions"),
            "dataset_audit": ("audit",),
            "settings": ("AuditSettings", "ShowSettings"),
            "showing": ("show",),
        },
    )

__all__ = [
    "AuditSettings",
    "ShowSettings",
    "audit",
    "failed_conditions",
    "parse_conditions",
    "show",
    "unchecked_conditions",
]
