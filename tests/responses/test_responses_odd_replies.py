"""Whatever a server sends costs its own request only, and what was sent as authorisation comes back out of nothing."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfire.errors import RefusedError
from backfire.judges.replies import replies
from backfire.models import EndpointModel
from backfire.models.reply import LARGEST, read_reply
from backfire.records import Decoding, Prompt, Request
from backfire.responses import counted_reasons, sample
from backfire.store import Ledger
from loopback import chat, served

DECODING = Decoding(max_new_tokens=12)
KEY = "sk-Test/very+secret-0123456789"


def whole(text: Any = "Fine.", ended: Any = "stop", usage: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": ended, "message": {"role": "assistant", "content": text}}
    found = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], **more}
    return found if usage is None else {**found, "usage": usage}


@contextmanager
def answering(
    data: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> Iterator[EndpointModel]:
    """A server that sends this to prompts that hold "odd", and a sound reply to all others."""

    class Odd(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            odd = "odd" in body["messages"][-1]["content"]
            sent = data if odd else json.dumps(whole()).encode()
            self.send_response(status if odd else 200)
            self.send_header("content-type", "application/json")
            for name, value in (headers or {}).items() if odd else ():
                self.send_header(name, value)
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(sent)

    with served(Odd) as url:
        yield EndpointModel("m", f"{url}/v1", max_retries=0, timeout=10)


PROMPTS = [Prompt.of(text) for text in ("one", "odd two", "three", "four")]


def nested(depth: int) -> bytes:
    return b'{"choices": ' + b"[" * depth + b"]" * depth + b"}"


UNUSABLE = {
    "deep": nested(200_000),
    "deep in an object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "half a character": json.dumps(whole("Half a \ud83d")).encode(),
    "null text": json.dumps(whole(None)).encode(),
    "a list of texts": json.dumps(whole([1, 2])).encode(),
    "no choices": json.dumps({**whole(), "choices": []}).encode(),
    "choices null": json.dumps({**whole(), "choices": None}).encode(),
    "choices of numbers": json.dumps({**whole(), "choices": [1]}).encode(),
    "finish_reason an object": json.dumps(whole(ended={"a": 1})).encode(),
    "finish_reason a list": json.dumps(whole(ended=["stop"])).encode(),
    "finish_reason a number": json.dumps(whole(ended=10**30)).encode(),
    "finish_reason endless": json.dumps(whole(ended="x" * 10_000_000)).encode(),
    "finish_reason long": json.dumps(whole(ended="x" * 1_000_000)).encode(),
    "huge text": json.dumps(whole("word " * 4_000_000)).encode(),
    "not UTF-8": b"\xff\xfe\x00\xd8" * 7,
    "nothing": b"",
    "a number": b"5",
    "many digits": b'{"choices": ' + b"9" * 100_000 + b"}",
    "a page": b"<html>Bad gateway</html>",
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_an_unusable_reply_costs_its_own_request(what: str, ledger: Ledger) -> None:
    with answering(UNUSABLE[what]) as model:
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
        judged = replies(model, PROMPTS, max_new_tokens=4)
    assert [r.text for r in found.responses] == ["Fine."] * 3
    (failure,) = found.failures
    assert failure.request.prompt.text == "odd two"
    assert failure in found.lost
    assert failure.reason.isprintable()
    assert 20 < len(failure.reason) < 400
    assert [bool(reply.reason) for reply in judged] == [False, True, False, False]


@pytest.mark.parametrize(
    "usage",
    [
        {"completion_tokens": count}
        for count in (10**30, -1, "12", 2.5, 1e400, True, None, [], {"a": 1}, 2**63)
    ]
    + [[], "many", 7, {}],
)
def test_an_odd_count_of_tokens_is_no_count(usage: Any, ledger: Ledger) -> None:
    with answering(json.dumps(whole(usage=usage)).encode()) as model:
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
    assert [(r.text, r.tokens) for r in found.responses] == [("Fine.", None)] * 4


@pytest.mark.parametrize("status", [400, 403, 500])
@pytest.mark.parametrize(
    "data",
    [
        nested(200_000),
        nested(900),
        b'"\\ud83d"',
        b"\xff\xfe",
        b"x" * (LARGEST + 1),
        b'{"error": {"message": "\\u001b[31mred\\u001b[0m\\n\\n' + b"long " * 10_000 + b'"}}',
    ],
    ids=["deep", "repr deep", "half a character", "not UTF-8", "huge", "escapes"],
)
def test_an_odd_error_costs_its_own_request(data: bytes, status: int, ledger: Ledger) -> None:
    with answering(data, status) as model:
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
    (failure,) = found.failures
    assert len(found.responses) == 3
    assert failure.reason.isprintable()
    assert len(failure.reason) < 400
    json.dumps(failure.reason, ensure_ascii=False).encode()


def test_a_compressed_reply_is_not_unpacked(ledger: Ledger) -> None:
    with answering(gzip.compress(b" " * 10**7), headers={"content-encoding": "gzip"}) as model:
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
    assert "compressed" in found.failures[0].reason
    assert len(found.responses) == 3


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.data())
def test_whatever_stands_in_a_reply_is_read_or_named(data: st.DataObject) -> None:
    value = whole(usage={"completion_tokens": 3})
    places: list[tuple[Any, Any]] = [
        (value, "choices"),
        (value["choices"], 0),
        (value["choices"][0], "message"),
        (value["choices"][0], "finish_reason"),
        (value["choices"][0]["message"], "content"),
        (value, "usage"),
        (value["usage"], "completion_tokens"),
    ]
    holder, name = data.draw(st.sampled_from(places))
    holder[name] = data.draw(json_values)
    reply = read_reply(json.dumps(value).encode())
    assert bool(reply.fault) != bool(reply.text)
    assert reply.tokens is None or 0 <= reply.tokens < 2**31


def test_any_bytes_are_read_or_named() -> None:
    @given(st.binary(max_size=200))
    def check(content: bytes) -> None:
        assert read_reply(content).fault

    check()


@pytest.mark.parametrize(
    ("ended", "said"),
    [(KEY, "other"), ("eos", "other"), (None, "none"), ("tool_calls", "tool_calls"), ("content_filter", "")],
)
def test_a_reason_to_stop_is_a_word_of_ours(ended: Any, said: str) -> None:
    reply = read_reply(json.dumps(whole(ended=ended)).encode())
    assert reply.fault == f"the reply ended with finish_reason {said or 'content_filter'}"
    assert reply.filtered == (ended == "content_filter")


def spelled(key: str) -> list[str]:
    return [key, f"Bearer {key}", key.upper(), key.replace("/", "%2F").replace("+", "%2B")]


@pytest.mark.parametrize("place", ["text", "finish_reason", "model", "id", "error", "plain error", "header"])
@pytest.mark.parametrize("number", range(4))
def test_the_key_comes_back_out_of_no_part_of_a_reply(
    place: str, number: int, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    key = spelled(KEY)[number]
    status, headers = 200, {}
    value: Any = whole()
    if place == "text":
        value = whole(f"Your key is {key}, thanks.")
    elif place == "finish_reason":
        value = whole(ended=key)
    elif place in ("model", "id"):
        value[place] = key
    elif place == "error":
        value, status = {"error": {"message": f"bad key {key}", "code": key}}, 401
    elif place == "header":
        value, status, headers = {}, 500, {"x-request-id": key}
    data = json.dumps(value).encode()
    if place == "plain error":
        data, status = f"no such key: {key}".encode(), 403
    with (
        answering(data, status, headers) as model,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always")
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
        judged = replies(model, PROMPTS, max_new_tokens=4)
    shown = " ".join(
        [*(f.reason for f in found.failures), *(r.text for r in found.responses), *map(repr, judged)]
    )
    assert "very" not in shown.lower()
    assert "0123456789" not in shown
    assert "very+secret" not in repr(vars(model))
    told = [str(w.message) for w in said if "authorisation" in str(w.message)]
    assert bool(told) == (place == "text")
    if place == "text":
        assert any("***, thanks." in r.text for r in found.responses)
    ledger.close()
    for path in ledger.path.parent.iterdir():
        content = path.read_bytes().lower()
        assert b"0123456789" not in content
        assert b"very+secret" not in content


def test_headers_of_ones_own_are_masked_as_the_key_is(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway-Token: gate-987654321")
    with answering(json.dumps({"error": {"message": "no gate-987654321 here"}}).encode(), 403) as model:
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
    assert "gate-" not in found.failures[0].reason
    assert "no *** here" in found.failures[0].reason


def test_a_placeholder_for_a_key_leaves_responses_as_they_are(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    with answering(json.dumps(whole("The box is EMPTY.")).encode()) as model:
        found = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
    assert "The box is EMPTY." in [r.text for r in found.responses]


def test_a_failure_keeps_no_words_of_the_server_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with answering(f"no such key: {KEY}".encode(), 400) as model, pytest.raises(RefusedError) as caught:
        model.generate_one(Request(PROMPTS[1], model.id, "", DECODING, 0, 0))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_what_is_refused_is_final_and_known_refusals_are_not_sent_again(ledger: Ledger) -> None:
    def reply(_: str, turns: list[dict[str, str]]) -> str | None:
        return None if "odd" in turns[-1]["content"] else "Fine."

    with chat(reply) as server:
        model = server.model("m")
        first = sample(model, PROMPTS, ledger=ledger, decoding=DECODING)
        assert [f.request.prompt.text for f in first.refused] == ["odd two"]
        assert first.lost == []
        refused = {f.request.id: f.reason for f in first.refused}
        again = sample(model, PROMPTS, ledger=ledger, decoding=DECODING, refused=refused)
        assert again == first
        assert len(server.asked["m"]) == 4


def test_reasons_are_counted_and_bounded(ledger: Ledger) -> None:
    def reply(_: str, turns: list[dict[str, str]]) -> str | None:
        return "Fine." if turns[-1]["content"] == "one" else None

    with chat(reply) as server:
        prompts = [Prompt.of("one"), *(Prompt.of(f"q{k}") for k in range(30))]
        found = sample(server.model("m"), prompts, ledger=ledger, decoding=DECODING)
    (counts,) = [counted_reasons(found.failures)]
    assert sum(counts.values()) == 30
    each = [replace(f, reason=f"request {k} failed") for k, f in enumerate(found.failures)]
    counts = counted_reasons(each)
    assert (len(counts), counts["other reasons"]) == (21, 10)


INTERRUPTED = """
import sys
from backfire.models import EndpointModel
from backfire.records import Decoding, Prompt
from backfire.responses import sample
from backfire.store import Ledger
with Ledger(sys.argv[2]) as ledger:
    model = EndpointModel("m", sys.argv[1], max_retries=5, timeout=60)
    prompts = [Prompt.of(f"q{k}") for k in range(40)]
    sample(model, prompts, ledger=ledger, decoding=Decoding(max_new_tokens=12))
"""


def test_one_interruption_ends_at_once_with_what_arrived_stored(tmp_path: Path) -> None:
    answered, release = threading.Semaphore(0), threading.Event()
    places = iter(range(10**6))

    def reply(_: str, turns: list[dict[str, str]]) -> str:
        if next(places) >= 12:
            answered.release()
            release.wait(60)
        return "Fine."

    path = tmp_path / "ledger.db"
    with chat(reply) as server:
        command = [sys.executable, "-c", INTERRUPTED, f"{server.url}/v1", str(path)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
        try:
            for _ in range(8):
                assert answered.acquire(timeout=60)
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.wait(20)
            assert time.monotonic() - start < 20
        finally:
            release.set()
            process.kill()
            process.wait()
    with Ledger(path) as ledger:
        assert sum(ledger.sources().values()) == 12
