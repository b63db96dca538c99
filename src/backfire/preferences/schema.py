"""What reading gives: blocks of one schema, and the names of the forms and of the defects."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import pyarrow as pa

from backfire.records import Kind, Prompt

Format = Literal[
    "TRL standard, explicit prompt",
    "TRL standard, implicit prompt",
    "TRL conversational, explicit prompt",
    "TRL conversational, implicit prompt",
    "prompt beside whole conversations",
    "Anthropic HH transcripts",
    "system turn beside plain text",
    "instruction, input and history",
    "instruction and a list of two outputs",
    "conversations and single turns",
    "two responses and the preferred one",
    "completions with labels",
]
"""`prompt beside whole conversations` is UltraFeedback-binarized's; `system turn beside plain text` Orca's;
`instruction, input and history` and `conversations and single turns` are LLaMA-Factory's (ShareGPT);
`two responses and the preferred one` PKU-SafeRLHF's; `completions with labels` KTO's."""

DefectKind = Literal[
    "undecodable",
    "wrong type",
    "missing side",
    "blank side",
    "identical sides",
    "differing prompts",
    "no final assistant turn",
    "unpaired",
    "no preference",
]

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("prompt", pa.large_string()),
        ("messages", pa.large_string()),
        ("chosen", pa.large_string()),
        ("rejected", pa.large_string()),
        ("kind", pa.string()),
        ("chosen_source", pa.string()),
        ("rejected_source", pa.string()),
        ("chosen_stop", pa.string()),
        ("rejected_stop", pa.string()),
        ("chosen_decoding", pa.string()),
        ("rejected_decoding", pa.string()),
        ("tags", pa.large_string()),
    ]
)
"""One usable pair a row. `row` counts from 1 (the line number in JSONL; of labelled completions, the later of the two).
`prompt` is the one user turn, or the turns as "role: content" with blank lines between, and then `messages` is their
JSON. `kind` is harmful, benign or null; decodings and tags are JSON objects with sorted keys."""

_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
SIDES = ("chosen", "rejected")


class Unusable(Exception):
    """A row that gives no pair, and why."""

    def __init__(self, kind: DefectKind) -> None:
        super().__init__(kind)
        self.kind: DefectKind = kind


def as_json(value: Any, *, sort_keys: bool = False) -> str:
    """The one spelling of JSON in blocks: no spaces, no escapes beyond the needed ones."""
    return (_SORTED if sort_keys else _PLAIN).encode(value)


def prompt_of(block: pa.RecordBatch, index: int) -> Prompt:
    """The prompt of one row of a block, with its kind and tags."""
    text, turns, kind, tags = (
        block.column(name)[index].as_py() for name in ("prompt", "messages", "kind", "tags")
    )
    known = None if kind is None else cast(Kind, kind)
    said = None if tags is None else json.loads(tags)
    if turns is None:
        return Prompt.of(text, kind=known, tags=said)
    return Prompt.of_messages(json.loads(turns), kind=known, tags=said)
