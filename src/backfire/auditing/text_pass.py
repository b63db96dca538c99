"""The pass over the text: every pair becomes numbers, and a sample keeps its text."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, UNDECIDED, AuditedPairs, Coded, Ints, Keys
from backfire.auditing.packed_flags import PackedFlags, bytes_of
from backfire.auditing.text_faults import SIDES, TextFaults, joined, text_faults
from backfire.auditing.text_sample import SAMPLE_PAIRS, TextSample
from backfire.judges import Decisions, decide, decisions
from backfire.judges.languages import release_library
from backfire.preferences import prompt_of, unwrapped
from backfire.records import Decided, given_response
from backfire.texts import (
    CUES,
    DEBRIS,
    TEMPLATE_MARKS,
    combine_keys,
    cue_features,
    debris,
    exact_keys,
    groups_of,
    longest_between_marks,
    near_links,
    signatures,
    template_marks,
    template_remains,
    text_keys,
)

if TYPE_CHECKING:
    from backfire.judges.judge import Judge

WORKERS = 2
NEAR_PAIRS = 50_000
"""Up to so many pairs, responses are compared for near duplicates too."""
CODES: dict[Decided, int] = {"comply": COMPLY, "refuse": REFUSE, "broken": UNDECIDED, "undecided": UNDECIDED}
"""Decisions by their code; the reason tells broken responses from those that nobody could judge."""
STATED = ("source", "stop", "decoding")
REMARKS = ("undecided", "language")

_SYSTEM_TURN = r"(?s)\Asystem: .*?\n\nuser: "
_LAST_TURN = r"(?s)^(?:.*\n\n)?user: (?P<turn>.*)$"
_OPENING = r"(?s)^(?:system: .*?\n\n)?user: (?P<question>.*?)\n\nassistant: (?P<reply>.*?)(?:\n\n(?:user|assistant|system): .*)?$"


@dataclass
class _Block:
    """What is kept of one block of pairs."""

    rows: Ints
    earlier_rows: Ints | None
    kinds: NDArray[np.int8]
    decisions: NDArray[np.int8]
    thinks: NDArray[np.bool_]
    cues: NDArray[np.float32]
    debris: NDArray[np.uint8]
    """The bits of `PackedFlags`."""
    prompt_marks: NDArray[np.uint8]
    faults: TextFaults
    prompt_keys: Keys
    last_turn_keys: Keys
    opening_keys: Keys
    """Of a dialogue's first exchange; 0 for a single turn."""
    signatures: NDArray[np.uint32]
    side_keys: Keys
    side_signatures: NDArray[np.uint32] | None
    """None for large sets, of which the sides are not compared for near duplicates."""


def collect(
    blocks: Iterable[pa.RecordBatch],
    *,
    judge: Judge | None = None,
    sample: int = SAMPLE_PAIRS,
    keep_signatures: bool = False,
    advance: Callable[[int], None] | None = None,
) -> AuditedPairs:
    """Read blocks of `preferences.SCHEMA` once. `advance` is told how many pairs each block brought.

    judge: who decides refusal; by default the refusal phrases. sample: of how many pairs the text is kept.
    keep_signatures: those of the prompts, to compare them with another set's.
    """
    digested: list[_Block] = []
    stated, remarks, texts = _Coding(STATED), _Coding(REMARKS), TextSample(sample)
    pairs = 0

    def digested_of(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, _Block, pa.RecordBatch]:
        return batch, *_digested(batch, judge, compare_sides=pairs <= NEAR_PAIRS)

    for batch, block, remarked in in_order_of(blocks, digested_of):
        texts.offer(batch, block.prompt_keys)
        stated.add(batch)
        remarks.add(remarked)
        digested.append(block)
        pairs += len(batch)
        if pairs > NEAR_PAIRS:
            for earlier in digested:
                earlier.side_signatures = None
        if advance is not None:
            advance(len(batch))
    if pairs > NEAR_PAIRS:
        release_library()
    return _joined(
        digested, stated, remarks, "phrases" if judge is None else judge.name, texts, keep_signatures
    )


def in_order_of(blocks: Iterable[pa.RecordBatch], work: Callable[[pa.RecordBatch], Any]) -> Iterator[Any]:
    """Results of `work` on each block, in order, by WORKERS threads (numpy and Arrow let go of Python's lock)."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[Any]] = deque()
        for block in blocks:
            waiting.append(pool.submit(work, block))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def asked_signatures(block: pa.RecordBatch) -> NDArray[np.uint32]:
    """`texts.signatures` of prompts without their system turn: one that all share would make all of them near duplicates."""
    prompt = block["prompt"]
    bare = pc.replace_substring_regex(prompt, _SYSTEM_TURN, "user: ", max_replacements=1)
    return signatures(pc.if_else(block["messages"].is_valid(), bare, prompt))


def _digested(
    batch: pa.RecordBatch, judge: Judge | None, *, compare_sides: bool
) -> tuple[_Block, pa.RecordBatch]:
    """What is kept of a block, and four columns of text: why a side is undecided, null where it is decided; its language, null
    where it is English."""
    prompt, sides = batch["prompt"], [batch[side] for side in SIDES]
    spoken, last = batch["messages"].is_valid(), last_turns(batch)
    marked = template_marks(prompt)
    remains = template_remains(prompt, marked)
    unparsed: NDArray[np.bool_] = np.asarray(remains.any(axis=1))
    decided = [decisions(side) for side in sides]
    codes, reasons = _decisions(batch, decided, judge)
    kinds = pc.fill_null(pc.index_in(batch["kind"], pa.array(KINDS)), 0)
    remarks = _remarks(len(batch), {"undecided": reasons, "language": [one.languages for one in decided]})
    block = _Block(
        batch["row"].to_numpy(),
        _earlier_rows(batch),
        kinds.to_numpy(zero_copy_only=False).astype(np.int8),
        codes,
        np.stack([one.thinks for one in decided], axis=1),
        np.vstack([cue_features(side, one) for side, one in zip(sides, decided, strict=True)]),
        PackedFlags.of(np.vstack([debris(side) for side in sides])).bits,
        PackedFlags.of(remains).bits,
        text_faults(batch, last),
        text_keys(prompt),
        text_keys(_unwrapped(last, marked, unparsed)),
        _opening_keys(prompt, spoken),
        asked_signatures(batch),
        np.stack([exact_keys(side) for side in sides], axis=1),
        np.vstack([signatures(side) for side in sides]) if compare_sides else None,
    )
    return block, remarks


def _earlier_rows(batch: pa.RecordBatch) -> Ints | None:
    """The other row of each pair; None where one row gives a pair."""
    earlier = batch["earlier_row"]
    return None if earlier.null_count else earlier.to_numpy()


def last_turns(batch: pa.RecordBatch) -> pa.Array:
    """What the user said last in each prompt; a prompt of plain text as it is."""
    prompt = batch["prompt"]
    last = pc.if_else(batch["messages"].is_valid(), _group(prompt, _LAST_TURN, "turn"), prompt)
    return pc.fill_null(last, "")


def _unwrapped(turns: pa.Array, marked: NDArray[np.bool_], remains: NDArray[np.bool_]) -> pa.Array:
    """Last turns without the wrapper that some stand in: where all prompts do, the reader has taken it off.

    Where marks that a template left make no turns, the longest part between them is what was asked.
    """
    capitals = pc.match_substring(turns, "ASSISTANT:").to_numpy(zero_copy_only=False)
    wrapped = np.flatnonzero(marked | capitals)
    if not len(wrapped):
        return turns
    texts = turns.to_pylist()
    odd: list[int] = []
    for index in wrapped.tolist():
        inside = [turn.content for turn in unwrapped(texts[index]) or () if turn.role == "user"]
        if inside:
            texts[index] = inside[-1]
        elif remains[index]:
            odd.append(index)
    for index, question in zip(
        odd, longest_between_marks(turns.take(pa.array(odd, pa.int64()))), strict=True
    ):
        texts[index] = question
    return pa.array(texts, pa.large_string())


def _group(texts: pa.Array, pattern: str, name: str) -> pa.Array:
    return pc.struct_field(pc.extract_regex(texts, pattern), name)


def _opening_keys(prompt: pa.Array, spoken: pa.Array) -> Keys:
    """Of the first exchange of a dialogue, so that its later stages fall into one group; 0 without one."""
    openings = pc.extract_regex(prompt, _OPENING)
    has = pc.and_(spoken, openings.is_valid()).to_numpy(zero_copy_only=False)
    question, reply = (
        text_keys(pc.fill_null(pc.struct_field(openings, part), "")) for part in ("question", "reply")
    )
    return np.where(has, combine_keys(question, reply), np.uint64(0))


def _decisions(
    batch: pa.RecordBatch, decided: list[Decisions], judge: Judge | None
) -> tuple[NDArray[np.int8], list[dict[int, str]]]:
    """What either side decides, [pairs, 2], and why a side is undecided, by its place."""
    if judge is None:
        return np.stack([one.codes for one in decided], axis=1), [one.reasons for one in decided]
    codes = np.empty((len(batch), 2), dtype=np.int8)
    reasons: list[dict[int, str]] = [{}, {}]
    for index in range(len(batch)):
        prompt = prompt_of(batch, index)
        for column, side in enumerate(SIDES):
            response = given_response(prompt, "audited", batch[side][index].as_py())
            decision = decide(judge, prompt, response)
            codes[index, column] = CODES[decision.what]
            if decision.reason:
                reasons[column][index] = decision.reason
    return codes, reasons


def _remarks(pairs: int, columns: dict[str, list[dict[int, str]]]) -> pa.RecordBatch:
    """What holds of few sides, by their places, as columns of both sides."""
    texts_of = {}
    for what, sides in columns.items():
        for side, remarks in zip(SIDES, sides, strict=True):
            texts: list[str | None] = [None] * pairs
            for place, text in remarks.items():
                texts[place] = text
            texts_of[f"{side}_{what}"] = (
                pa.array(texts, pa.large_string()) if remarks else pa.nulls(pairs, pa.large_string())
            )
    return pa.RecordBatch.from_pydict(texts_of)


def _joined(
    digested: list[_Block], stated: _Coding, remarks: _Coding, judge: str, sample: TextSample, keep: bool
) -> AuditedPairs:
    """The blocks as one; each gives up what is copied."""
    counts = [len(block.rows) for block in digested]

    def all_of(name: str, empty: Any) -> Any:
        if not digested:
            return empty
        whole = np.concatenate([getattr(block, name) for block in digested])
        for block in digested:
            setattr(block, name, None)
        return whole

    def stacked(name: str, width: int, kind: Any) -> Any:
        """Blocks hold their chosen sides first, and so does the whole."""
        total = sum(counts)
        both = np.empty((2 * total, width), dtype=kind)
        start = 0
        for block, count in zip(digested, counts, strict=True):
            part = getattr(block, name)
            both[start : start + count], both[total + start : total + start + count] = (
                part[:count],
                part[count:],
            )
            setattr(block, name, None)
            start += count
        return both

    keys = all_of("prompt_keys", np.zeros(0, dtype=np.uint64))
    side_keys = all_of("side_keys", np.zeros((0, 2), dtype=np.uint64))
    opening = all_of("opening_keys", np.zeros(0, dtype=np.uint64))
    signed: NDArray[np.uint32] = all_of("signatures", np.zeros((0, 1), dtype=np.uint32))
    prompt_signatures = signed if keep else None
    near = groups_of(len(keys), np.vstack([_equal(keys), near_links(signed)]) if len(keys) else _NO_LINKS)
    near_sides = None
    if digested and len(keys) <= NEAR_PAIRS:
        signed = stacked("side_signatures", signed.shape[1], np.uint32)
        flat = np.concatenate([side_keys[:, 0], side_keys[:, 1]])
        near_sides = groups_of(len(flat), np.vstack([_equal(flat), near_links(signed)])).reshape(2, -1).T
    del signed
    indices, text = sample.taken()
    marks = len(TEMPLATE_MARKS)
    return AuditedPairs(
        rows=all_of("rows", np.zeros(0, dtype=np.int64)),
        earlier_rows=None
        if any(block.earlier_rows is None for block in digested)
        else all_of("earlier_rows", None),
        groups=_groups(keys, near, opening, side_keys),
        kinds=all_of("kinds", np.zeros(0, dtype=np.int8)),
        decisions=all_of("decisions", np.zeros((0, 2), dtype=np.int8)),
        judge=judge,
        reasons=remarks.coded("undecided"),
        languages=remarks.coded("language"),
        thinks=all_of("thinks", np.zeros((0, 2), dtype=bool)),
        cues=stacked("cues", len(CUES), np.float32),
        debris=PackedFlags(stacked("debris", bytes_of(len(DEBRIS)), np.uint8), len(DEBRIS)),
        prompt_marks=PackedFlags(all_of("prompt_marks", np.zeros((0, bytes_of(marks)), np.uint8)), marks),
        faults=joined([block.faults for block in digested]),
        prompt_keys=keys,
        last_turn_keys=all_of("last_turn_keys", keys),
        near_prompts=near,
        prompt_signatures=prompt_signatures,
        side_keys=side_keys,
        near_sides=near_sides,
        sample=indices,
        text=text,
        sources=stated.coded("source"),
        stops=stated.coded("stop"),
        decodings=stated.coded("decoding"),
    )


_NO_LINKS = np.zeros((0, 2), dtype=np.int64)


def _groups(keys: Keys, near: Ints, opening: Keys, side_keys: Keys) -> Ints:
    """Pairs that are not independent: of one prompt or nearly the same one, of one dialogue, or with the same two sides.

    Numbered by their smallest prompt key, so that the order of the rows does not matter.
    """
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    sides = combine_keys(side_keys.min(axis=1), side_keys.max(axis=1))
    dialogue = np.flatnonzero(opening != 0)
    links = [_equal(near.astype(np.uint64)), _equal(sides), dialogue[_equal(opening[dialogue])]]
    groups = groups_of(len(keys), np.vstack(links))
    smallest = np.full(int(groups.max()) + 1, np.uint64(0xFFFFFFFFFFFFFFFF))
    np.minimum.at(smallest, groups, keys)
    number = np.empty(len(smallest), dtype=np.int64)
    number[np.argsort(smallest, kind="stable")] = np.arange(len(smallest))
    return number[groups]


def _equal(keys: Keys) -> Ints:
    """Links [m, 2] between neighbours in the order of equal keys."""
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    return np.stack([order[same], order[same + 1]], axis=1)


class _Coding:
    """What is said of either side in words, such as its source, coded over all blocks."""

    def __init__(self, columns: Iterable[str]) -> None:
        self.numbers: dict[str, dict[str, int]] = {what: {} for what in columns}
        self.codes: dict[str, list[NDArray[np.int32]]] = {what: [] for what in self.numbers}

    def add(self, batch: pa.RecordBatch) -> None:
        for what in self.numbers:
            columns = [batch[f"{side}_{what}"].cast(pa.large_string()) for side in SIDES]
            if all(column.null_count == len(column) for column in columns):
                self.codes[what].append(_not_stated(len(batch)))
                continue
            encoded = pc.dictionary_encode(pa.chunked_array(columns).combine_chunks())
            number = self.numbers[what]
            shared = [number.setdefault(name, len(number)) for name in encoded.dictionary.to_pylist()]
            local = pc.fill_null(encoded.indices, len(shared)).to_numpy(zero_copy_only=False)
            codes = np.array([*shared, -1], dtype=np.int32)[local]
            self.codes[what].append(codes.reshape(2, -1).T)

    def coded(self, what: str) -> Coded:
        """Names in alphabetical order, so that codes do not depend on the order of the rows."""
        names = sorted(self.numbers[what])
        if not names:
            return Coded(_not_stated(sum(map(len, self.codes[what]))), ())
        place = np.empty(len(names) + 1, dtype=np.int32)
        place[[self.numbers[what][name] for name in names]] = np.arange(len(names))
        place[-1] = -1
        return Coded(place[np.concatenate(self.codes[what])], tuple(names))


def _not_stated(pairs: int) -> NDArray[np.int32]:
    """The codes of pairs of which nothing is stated, [pairs, 2]: one number that is read as many, and takes no memory."""
    return np.broadcast_to(np.int32(-1), (pairs, 2))
