"""Small preference pairs made by hand, whose sources, kinds and decisions are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backfire.pairs import Pair
from backfire.records import Prompt, Response, StopReason, given_response

REFUSAL, HELP = "I'm sorry, but no", "Sure, take the"


def response(prompt: Prompt, source: str, text: str, *, index: int = 0, stop: StopReason = "eos") -> Response:
    return replace(given_response(prompt, source, text, index=index), stop_reason=stop)


def pair(
    number: int,
    *,
    kind: Any = "harmful",
    sources: tuple[str, str] = ("strong", "self"),
    decisions: tuple[str, str] = ("refuse", "comply"),
    stops: tuple[StopReason, StopReason] = ("eos", "eos"),
) -> Pair:
    """Pair `number`, of a prompt of its own; texts hold the number, so that no two are equal."""
    prompt = Prompt.of(f"request {number}", kind=kind)
    texts = [
        f"{REFUSAL if d == 'refuse' else HELP} {s} {number}" for s, d in zip(sources, decisions, strict=True)
    ]
    sides = [
        response(prompt, s, t, index=n, stop=stop)
        for n, (s, t, stop) in enumerate(zip(sources, texts, stops, strict=True))
    ]
    return Pair(prompt, "by hand", sides[0], sides[1], "chosen-role", "rejected-role")


def sources_of(pairs: Sequence[Pair]) -> dict[str, int]:
    """How much oftener each source is chosen than rejected, by a plain loop."""
    found: dict[str, int] = {}
    for p in pairs:
        found[p.chosen.source] = found.get(p.chosen.source, 0) + 1
        found[p.rejected.source] = found.get(p.rejected.source, 0) - 1
    return found
