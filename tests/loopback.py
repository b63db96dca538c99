"""Servers on loopback: an OpenAI-compatible one with known answers, for attacks, attackers and judges."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

from backfire.models import EndpointModel

Turns = list[dict[str, str]]
Reply = Callable[[str, Turns], str | None]
"""What the model of this name answers to these turns; None fails with status 400, which no client retries."""


@contextmanager
def served(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server with this handler."""
    server: HTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Chat:
    """A chat server's address, and what it was sent: the turns in their order, by the model's name."""

    url: str = ""
    asked: dict[str, list[Turns]] = field(default_factory=dict)

    def reference(self, name: str) -> str:
        return f"openai:{name}@{self.url}/v1"

    def model(self, name: str) -> EndpointModel:
        return EndpointModel(name, f"{self.url}/v1", max_retries=0, timeout=10)


@contextmanager
def chat(reply: Reply) -> Iterator[Chat]:
    """A server of chat completions that answers as `reply` says, whatever model is asked for."""
    kept = Chat()

    class Completions(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kept.asked.setdefault(body["model"], []).append(body["messages"])
            text = reply(body["model"], body["messages"])
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            whole = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            data = json.dumps({"error": {"message": "out of order"}} if text is None else whole).encode()
            self.send_response(400 if text is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with served(Completions) as url:
        kept.url = url
        yield kept
