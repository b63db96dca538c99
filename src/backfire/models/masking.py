"""What was sent to a server as authorisation, and must not come back out of it: into no file, page or message."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from urllib.parse import quote

MASK = "***"
SHORTEST = 8
"""Characters from which on a value is taken for a secret wherever it stands. A shorter one is a placeholder, such as `EMPTY` or
`none`, which servers without a key are given: it is masked in messages, as a whole word, and left in responses."""
CARRIERS = re.compile(r"authorization|api-?key|token|secret|cookie|credential|password", re.IGNORECASE)
"""Names of headers whose values are secrets."""


class Secrets:
    """The values that were sent as authorisation; safe to use from several threads."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def add(self, value: str | None) -> None:
        """Remember a secret, in each of the spellings in which a server may give it back."""
        plain = (value or "").strip()
        if plain and plain not in self._values:
            spellings = {plain, quote(plain, safe=""), json.dumps(plain)[1:-1], repr(plain)[1:-1]}
            with self._lock:
                self._values |= spellings

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Remember what a request carries as authorisation, with and without the scheme before it (`Bearer`)."""
        for name, value in headers.items():
            if CARRIERS.search(name):
                self.add(value)
                self.add(value.rpartition(" ")[2])

    def hide(self, text: str) -> str:
        """The text with every secret replaced by ***, in capitals or not."""
        return self._without(text, [re.escape(value) for value in self._long()])

    def hide_in_message(self, text: str) -> str:
        """What a server said, fit to be shown and stored: without secrets, on one line, whole characters, not endless."""
        short = [rf"(?<!\w){re.escape(value)}(?!\w)" for value in self._values if len(value) < SHORTEST]
        shown = self._without(text, [*(re.escape(value) for value in self._long()), *short])
        shown = shown.encode("utf-8", "replace").decode("utf-8")
        shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
        return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"

    def _long(self) -> list[str]:
        return sorted((v for v in self._values if len(v) >= SHORTEST), key=len, reverse=True)

    @staticmethod
    def _without(text: str, patterns: list[str]) -> str:
        return re.sub("|".join(patterns), MASK, text, flags=re.IGNORECASE) if patterns else text


LONGEST = 300
"""Characters of a server's message that are shown and stored."""
