"""Frozen, content-addressed records."""

from backfire.records.conversation import (
    Completion,
    Kind,
    Message,
    PairBody,
    Prompt,
    completion_turns,
    said_by_assistant,
)
from backfire.records.identity import digest, file_digest
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
    "Completion",
    "Damage",
    "Decided",
    "Decoding",
    "Kind",
    "Message",
    "PairBody",
    "Prompt",
    "Request",
    "Response",
    "Score",
    "StopReason",
    "Verdict",
    "completion_turns",
    "digest",
    "file_digest",
    "given_response",
    "said_by_assistant",
]
