"""What a chat-completions server sent, read with nothing taken on trust: no reply costs more than its own request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.records import StopReason
from backfire.tables import undecodable

if TYPE_CHECKING:
    import httpx2

LARGEST = 4 * 2**20
"""Bytes of a reply; a longer one is not read on. A hundred thousand tokens take less than a tenth of it."""
STOP_REASONS: dict[str, StopReason] = {"stop": "eos", "length": "length"}
FILTERED = "content_filter"
NAMED = (FILTERED, "tool_calls", "function_call")
"""Other reasons that the API knows; one that it does not know is `other`, whatever the server's word for it was."""
MOST_TOKENS = 2**31
"""A count of tokens from here on is no count."""


@dataclass(frozen=True)
class Reply:
    """A server's reply: its text, or what is wrong with it."""

    text: str = ""
    stop_reason: StopReason = "eos"
    tokens: int | None = None
    fault: str = ""
    filtered: bool = False
    """Whether the server's content filter ended it."""


def read_reply(content: bytes) -> Reply:
    """Read the body of a chat completion; whatever it holds, nothing is raised.

    A count of tokens that is none is unknown; a text that is none, an unknown reason to stop or half a character make the
    reply unusable. No word of the server's but the text itself is kept.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        deep = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        return Reply(fault=f"the reply is {deep}")
    choices = _field(value, "choices")
    if not isinstance(choices, list) or not choices:
        return Reply(fault="the reply has no choices")
    message = _field(choices[0], "message")
    if not isinstance(message, dict):
        return Reply(fault="the reply's first choice holds no message")
    text = message.get("content") or message.get("refusal") or ""
    if not isinstance(text, str):
        return Reply(fault=f"the reply's content is no text but {type(text).__name__}")
    ended = choices[0].get("finish_reason")
    stop = STOP_REASONS.get(ended) if isinstance(ended, str) else None
    if stop is None:
        reason = "none" if ended is None else ended if isinstance(ended, str) and ended in NAMED else "other"
        return Reply(fault=f"the reply ended with finish_reason {reason}", filtered=reason == FILTERED)
    if not text.strip():
        return Reply(fault=f"the reply is empty (finish_reason {'stop' if stop == 'eos' else stop})")
    if undecodable(text):
        return Reply(fault="the reply holds half a character (a lone surrogate)")
    return Reply(text, stop, _count(_field(_field(value, "usage"), "completion_tokens")))


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < MOST_TOKENS else None


def bound(response: httpx2.Response, seconds: float) -> None:
    """Let no more of the response be read than `LARGEST` bytes, within so many seconds.

    Raises:
        openai.OpenAIError: it is compressed, though that was not asked for, so that its size cannot be told.
    """
    import httpx2
    import openai

    coding = response.headers.get("content-encoding", "identity")
    if coding.strip().lower() not in ("", "identity"):
        raise openai.OpenAIError("the reply is compressed, though it was asked for as it is")
    assert isinstance(response.stream, httpx2.SyncByteStream)
    source: httpx2.SyncByteStream = response.stream
    until = time.monotonic() + seconds

    class Bounded(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            read = 0
            for chunk in source:
                read += len(chunk)
                if read > LARGEST:
                    raise openai.OpenAIError(f"the reply is larger than {LARGEST // 2**20} MiB")
                if time.monotonic() > until:
                    raise httpx2.ReadTimeout(f"the reply was not whole after {seconds:g} s")
                yield chunk

        def close(self) -> None:
            source.close()

    response.stream = Bounded()
