"""Replies of an endpoint in the order in which they arrive, several requests being on their way at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from backfire.errors import EndpointError
from backfire.models.endpoint import EndpointModel
from backfire.records import Request

if TYPE_CHECKING:
    from backfire.models.local import Generation

Outcome = tuple[int, Request, "Generation | EndpointError"]
"""The request's place among those given, the request, and the reply or why there is none."""


class Arrivals:
    """Iterate over it for the outcomes; the next request is sent when the one that arrived has been dealt with.

    Ending early, by an interruption, waits for nothing: what is on its way is let go, and what has arrived is still there in
    `left()`.
    """

    def __init__(self, model: EndpointModel, requests: Iterable[Request], at_once: int) -> None:
        self._waiting = enumerate(requests)
        self._sent: SimpleQueue[tuple[int, Request] | None] = SimpleQueue()
        self._came: SimpleQueue[tuple[int, Request, Generation | Exception]] = SimpleQueue()
        self._on_their_way = 0
        self._at_once = at_once
        self._model = model
        self._threads = 0

    def __iter__(self) -> Iterator[Outcome]:
        try:
            for _ in range(self._at_once):
                self._send_one()
            while self._on_their_way:
                place, request, outcome = self._came.get()
                self._on_their_way -= 1
                if isinstance(outcome, Exception) and not isinstance(outcome, EndpointError):
                    raise outcome
                yield place, request, outcome
                self._send_one()
        finally:
            for _ in range(self._threads):
                self._sent.put(None)

    def left(self) -> list[tuple[Request, Generation]]:
        """The replies that have arrived and were not given yet."""
        arrived: list[tuple[Request, Generation]] = []
        while True:
            try:
                _, request, outcome = self._came.get_nowait()
            except Empty:
                return arrived
            if not isinstance(outcome, Exception):
                arrived.append((request, outcome))

    def _send_one(self) -> None:
        following = next(self._waiting, None)
        if following is None:
            return
        self._sent.put(following)
        self._on_their_way += 1
        if self._threads < min(self._at_once, self._on_their_way):
            self._threads += 1
            threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        while (sent := self._sent.get()) is not None:
            outcome: Generation | Exception
            try:
                outcome = self._model.generate_one(sent[1])
            except Exception as error:
                outcome = error
            self._came.put((*sent, outcome))
