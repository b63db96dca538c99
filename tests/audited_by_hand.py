"""`AuditedPairs` objects from plain rows, for tests of what is counted on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, UNDECIDED, AuditedPairs, Coded
from backfire.auditing.faults.finding import Looking
from backfire.auditing.packed_flags import PackedFlags
from backfire.auditing.probes.folds import make_split
from backfire.auditing.text_faults import joined, text_faults
from backfire.judges.reasoning import answers
from backfire.preferences import open_preferences
from backfire.preferences.schema import SCHEMA
from backfire.texts import (
    cue_features,
    debris,
    exact_keys,
    groups_of,
    near_links,
    signatures,
    template_remains,
    text_keys,
)

DECISIONS = {"refuse": REFUSE, "comply": COMPLY, None: UNDECIDED}


def audited_by_hand(rows: Sequence[Mapping[str, Any]], sample: Sequence[int] | None = None) -> AuditedPairs:
    """rows: columns of `preferences.SCHEMA`, all optional but prompt, chosen and rejected; `decisions` is a pair."""
    whole = [
        dict.fromkeys(SCHEMA.names)
        | {"row": i + 1}
        | {k: v for k, v in row.items() if k not in ("decisions", "reasons", "languages")}
        for i, row in enumerate(rows)
    ]
    for row in whole:
        for side in ("chosen_decoding", "rejected_decoding"):
            if row[side] is not None:
                row[side] = json.dumps(row[side], sort_keys=True)
    table = pa.Table.from_pylist(whole, SCHEMA)
    prompts, chosen, rejected = (column(table, name) for name in ("prompt", "chosen", "rejected"))
    sides = pa.concat_arrays([chosen, rejected])
    keys, near = text_keys(prompts), near_ones(prompts)
    pairs = len(rows)
    by_key = np.unique(keys, return_inverse=True)[1]
    links = np.concatenate(
        [np.stack([np.arange(pairs), first_of(labels)], axis=1) for labels in (by_key, near)]
    )
    kept = np.arange(pairs) if sample is None else np.array(sample)
    return AuditedPairs(
        rows=np.arange(1, pairs + 1),
        earlier_rows=None,
        groups=by_content(groups_of(pairs, links), keys),
        kinds=np.array([KINDS.index(row["kind"] or "unknown") for row in whole], dtype=np.int8),
        decisions=np.array(
            [[DECISIONS[d] for d in row.get("decisions", (None, None))] for row in rows], dtype=np.int8
        ).reshape(-1, 2),
        judge="by hand",
        reasons=told(rows, "reasons"),
        languages=told(rows, "languages"),
        thinks=answers(sides).thinks.reshape(2, pairs).T,
        cues=cue_features(sides),
        debris=PackedFlags.of(debris(sides)),
        prompt_marks=PackedFlags.of(template_remains(prompts)),
        faults=text_faults(table.combine_chunks().to_batches()[0], prompts) if pairs else joined([]),
        sources=coded(table, "source"),
        stops=coded(table, "stop"),
        decodings=coded(table, "decoding"),
        prompt_keys=keys,
        last_turn_keys=keys,
        near_prompts=near,
        prompt_signatures=signatures(prompts),
        side_keys=exact_keys(sides).reshape(2, pairs).T,
        near_sides=near_ones(sides).reshape(2, pairs).T,
        sample=kept,
        text=table.take(pa.array(kept)),
    )


def looking_at(rows: Sequence[Mapping[str, Any]], **split: Any) -> Looking:
    """What findings are looked for in; each row is a group of its own."""
    data = open_preferences([{"prompt": "p", "chosen": "a", "rejected": "b"}])
    return Looking(audited_by_hand(rows), list, make_split(np.arange(len(rows)), **split), data)


def told(rows: Sequence[Mapping[str, Any]], what: str) -> Coded:
    """`reasons` and `languages` of a row are pairs, of either side; None where nothing is said."""
    each = [row.get(what, (None, None)) for row in rows]
    names = sorted({text for pair in each for text in pair if text is not None})
    codes = [[-1 if text is None else names.index(text) for text in pair] for pair in each]
    return Coded(np.array(codes, dtype=np.int32).reshape(-1, 2), tuple(names))


def column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks()


def near_ones(texts: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    return groups_of(len(texts), near_links(signatures(texts)))


def first_of(labels: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The first row with the same label."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return first[which]


def coded(table: pa.Table, name: str) -> Coded:
    sides = [table[f"{side}_{name}"].to_pylist() for side in ("chosen", "rejected")]
    names = list(dict.fromkeys(value for side in sides for value in side if value is not None))
    codes = [[-1 if value is None else names.index(value) for value in side] for side in sides]
    return Coded(np.array(codes, dtype=np.int32).T.reshape(-1, 2), tuple(names))


def by_content(
    groups: np.ndarray[Any, np.dtype[np.int64]], keys: np.ndarray[Any, np.dtype[np.uint64]]
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Groups numbered by their smallest key, so that the order of the rows does not matter."""
    smallest = [keys[groups == group].min() for group in range(int(groups.max(initial=-1)) + 1)]
    return np.argsort(np.argsort(smallest))[groups].astype(np.int64)
