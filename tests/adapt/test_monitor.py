"""Figures of vectors: known values, laws, and what collapse looks like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from handful.adapt import monitor
from handful.adapt.monitor import (
    alignment,
    collapsed,
    effective_rank,
    knn_accuracy,
    uniformity,
)


def gaussian(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_are_those_of_scikit_learn(k: int) -> None:
    X, y = gaussian(40, 6), np.arange(40) % 3
    X[:, 0] += y

    def votes(distance: np.ndarray) -> np.ndarray:
        return 3 - distance  # 2 + cosine

    hits = []
    for row in range(40):
        others = np.delete(np.arange(40), row)
        head = KNeighborsClassifier(k, metric="cosine", weights=votes, algorithm="brute")
        hits.append(head.fit(X[others], y[others]).predict(X[[row]])[0] == y[row])
    assert knn_accuracy(X, y, k) == np.mean(hits)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = gaussian(60, 4), np.arange(60) % 3
    whole = knn_accuracy(X, y, 3)
    monkeypatch.setattr(monitor, "_BLOCK", 7)
    assert knn_accuracy(X, y, 3) == whole


def test_one_class_a_row_is_never_right() -> None:
    assert knn_accuracy(gaussian(10, 3), np.arange(10), 3) == 0.0
    with pytest.raises(ValueError, match="two rows"):
        knn_accuracy(gaussian(1, 3), np.zeros(1, int), 3)


def test_alignment_and_uniformity_know_their_ends() -> None:
    X = gaussian(400, 200)
    assert alignment(X, 3 * X) == pytest.approx(0, abs=1e-9)
    assert alignment(X, -X) == pytest.approx(4, abs=1e-5)
    assert uniformity(np.ones((5, 3))) == pytest.approx(0, abs=1e-5)
    assert uniformity(X) == pytest.approx(-4, abs=0.1)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 20), dim=st.integers(1, 12), seed=st.integers(0, 999))
def test_laws(n: int, dim: int, seed: int) -> None:
    X, other = gaussian(n, dim, seed), gaussian(n, dim, seed + 1)
    rank = effective_rank(X)
    assert 1 - 1e-9 <= rank <= min(n, dim) + 1e-9
    assert effective_rank(7 * X + 2) == pytest.approx(rank, rel=1e-3)
    assert 0 <= alignment(X, other) <= 4 + 1e-5
    assert -8 - 1e-5 <= uniformity(X) <= 1e-6
    assert uniformity(X) == pytest.approx(uniformity(X[::-1] * 3), abs=1e-4)


def test_collapse_is_said_in_words() -> None:
    X = gaussian(32, 16)
    assert collapsed(X) is None
    assert collapsed(X[:3] * 0) is None  # too few to say
    assert collapsed(np.full((32, 16), 0.3)) == "All 32 images have the same vector."
    assert collapsed(X * 0) == "All 32 images have the same vector."
    line = np.outer(np.linspace(0, 1, 32), np.ones(16)) + 5
    assert "one direction only (effective rank 1.0)" in (collapsed(line) or "")
    X[3, 2] = np.nan
    assert collapsed(X) == "The vectors of 1 of 32 images are not finite."
