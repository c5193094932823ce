from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from handful.embeddings import nearest, neighbours, pairs_above, unit


@pytest.mark.parametrize("k", [1, 5, 40])
def test_equals_scikit_learn(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    random = np.random.default_rng(0)
    X, queries = (
        random.normal(size=(40, 6)).astype(np.float32),
        random.normal(size=(23, 6)).astype(np.float32),
    )
    distance, expected = (
        NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute")
        .fit(X)
        .kneighbors(queries)
    )
    indices, similarity = nearest(queries, X, k)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(1, 200), k=st.integers(1, 12))
def test_groups_of_columns_lose_no_neighbour(seed: int, n: int, k: int) -> None:
    X = np.random.default_rng(seed).integers(-2, 3, (n, 4)).astype(np.float32)  # many ties
    _, similarity = nearest(X[:9], X, k)
    expected = -np.sort(-(unit(X[:9]) @ unit(X).T), axis=1)[:, :k]
    np.testing.assert_allclose(similarity, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), threshold=st.floats(-0.9, 0.99), n=st.integers(0, 25))
def test_pairs_are_all_and_only_those_above(seed: int, threshold: float, n: int) -> None:
    X = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_BLOCK", 4)
        pairs, similarity = pairs_above(X, threshold)
    cosines = unit(X) @ unit(X).T
    got = {(int(a), int(b)) for a, b in pairs}
    near = {
        (a, b) for a in range(n) for b in range(a + 1, n) if abs(cosines[a, b] - threshold) < 1e-5
    }
    expected = {(a, b) for a in range(n) for b in range(a + 1, n) if cosines[a, b] >= threshold}
    assert got - near == expected - near
    assert len(similarity) == len(pairs)


def test_more_neighbours_than_rows_are_clipped_and_a_zero_row_is_no_error() -> None:
    X = np.array([[0, 0], [1, 0]], np.float32)
    indices, similarity = nearest(X, X, 5)
    assert indices.shape == (2, 2)
    assert np.isfinite(similarity).all()
