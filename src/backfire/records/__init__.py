"""Frozen, content-addressed records, and the one place that divides."""

from backfire.records.conversation import (
    Completion,
    Kind,
    Message,
    Prompt,
    completion_turns,
    said_by_assistant,
)
from backfire.records.identity import digest
from backfire.records.rates import (
    ClusteredRate,
    Rate,
    clustered_rate_of,
    clustered_wilson,
    paired_difference,
    rate_of,
    wilson,
)
from backfire.records.response import (
    Damage,
    Decided,
    Decoding,
    Request,
    Response,
    Score,
    StopReason,
    Verdict,
    given_response,
)

__all__ = [
    "ClusteredRate",
    "Completion",
    "Damage",
    "Decided",
    "Decoding",
    "Kind",
    "Message",
    "Prompt",
    "Rate",
    "Request",
    "Response",
    "Score",
    "StopReason",
    "Verdict",
    "clustered_rate_of",
    "clustered_wilson",
    "completion_turns",
    "digest",
    "given_response",
    "paired_difference",
    "rate_of",
    "said_by_assistant",
    "wilson",
]
