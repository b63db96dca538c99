"""What reading gives: blocks of one schema, and the names of the forms and of the defects."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

import pyarrow as pa

from backfire.records import Completion, Kind, Message, PairBody, Prompt

Format = Literal[
    "TRL standard, explicit prompt",
    "TRL standard, implicit prompt",
    "TRL conversational, explicit prompt",
    "TRL conversational, implicit prompt",
    "prompt beside whole conversations",
    "Anthropic HH transcripts",
    "chats rendered as text",
    "system turn beside plain text",
    "instruction, input and history",
    "instruction and a list of two outputs",
    "conversations and single turns",
    "OpenAI preferences",
    "messages and a rejected response",
    "two responses and the preferred one",
    "ranked responses, best against worst",
    "ranked responses, best against each other",
    "completions with labels",
    "completions with scores",
    "Label Studio export",
    "Argilla records",
]
"""`forms.FORMS` describes each, with an example."""

DefectKind = Literal[
    "undecodable",
    "wrong type",
    "no prompt",
    "missing side",
    "blank side",
    "identical sides",
    "differing prompts",
    "no final assistant turn",
    "unpaired",
    "neither best nor worst",
    "tie",
    "no preference",
    "late column",
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
        ("chosen_score", pa.float64()),
        ("rejected_score", pa.float64()),
        ("chosen_votes", pa.float64()),
        ("rejected_votes", pa.float64()),
        ("tied_votes", pa.float64()),
        ("tags", pa.large_string()),
        ("chosen_messages", pa.large_string()),
        ("rejected_messages", pa.large_string()),
        ("tools", pa.large_string()),
        ("template_options", pa.large_string()),
        ("earlier_row", pa.int64()),
    ]
)
"""One usable pair a row. `row` counts from 1 (the line number in JSONL; of labelled completions, the later of the two).
`prompt` is the one user turn, or the turns as "role: content" with blank lines between, and then `messages` is their
JSON. `kind` is harmful, benign or null; decodings and tags are JSON objects with sorted keys. Scores
are those of columns such as `score_chosen` that stand beside a label, null where a cell is no number. Votes are how many of
several people preferred either response, or neither; null where nobody's vote is recorded. `chosen` and `rejected` are
what the assistant says on that side, and `chosen_messages` and `rejected_messages` the JSON of that side's turns where it is
not one assistant turn of plain text. `tools` is the JSON list of tools that a chat template renders, `template_options` the
JSON object of its further arguments. `earlier_row` is the other row of a pair that is made of two, null of any other pair."""

BESIDE = SCHEMA.names[SCHEMA.get_field_index("kind") : SCHEMA.get_field_index("tags") + 1]
"""The columns of what is known of a pair beside its texts."""

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
    """The prompt of one row of a block, with its kind, tags, tools and template options."""
    text, turns, kind, tags, tools, options = (
        block.column(name)[index].as_py()
        for name in ("prompt", "messages", "kind", "tags", "tools", "template_options")
    )
    known = None if kind is None else cast(Kind, kind)
    tag_values = None if tags is None else json.loads(tags)
    spoken = [{"role": "user", "content": text}] if turns is None else json.loads(turns)
    return Prompt.of_messages(
        spoken, kind=known, tags=tag_values, tools=tools or "", template_options=options or ""
    )


def completion_of_side(block: pa.RecordBatch, side: str, index: int) -> Completion:
    """One side (`chosen` or `rejected`) of one row of a block: its text, or its turns where it is more than that."""
    turns = block.column(f"{side}_messages")[index].as_py()
    if turns is None:
        text: str = block.column(side)[index].as_py()
        return text
    return tuple(map(Message.of, json.loads(turns)))


def pairs_of(block: pa.RecordBatch) -> list[PairBody]:
    """Every pair of a block: its prompt, its chosen and its rejected completion; as the models' rendering takes them."""
    prompts = [prompt_of(block, index) for index in range(len(block))]
    chosen, rejected = (_completions(block, side) for side in SIDES)
    return [PairBody(*pair) for pair in zip(prompts, chosen, rejected, strict=True)]


def _completions(block: pa.RecordBatch, side: str) -> list[Completion]:
    turns = block.column(f"{side}_messages")
    if turns.null_count == len(block):
        texts: list[Completion] = block.column(side).to_pylist()
        return texts
    return [completion_of_side(block, side, index) for index in range(len(block))]
