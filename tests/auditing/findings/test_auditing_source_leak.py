"""Source leak: who wrote it against what it says, with planted sources whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from audited_by_hand import audited_by_hand
from backfire.answers.audit import SourceLeak
from backfire.auditing.findings.source_leak import in_words, source_leak
from backfire.auditing.probes.folds import make_split
from backfire.texts import Vocabulary

WORDS = [a + b for a in "bdfglmnprst" for b in ("ara", "eno", "ilu", "osi", "uma", "yte")]
MARK = {"alpha": "plainly", "beta": "surely"}


def found_of(rows: list[dict[str, Any]], controls: int = 99) -> SourceLeak | None:
    audited = audited_by_hand(rows)
    texts = pa.chunked_array([audited.text[side].combine_chunks() for side in ("chosen", "rejected")])
    features = Vocabulary.of(texts, "words", 1 << 12).features(texts)
    return source_leak(audited, make_split(audited.groups, controls=controls), features)


def written(rng: np.random.Generator, source: str | None, extra: str = "") -> str:
    words = list(rng.choice(WORDS, 12))
    if source in MARK and rng.random() < 0.9:
        words.insert(int(rng.integers(12)), MARK[source])
    return " ".join([*words, extra]).strip()


def planted(pairs: int, *, of_alpha: float, extra: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
    """Alpha is chosen over beta with probability `of_alpha`; a word marks chosen ones that often, whoever wrote them."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(pairs):
        sources = ["alpha", "beta"] if rng.random() < of_alpha else ["beta", "alpha"]
        mark = "indeed" if rng.random() < extra else ""
        rows.append(
            {
                "prompt": f"question {i} about {' '.join(rng.choice(WORDS, 8))}",
                "chosen": written(rng, sources[0], mark),
                "rejected": written(rng, sources[1]),
                "chosen_source": sources[0],
                "rejected_source": sources[1],
            }
        )
    return rows


def exchanged(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Sides exchanged in about half of the pairs, sources with them."""
    other = {"chosen": "rejected", "rejected": "chosen"}
    rng = np.random.default_rng(seed)
    found = []
    for row in rows:
        flip = rng.random() < 0.5
        found.append(
            {
                (
                    name.replace(name.split("_")[0], other[name.split("_")[0]])
                    if flip and name != "prompt"
                    else name
                ): v
                for name, v in row.items()
            }
        )
    return found


def test_without_sources_there_is_nothing_to_say() -> None:
    rows = [{"prompt": f"p {i}", "chosen": "yes", "rejected": "no", "chosen_source": "a"} for i in range(50)]
    assert found_of(rows) is None


def test_a_fixed_mapping_is_named_and_decides_the_label() -> None:
    leak = found_of(planted(120, of_alpha=1.0))
    assert leak is not None
    assert leak.fixed
    assert leak.mapping == "fixed source-to-label mapping: chosen is always alpha, rejected is always beta"
    assert leak.pointwise is not None
    assert leak.pointwise.auroc == 1
    assert leak.pairwise is not None
    assert leak.pairwise.accuracy == 1
    assert leak.within_source.pointwise is None
    assert "both sides" in (leak.within_source.reason or "")
    assert leak.text_tells_source[0].pointwise.auroc > 0.8


def test_how_well_text_tells_its_source_does_not_hang_on_the_label() -> None:
    rows = planted(120, of_alpha=1.0)
    fixed, mixed = found_of(rows), found_of(exchanged(rows, 1))
    assert fixed is not None
    assert mixed is not None
    assert not mixed.fixed
    assert fixed.text_tells_source[0].sources == mixed.text_tells_source[0].sources == ("alpha", "beta")
    one, other = fixed.text_tells_source[0].pointwise, mixed.text_tells_source[0].pointwise
    assert one.auroc == pytest.approx(other.auroc, abs=1e-6)


def test_counts_of_sources() -> None:
    rows = planted(40, of_alpha=1.0)
    rows[0]["rejected_source"] = "alpha"
    rows[1]["rejected_source"] = None
    rows[2] = rows[2] | {"chosen_source": "beta"}
    leak = found_of(rows)
    assert leak is not None
    assert (leak.pairs, leak.unknown, leak.same_source, leak.fixed) == (39, 1, 2, False)
    assert [(c.chosen, c.rejected, c.pairs) for c in leak.combinations] == [
        ("alpha", "beta", 37),
        ("alpha", "alpha", 1),
        ("beta", "beta", 1),
    ]
    assert leak.mapping == "alpha and beta write both chosen and rejected responses"


def test_nothing_is_left_within_a_source_where_only_the_source_tells() -> None:
    leak = found_of(planted(300, of_alpha=0.8))
    assert leak is not None
    assert leak.pairwise is not None
    assert 0.7 < leak.pairwise.accuracy < 0.9
    within = leak.within_source
    assert within.pairs == 300
    assert within.pointwise is not None
    assert within.pointwise.p > 0.02
    assert abs(within.pointwise.auroc - 0.5) < 0.08


def test_what_tells_within_a_source_is_seen() -> None:
    leak = found_of(planted(300, of_alpha=0.8, extra=0.7))
    assert leak is not None
    assert leak.within_source.pointwise is not None
    assert leak.within_source.pointwise.auroc > 0.75
    assert leak.within_source.pointwise.p <= 0.01


def test_one_prompt_alone_gives_a_reason() -> None:
    rows = [row | {"prompt": "always the same question"} for row in planted(60, of_alpha=1.0)]
    leak = found_of(rows)
    assert leak is not None
    assert leak.pointwise is None
    assert "prompt" in (leak.reason or "")
    assert leak.text_tells_source == ()


@pytest.mark.parametrize(
    ("chosen", "rejected", "words"),
    [
        ({"a"}, {"a"}, "one source, a, writes both sides"),
        ({"a", "b"}, {"a"}, "a writes both chosen and rejected responses"),
        (
            set("abcdef"),
            {"z"},
            "fixed source-to-label mapping: chosen is always a, b, c or one of 3 others, rejected is always z",
        ),
    ],
)
def test_the_mapping_in_words(chosen: set[str], rejected: set[str], words: str) -> None:
    assert in_words(chosen, rejected) == words
