from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from handful.embeddings import cells, cosine, nearest, pairs_above, unit


@pytest.mark.parametrize("k", [1, 5, 40])
def test_equals_scikit_learn(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosine, "_BLOCK", 7)
    monkeypatch.setattr(cosine, "_PART", 9)
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
        patch.setattr(cosine, "_BLOCK", 4)
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


def clustered(n: int, dim: int = 24) -> np.ndarray:
    """Return vectors in 50 clouds, as those of images are."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(50, dim))
    return (centres[random.integers(50, size=n)] + 0.5 * random.normal(size=(n, dim))).astype(
        np.float32
    )


def copies(n: int, of_each: int, dim: int = 24) -> np.ndarray:
    """Return rows of which many are almost the same, as frames of a video are."""
    random = np.random.default_rng(0)
    rows = np.repeat(random.normal(size=(n // of_each, dim)), of_each, axis=0)
    return (rows + 0.01 * random.normal(size=rows.shape)).astype(np.float32)


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cells be used where they would not pay yet."""
    monkeypatch.setattr("handful.embeddings.neighbours.pays", lambda *_: True)


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("X", [
    clustered(4000), copies(4000, of_each=200), copies(4000, of_each=40),
    np.random.default_rng(0).normal(size=(2000, 24)).astype(np.float32),
], ids=["clouds", "200 copies", "40 copies", "no structure"])  # fmt: skip
def test_cells_find_99_of_100_neighbours_the_same_each_time(X: np.ndarray) -> None:
    indices, similarity = nearest(X, X, 10)
    exact, cosines = cosine.compared(X, X, 10)
    found = [len(np.intersect1d(a, b)) for a, b in zip(indices, exact, strict=True)]
    assert np.mean(found) / 10 >= 0.99
    np.testing.assert_allclose(similarity[:, 0], cosines[:, 0], atol=1e-6)
    own = np.einsum("nd,nkd->nk", unit(X), unit(X)[indices])
    np.testing.assert_allclose(similarity, own, atol=1e-6)
    assert (np.diff(similarity, axis=1) <= 0).all()
    assert all(len(set(row)) == 10 for row in indices.tolist())
    again = nearest(X, X, 10)
    np.testing.assert_array_equal(indices, again[0])


@pytest.mark.usefixtures("early")
def test_cells_answer_other_queries_than_their_own_rows() -> None:
    X, queries = clustered(4000), clustered(4500)[4000:]
    indices, _ = nearest(queries, X, 10)
    exact, _ = cosine.compared(queries, X, 10)
    found = [len(np.intersect1d(a, b)) for a, b in zip(indices, exact, strict=True)]
    assert np.mean(found) / 10 >= 0.99


@pytest.mark.usefixtures("early")
def test_cells_take_zero_rows_scales_and_more_neighbours_than_there_are() -> None:
    X = clustered(300)
    X[7] = 0
    indices, similarity = nearest(X * 1000, X, 500)
    assert indices.shape == (300, 300)
    assert np.isfinite(similarity).all()
    assert (np.sort(indices, axis=1) == np.arange(300)).all()
    assert nearest(X[:1], X[:1], 3)[0].tolist() == [[0]]
    same = np.ones((50, 4), np.float32)
    assert nearest(same, same, 3)[0].shape == (50, 3)


def test_below_the_size_and_for_few_queries_nothing_is_approximate() -> None:
    assert not cells.pays(50_000, 50_000)
    assert not cells.pays(20_000, 10_000_000)
    assert cells.pays(60_000, 60_000)
