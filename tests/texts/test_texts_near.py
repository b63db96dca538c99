"""Near duplicates, planted at known similarity; groups against a plain union."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import AWKWARD, alpaca, any_texts, arrow, broken

from backfire.texts import groups_of, near_links, signatures


def planted(similarity: float, words: int, pairs: int, seed: int) -> tuple[list[str], float]:
    """Texts at 2k and 2k + 1 whose runs of three words have about this Jaccard similarity, and the exact one."""
    rng = np.random.default_rng(seed)
    runs = words - 2
    changed = round(runs * (1 - similarity) / (1 + similarity))
    texts = []
    for _ in range(pairs):
        held = [f"w{n}" for n in rng.integers(0, 2**40, words)]
        other = held[: words - changed] + [f"v{n}" for n in rng.integers(0, 2**40, changed)]
        texts += [" ".join(held), " ".join(other)]
    return texts, (runs - changed) / (runs + changed)


@pytest.mark.parametrize("similarity", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("words", [12, 150])
def test_signatures_estimate_the_similarity(similarity: float, words: int) -> None:
    pairs = 400
    texts, exact = planted(similarity, words, pairs, 1)
    signed = signatures(arrow(texts))
    agreed = np.mean(signed[::2] == signed[1::2], axis=1)
    error = np.sqrt(exact * (1 - exact) / signed.shape[1])
    assert abs(agreed.mean() - exact) < 4 * error / np.sqrt(pairs) + 1e-9
    assert agreed.std() < 1.25 * error + 1e-9


@pytest.mark.parametrize(
    ("similarity", "least", "most"), [(0.95, 0.995, 1), (0.9, 0.97, 1), (0.6, 0, 0.01), (0.4, 0, 0)]
)
def test_links_are_found_at_the_threshold_and_not_below(similarity: float, least: float, most: float) -> None:
    texts, _ = planted(similarity, 80, 500, 2)
    links = near_links(signatures(arrow(texts)))
    found = {(int(a), int(b)) for a, b in np.sort(links, axis=1)}
    wanted = {(at, at + 1) for at in range(0, len(texts), 2)}
    assert found <= wanted
    assert least <= len(found) / len(wanted) <= most


def test_equal_words_are_linked_whatever_their_dress() -> None:
    texts = arrow(
        ["How do I tie a bowline?", "unlike this", "how do i tie a BOWLINE", "HOW, do: i tie\n\na bowline!!"]
    )
    links = near_links(signatures(texts))
    assert groups_of(4, links).tolist() == [0, 1, 0, 0]


def test_short_texts_count_by_their_words() -> None:
    texts = arrow(
        ["hello", "Hello!", "hello there", "there, hello", "there", "hello there you", "", "?!", "?!"]
    )
    assert groups_of(9, near_links(signatures(texts))).tolist() == [0, 0, 1, 1, 2, 3, 4, 5, 6]


def test_other_endings_of_a_template_are_not_near() -> None:
    animals = [f"Write a poem about a {animal}" for animal in ("cat", "dog", "cow", "hen", "emu")]
    assert len(near_links(signatures(arrow(animals)))) == 0


def test_real_prompts_are_not_near_one_another(real_data) -> None:  # type: ignore[no-untyped-def]
    texts = alpaca(real_data)
    groups = groups_of(2 * len(texts), near_links(signatures(arrow(texts + [t + " Indeed." for t in texts]))))
    long = np.array([len(text.split()) > 40 for text in texts])
    assert (groups[: len(texts)] == groups[len(texts) :])[long].mean() > 0.99
    assert len(set(groups[: len(texts)].tolist())) > 0.99 * len(texts)


def test_many_equal_texts_take_few_links() -> None:
    texts = pa.array(
        ["the very same prompt again"] * 50_000 + [f"another prompt of number {n}" for n in range(9)]
    )
    links = near_links(signatures(texts))
    assert len(links) < 2 * len(texts)
    assert len(set(groups_of(len(texts), links)[:50_000].tolist())) == 1


@given(any_texts)
def test_signatures_do_not_hang_on_neighbours(texts: list[str]) -> None:
    texts = [*texts, *AWKWARD]
    whole = signatures(arrow(texts))
    alone = [signatures(arrow([text]))[0] for text in texts]
    assert np.array_equal(whole, np.array(alone))
    links = near_links(whole)
    assert (np.mean(whole[links[:, 0]] == whole[links[:, 1]], axis=1) >= 0.8).all()


def test_nothing_has_no_links() -> None:
    assert signatures(arrow([])).shape == (0, 64)
    assert near_links(signatures(arrow([]))).shape == (0, 2)
    assert near_links(signatures(arrow(["", "", "?"]))).shape == (0, 2)
    assert groups_of(0, np.zeros((0, 2), dtype=np.int64)).tolist() == []
    assert signatures(broken([b"\xff\xfe a b c", b"\x80", b"\xc3"])).shape == (3, 64)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))
    )
)
def test_groups_are_the_connected_ones(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, links = graph
    plain = list(range(count))
    for one, other in links * count:
        plain[one] = plain[other] = min(plain[one], plain[other])
    numbers = {root: number for number, root in enumerate(dict.fromkeys(plain))}
    found = groups_of(count, np.array(links, dtype=np.int64).reshape(-1, 2))
    assert found.tolist() == [numbers[root] for root in plain]
