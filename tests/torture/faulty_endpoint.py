"""A server that fails in every way that a server can: no prompt is lost or asked in vain, and the key reaches no file."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from torture.figures import Figures, timed

KEY = "sk-Torture/very+secret-0123456789"
SPELLED = (KEY, KEY.upper(), KEY.replace("/", "%2F").replace("+", "%2B"))
SHARE = 0.4
"""Of the requests that meet a fault when they come first."""
RUNS = 8
"""How often what was lost is asked again, at most."""


def whole(text: Any = "Fine.", ended: Any = "stop", tokens: Any = 3) -> bytes:
    choice = {"index": 0, "finish_reason": ended, "message": {"role": "assistant", "content": text}}
    value = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return json.dumps({**value, "usage": {"completion_tokens": tokens}}).encode()


FAULTS: dict[str, tuple[int, bytes]] = {
    "status 429": (429, b'{"error": {"message": "slow down"}}'),
    "status 500": (500, b'{"error": {"message": "no"}}'),
    "status 503, a page": (503, b"<html>Bad gateway</html>"),
    "status 401, the key": (401, json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()),
    "half of the JSON": (200, whole()[:60]),
    "no JSON": (200, b"<html>Fine.</html>"),
    "nothing": (200, b""),
    "not UTF-8": (200, b"\xff\xfe\x00\xd8" * 9),
    "brackets": (200, b"[" * 200_000),
    "deep": (200, b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "no choices": (200, json.dumps({"choices": []}).encode()),
    "no text": (200, whole(None)),
    "a surrogate": (200, whole("Half a \ud83d")),
    "a huge text": (200, whole("word " * 2_000_000)),
    "ended by the key": (200, whole(ended=KEY)),
    "ended by a list": (200, whole(ended=["stop"])),
    "the key as its text": (200, whole(f"Your key is {KEY}, thanks.")),
    "tokens 10^30": (200, whole(tokens=10**30)),
    "tokens -1": (200, whole(tokens=-1)),
    "tokens of words": (200, whole(tokens="many")),
    "reset": (0, b""),
    "cut": (-1, whole()),
    "silence": (-2, b""),
}
"""Status and content. 0 resets the connection, -1 ends it in the middle, -2 stays silent until the client has had enough."""
ANSWERED = ("the key as its text", "tokens 10^30", "tokens -1", "tokens of words")
"""Faults of replies that hold an answer all the same."""


@dataclass
class Faulty:
    """What a server has seen and done."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """How often each prompt was given an answer that can be used."""


@contextmanager
def faulty(seed: int) -> Iterator[Faulty]:
    """A server that answers every prompt, but for the first request of a share of them."""
    from loopback import served

    seen, lock = Faulty(), threading.Lock()

    class Completions(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            prompt = body["messages"][-1]["content"]
            chance = random.Random(f"{seed} {prompt}")
            with lock:
                first = not seen.asked[prompt]
                seen.asked[prompt] += 1
                fault = chance.choice(list(FAULTS)) if first and chance.random() < SHARE else ""
                seen.met[fault or "answered"] += 1
                seen.answered[prompt] += fault in ("", *ANSWERED)
            status, content = FAULTS[fault] if fault else (200, whole(f"Answer to {prompt}"))
            with suppress(OSError):
                self._send(status, content)

        def _send(self, status: int, content: bytes) -> None:
            if status == -2:
                time.sleep(SILENCE + 0.5)
                status = 0
            if status == 0:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.send_response(200 if status < 0 else status)
            self.send_header("content-type", "application/json")
            if status == 429:
                self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if status < 0 else content)
            if status < 0:
                self.close_connection = True
                self.connection.shutdown(2)

    with served(Completions) as url:
        seen.url = url
        yield seen


SILENCE = 1.0
"""Seconds that the client waits for a reply."""


def faulty_endpoint(place: Path, prompts: int, seed: int = 0) -> Figures:
    """Sample an answer to every prompt, again for those that were lost, as the command does on another run."""
    from backfire.models import EndpointModel
    from backfire.records import Decoding, Prompt
    from backfire.responses import sample
    from backfire.store import Ledger

    figures = Figures("faulty endpoint", "prompts")
    asked = [Prompt.of(f"Question {k}") for k in range(prompts)]
    before = os.environ.get("OPENAI_API_KEY")
    os.environ["OPENAI_API_KEY"] = KEY
    reasons: list[str] = []
    try:
        with timed(figures), faulty(seed) as server, Ledger(place / "endpoint.db") as ledger:
            model = EndpointModel("m", f"{server.url}/v1", max_retries=0, timeout=SILENCE)
            refused: dict[str, str] = {}
            for run in range(RUNS):
                found = sample(
                    model, asked, ledger=ledger, decoding=Decoding(max_new_tokens=8), refused=refused
                )
                reasons += [failure.reason for failure in found.failures]
                refused = {failure.request.id: failure.reason for failure in found.refused}
                _accounted(figures, run, prompts, len(found.responses), len(found.failures))
                if not found.lost:
                    break
            figures.times = prompts
            figures.seen.update(server.met)
            figures.seen["requests"] = sum(server.asked.values())
            _answers(figures, server, found.responses, asked, refused)
    finally:
        if before is None:
            del os.environ["OPENAI_API_KEY"]
        else:
            os.environ["OPENAI_API_KEY"] = before
    _secret(figures, place, reasons)
    return figures


def _accounted(figures: Figures, run: int, prompts: int, answered: int, failed: int) -> None:
    if answered + failed != prompts:
        figures.fault("lost", f"run {run}: {answered} answered and {failed} reported of {prompts}")


def _answers(figures: Figures, server: Faulty, responses: Any, asked: Any, refused: Any) -> None:
    texts = {prompt.id: prompt.text for prompt in asked}
    if len(responses) + len(refused) != len(asked):
        figures.fault(
            "lost", f"{len(asked) - len(responses) - len(refused)} prompts have no answer in the end"
        )
    for response in responses:
        prompt = texts[response.prompt_id]
        if not response.text.startswith(("Answer to", "Fine.", "Your key is ***")):
            figures.fault("wrong", f"{prompt}: {response.text[:80]!r}")
        if response.text.startswith("Answer to") and response.text != f"Answer to {prompt}":
            figures.fault("different", f"{prompt} has the answer of another: {response.text[:80]!r}")
    for prompt, count in server.answered.items():
        if count > 1:
            figures.fault("wrong", f"{prompt} was answered {count} times, and paid as often")


def _secret(figures: Figures, place: Path, reasons: list[str]) -> None:
    """The key stands in no file, whatever its spelling, and in no reason."""
    contents = {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    contents["the reasons"] = "\n".join(reasons).encode()
    for name, content in contents.items():
        for key in SPELLED:
            if key.encode().lower() in content.lower() or b"very+secret" in content.lower():
                figures.fault("wrong", f"the key stands in {name}")
                break
