from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from handful.heads import NearestNeighbours

from .samples import blobs, queries


@pytest.mark.parametrize("n_neighbors", [1, 3, 5])
def test_agrees_with_k_neighbors_classifier(n_neighbors):
    X, y = blobs(n_each=10)
    ours = NearestNeighbours(n_neighbors, temperature=None, smoothing=1e-6).fit(X, y)
    oracle = KNeighborsClassifier(n_neighbors, metric="cosine").fit(X, y)
    asked = queries()[:18]
    np.testing.assert_allclose(ours.predict_proba(asked), oracle.predict_proba(asked), atol=1e-5)


def test_leave_one_out_is_a_fit_without_the_row():
    X, y = blobs(n_each=4)
    expected = [
        NearestNeighbours(3)
        .fit(np.delete(X, i, axis=0), np.delete(y, i))
        .predict_logits(X[i : i + 1])[0]
        for i in range(len(y))
    ]
    np.testing.assert_allclose(NearestNeighbours(3).fit(X, y).loo_logits_, expected, atol=1e-5)


def test_votes_fall_with_the_cosine():
    X = np.array([[1.0, 0.0], [0.6, 0.8]])
    head = NearestNeighbours(2, temperature=0.5, smoothing=0.1).fit(X, ["a", "b"])
    votes = np.exp(head.predict_logits(X[:1])) - 0.1
    np.testing.assert_allclose(votes, [[1, np.exp(-0.4 / 0.5)]], rtol=1e-5)


def test_ties_all_vote():
    X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    head = NearestNeighbours(1, smoothing=0.5).fit(X, ["a", "b", "b"])
    np.testing.assert_allclose(np.exp(head.predict_logits(X[:1])), [[1.5, 1.5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_neighbors": 0}, "'n_neighbors' parameter .* at least 1. Got 0"),
        ({"temperature": 0}, "'temperature' parameter .* above 0. Got 0"),
        ({"smoothing": 0}, "'smoothing' parameter .* above 0. Got 0"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        NearestNeighbours(**parameters).fit(*blobs())
