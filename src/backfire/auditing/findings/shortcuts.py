"""Shortcuts: the cues that tell the label, in words that a reader can check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.answers.audit import Example, Loss, Shortcut
from backfire.answers.estimates import Auroc, PromptKind
from backfire.auditing.affected import CHOSEN, REJECTED, Affected, at_places, in_order
from backfire.auditing.audited_pairs import KINDS, AuditedPairs, Ints
from backfire.auditing.findings.cue_examples import phrases_of_two, quoted
from backfire.auditing.findings.cue_loss import DENSE_PAIRS, SPARSE_PAIRS, dense_losses, sparse_losses
from backfire.auditing.findings.cue_scan import (
    Scan,
    effect,
    interval_alone,
    presence_differences,
    rank_differences,
    scan,
)
from backfire.auditing.findings.pairwise_alone import pairwise_alone, sign_differences
from backfire.auditing.findings.side_lengths import WORDS
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.uncertainty import share
from backfire.texts import CUES, Vocabulary, combine_keys

MOST = 12
LEVEL = 0.05
FEWEST_RESPONSES = 10
RAREST = 0.005
"""Words and phrases are looked at when they occur in at least so many responses, and in this share of them."""
ALIKE = 0.8
"""Cues that correlate at least so much over responses are one cue, told by the more telling of them."""
LOOKED_THROUGH = 300
"""Telling cues among which different ones are sought, the most telling first."""
EXAMPLES = 3

ProbeName = Literal["surface", "words"]


@dataclass(frozen=True)
class _Cue:
    probe: ProbeName
    column: int
    """In the cues, or in the vocabulary."""
    at: int
    """Of its AUROC in the scan."""
    pairwise_at: int
    """Of its pairwise accuracy in the scan."""
    values: NDArray[np.float64]
    """[2 * pairs]: the cue's value, or whether the words occur."""


def shortcuts(
    audited: AuditedPairs, split: Split, words: Any, vocabulary: Vocabulary
) -> tuple[Shortcut, ...]:
    """The cues of `shortcuts_and_rows` alone."""
    return shortcuts_and_rows(audited, split, words, vocabulary)[0]


def shortcuts_and_rows(
    audited: AuditedPairs, split: Split, words: Any, vocabulary: Vocabulary
) -> tuple[tuple[Shortcut, ...], list[Affected]]:
    """At most MOST cues whose family-wise p is at most LEVEL, the most telling first; none where none is.

    A cue tells the label by its AUROC over single responses or by how many pairs it ranks right; DPO sees pairs. With each
    cue come the rows of which only the side that it speaks for has it, among the pairs whose text is kept.

    words: CSR [2 * sample, vocabulary.width], chosen rows first. Everything is measured on the sample. Intervals are
    not corrected for the cues' having been picked. Losses are those of refits on a part of large samples
    (`cue_loss`).
    """
    split = split.subset(audited.sample)
    if too_few(split):
        return (), []
    pairs = split.pairs
    cues = audited.cues[np.concatenate([audited.sample, audited.sample + audited.pairs])]
    has = words.copy()
    has.data = (has.data != 0).astype(np.float32)
    often = np.asarray(has.sum(axis=0)).ravel() >= max(FEWEST_RESPONSES, RAREST * 2 * pairs)
    columns = np.flatnonzero(often)
    has = has[:, columns]
    signs = sign_differences(cues, pairs)
    scanned = scan([rank_differences(cues, split), signs, presence_differences(has, pairs)], split)
    picked = _different(scanned, cues, has.tocsc(), columns)
    if not picked:
        return (), []
    texts = pa.chunked_array([*_arrays(audited.text["chosen"]), *_arrays(audited.text["rejected"])])
    of_words = [cue.column for cue in picked if cue.probe == "words"]
    names = dict(zip(of_words, vocabulary.names(texts, of_words), strict=True))
    named = [(cue, CUES[cue.column].name if cue.probe == "surface" else names[cue.column]) for cue in picked]
    losses = _losses(named, cues, words, split, audited.text, vocabulary)
    lengths = cues[:, WORDS].astype(np.float64)
    shortcuts = [
        (_shortcut(cue, name, loss, scanned, lengths, split, audited), _affected(cue, name, split, audited))
        for (cue, name), loss in zip(named, losses, strict=True)
        if name
    ]
    return tuple(cue for cue, _ in shortcuts), [rows for _, rows in shortcuts]


def _arrays(column: pa.ChunkedArray) -> list[pa.Array]:
    return cast(list[pa.Array], column.chunks)


def _different(scanned: Scan, cues: NDArray[np.float32], has: Any, columns: Ints) -> list[_Cue]:
    """The most telling cues, without those that say the same as one before."""
    width = cues.shape[1]
    # Of a surface cue the scan holds its AUROC, and after those of all, its pairwise accuracy; of words both are equal.
    best = np.concatenate(
        [np.maximum(scanned.aurocs[:width], scanned.aurocs[width : 2 * width]), scanned.aurocs[2 * width :]]
    )
    p = np.concatenate([np.minimum(scanned.p[:width], scanned.p[width : 2 * width]), scanned.p[2 * width :]])
    telling = np.flatnonzero((p <= LEVEL) & (best > 0.5))
    order = telling[np.lexsort((telling, -np.round(best[telling], 9)))][:LOOKED_THROUGH]
    picked: list[_Cue] = []
    standing: list[NDArray[np.float64]] = []
    for place in order.tolist():
        surface = place < width
        column = place if surface else int(columns[place - width])
        column_values = cues[:, place] if surface else has[:, place - width].toarray().ravel()
        at = place if surface else place + width
        values = np.asarray(column_values, dtype=np.float64)
        centred = values - values.mean()
        centred /= max(float(np.linalg.norm(centred)), 1e-300)
        if any(abs(float(centred @ other)) >= ALIKE for other in standing):
            continue
        picked.append(_Cue("surface" if surface else "words", column, at, place + width, values))
        standing.append(centred)
        if len(picked) == MOST:
            break
    return picked


def _losses(
    named: list[tuple[_Cue, str]],
    cues: NDArray[np.float32],
    words: Any,
    split: Split,
    text: pa.Table,
    vocabulary: Vocabulary,
) -> list[Loss]:
    on_surface = [cue.column for cue, _ in named if cue.probe == "surface"]
    in_words = [name for cue, name in named if cue.probe == "words"]
    part = split.part(DENSE_PAIRS)
    few = cues[np.concatenate([part, part + split.pairs])]
    alike = [_alike(few, column) for column in on_surface]
    surface = iter(dense_losses(few, alike, split.subset(part)) if on_surface else [])
    inside = iter(_losses_of_words(in_words, words, split, text, vocabulary) if in_words else [])
    return [next(surface if cue.probe == "surface" else inside) for cue, _ in named]


def _alike(cues: NDArray[np.float32], column: int) -> Ints:
    """The cue's column and those that correlate with it as nearly equal ones do."""
    centred = cues - cues.mean(axis=0, dtype=np.float64)
    sizes = np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    alike: Ints = np.flatnonzero(np.abs(centred[:, column] @ centred) >= ALIKE * sizes * sizes[column])
    return np.union1d(alike, [column])


def _losses_of_words(
    phrases: list[str], words: Any, split: Split, text: pa.Table, vocabulary: Vocabulary
) -> list[Loss]:
    part = split.part(SPARSE_PAIRS)
    few = text.take(pa.array(part))
    twos = phrases_of_two(few["chosen"].to_pylist() + few["rejected"].to_pylist())
    rows = words[np.concatenate([part, part + split.pairs])]
    return sparse_losses(
        rows, [_columns_with(phrase, twos, vocabulary) for phrase in phrases], split.subset(part)
    )


def _columns_with(phrase: str, twos: set[tuple[str, str]], vocabulary: Vocabulary) -> Ints:
    """The phrase's own column, and those of the phrases of two words that contain it."""
    own = _columns(phrase, vocabulary)
    if " " in phrase:
        return np.setdiff1d(own, [c for word in phrase.split() for c in _columns(word, vocabulary)])
    whole = sorted(two for two in twos if phrase in two)
    longer = vocabulary.features(pa.array([" ".join(two) for two in whole], pa.large_string())).indices
    others = {word for two in whole for word in two} - {phrase}
    alone = vocabulary.features(pa.array(sorted(others), pa.large_string())).indices
    return np.union1d(own, np.setdiff1d(longer, alone))


def _columns(phrase: str, vocabulary: Vocabulary) -> Ints:
    columns: Ints = vocabulary.features(pa.array([phrase], pa.large_string())).indices.astype(np.int64)
    return columns


def _shortcut(
    cue: _Cue,
    name: str,
    loss: Loss,
    scanned: Scan,
    lengths: NDArray[np.float64],
    split: Split,
    audited: AuditedPairs,
) -> Shortcut:
    pairs = split.pairs
    on_chosen = float(cue.values[:pairs].mean()) >= float(cue.values[pairs:].mean())
    has, shown = _presence(cue, name)
    size, control = effect(cue.values, split)
    first, last = interval_alone(cue.values, 1.0 if on_chosen else -1.0, split)
    pairwise = pairwise_alone(cue.values, split)
    return Shortcut(
        cue=shown,
        probe=cue.probe,
        family=CUES[cue.column].family if cue.probe == "surface" else "words",
        chosen=share(int(has[:pairs].sum()), pairs),
        rejected=share(int(has[pairs:].sum()), pairs),
        effect=None if size is None else size.value,
        effect_low=None if size is None else size.low,
        effect_high=None if size is None else size.high,
        effect_control=control,
        alone=Auroc(
            auroc=float(scanned.aurocs[cue.at]),
            low=first,
            high=last,
            control=float(scanned.control[cue.at]),
            control_high=float(scanned.control_high[cue.at]),
            p=float(scanned.p[cue.at]),
            swaps=split.controls,
            control_pairs=pairs,
        ),
        pairwise=pairwise.model_copy(update={"p": float(scanned.p[cue.pairwise_at])}),
        beyond_length=_beyond_length(cue, lengths, pairwise.accuracy),
        loss=loss,
        examples=_examples(cue, name, has, on_chosen, split, audited),
    )


def _beyond_length(cue: _Cue, lengths: NDArray[np.float64], accuracy: float) -> float | None:
    """Pairwise accuracy of what length leaves of a count, among pairs whose counts differ; the others count half.

    The count's logarithm is regressed on that of the words, over both sides, the label unseen.
    """
    if cue.probe != "surface" or CUES[cue.column].scale != "count":
        return None
    centred, values = lengths - lengths.mean(), cue.values - cue.values.mean()
    slope = float(centred @ values) / max(float(centred @ centred), 1e-300)
    pairs = len(values) // 2
    differing = np.sign(cue.values[:pairs] - cue.values[pairs:])
    left = np.sign(np.round((values - slope * centred)[:pairs] - (values - slope * centred)[pairs:], 9))
    direction = np.sign(differing.sum())
    return float(np.clip(0.5 + direction * np.mean(left * (differing != 0)) / 2, 0.5, max(accuracy, 0.5)))


def _affected(cue: _Cue, name: str, split: Split, audited: AuditedPairs) -> Affected:
    """The rows of which only the side that the cue speaks for has it."""
    has, shown = _presence(cue, name)
    pairs = split.pairs
    on_chosen = float(cue.values[:pairs].mean()) >= float(cue.values[pairs:].mean())
    one, other = (has[:pairs], has[pairs:]) if on_chosen else (has[pairs:], has[:pairs])
    places = in_order(audited.sample[np.flatnonzero(one & ~other)], audited)
    side = np.full(len(places), CHOSEN if on_chosen else REJECTED, dtype=np.int8)
    return at_places(cue_finding(shown), places, audited, sides=side)


def cue_finding(shown: str) -> str:
    """The stable name of a cue's finding, whatever the median is that a measure is compared with."""
    return f"cue:{shown.split(' above ')[0]}"


def _presence(cue: _Cue, name: str) -> tuple[NDArray[np.bool_], str]:
    """Which responses have the cue, and its name; measures count as there above the median, or above the next
    value below it where nothing is above it."""
    kind = CUES[cue.column].scale if cue.probe == "surface" else "flag"
    if kind == "flag":
        return cue.values > 0, name
    middle = float(np.median(cue.values))
    below = cue.values[cue.values < middle]
    top = not (cue.values > middle).any() and len(below) > 0
    least = float(below.max()) if top else middle
    if least == 0:
        return cue.values > 0, name
    least_text = f"{np.expm1(least):,.4g}" if kind == "count" else f"{least:.2%}"
    return cue.values > least, f"{name} above {least_text}"


def _examples(
    cue: _Cue, name: str, has: NDArray[np.bool_], on_chosen: bool, split: Split, audited: AuditedPairs
) -> tuple[Example, ...]:
    """Pairs of different prompts of which only the side that the cue speaks for has it, drawn by their content."""
    pairs = split.pairs
    one, other = (has[:pairs], has[pairs:]) if on_chosen else (has[pairs:], has[:pairs])
    of_sample = audited.sample
    order_keys = combine_keys(
        audited.prompt_keys[of_sample],
        audited.side_keys[of_sample, 0],
        audited.side_keys[of_sample, 1],
    )
    fitting = np.flatnonzero(one & ~other)
    fitting = fitting[np.argsort(order_keys[fitting], kind="stable")]
    first = np.sort(np.unique(split.groups[fitting], return_index=True)[1])[:EXAMPLES]
    taken = fitting[first]
    text = audited.text.take(pa.array(taken))
    sides = zip(text["chosen"].to_pylist(), text["rejected"].to_pylist(), strict=True)
    return tuple(
        Example(
            row=int(audited.rows[of_sample[at]]),
            chosen=quoted(chosen, name, cue.probe),
            rejected=quoted(rejected, name, cue.probe),
            kind=cast(PromptKind, KINDS[audited.kinds[of_sample[at]]]),
        )
        for at, (chosen, rejected) in zip(taken.tolist(), sides, strict=True)
    )
