"""The cosine's expectation does not depend on n, and its interval covers."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.influence.estimates import align, plain_cosine, squared_norm

WIDTH = 300


def drawn(
    rng: np.random.Generator,
    n: int,
    probes: int,
    cosine: float,
    noise: float,
    shards: tuple[int, int] = (20, 16),
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    d, v = np.zeros((2, WIDTH))
    d[0], v[0], v[1] = 1, cosine, (1 - cosine**2) ** 0.5
    sums, counts = [], []
    for mean, count, parts in ((d, n, shards[0]), (v, probes, shards[1])):
        for part in np.array_split(mean + noise * rng.standard_normal((count, WIDTH)), parts):
            sums.append(part.sum(axis=0))
            counts.append(len(part))
    gram = np.array(sums) @ np.array(sums).T
    return gram, np.array(counts), np.arange(shards[0]), np.arange(shards[0], sum(shards))


@pytest.mark.parametrize("cosine", [0.0, 0.3, -0.8])
def test_expectation_is_the_same_at_50_and_600_pairs_and_covered(cosine: float) -> None:
    rng = np.random.default_rng(7)
    means, plain = [], []
    for n in (50, 600):
        found = [align(*drawn(rng, n, 140, cosine, 0.2)) for _ in range(300)]
        values = np.array([a.cosine.value for a in found if a.cosine is not None])
        assert len(values) == 300
        covered = np.mean([a.cosine.low <= cosine <= a.cosine.high for a in found if a.cosine is not None])
        assert 0.92 <= covered <= 1.0
        means.append(values.mean())
        assert values.mean() == pytest.approx(cosine, abs=4 * values.std() / len(values) ** 0.5 + 0.003)
        plain.append(np.mean([plain_cosine(*drawn(rng, n, 140, cosine, 0.2)) for _ in range(100)]))
    assert means[0] == pytest.approx(means[1], abs=0.012)
    if cosine:
        assert abs(plain[0]) < abs(plain[1]) - 0.02, "the plain one shrinks with few pairs"


def test_squared_norm_of_noise_is_zero_on_average_and_undetermined() -> None:
    rng = np.random.default_rng(3)
    norms, reasons = [], []
    for _ in range(200):
        gram, counts, data, probes = drawn(rng, 60, 60, 0.5, 0.2)
        noise = rng.standard_normal((20, WIDTH))
        gram = gram.copy()
        gram[:20, :20] = noise @ noise.T
        norms.append(squared_norm(gram, counts, data))
        reasons.append(align(gram, counts, data, probes).reason)
    assert abs(np.mean(norms)) < 4 * np.std(norms) / 200**0.5
    assert np.mean([reason is not None and "data's mean gradient" in reason for reason in reasons]) > 0.93


def test_known_products() -> None:
    vectors = np.array([[2.0, 0], [4.0, 0], [2.0, 0], [0, 6.0], [3.0, 3.0], [3.0, 3.0]])
    counts = np.array([1, 2, 1, 2, 1, 1])
    found = align(vectors @ vectors.T, counts, np.arange(3), np.arange(3, 6))
    assert found.data_norm.value == pytest.approx(4.0)
    assert found.product.value == pytest.approx(np.dot([2, 0], [1.5, 3.0]))


def test_too_few_shards_say_so() -> None:
    found = align(np.eye(4), np.ones(4, dtype=np.int64), np.arange(2), np.arange(2, 4))
    assert found.cosine is None
    assert found.reason is not None
    assert "3 shards" in found.reason
