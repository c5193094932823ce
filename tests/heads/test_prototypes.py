from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from handful.heads import PrototypeClassifier

from .samples import blobs, queries


def test_agrees_with_nearest_centroid():
    X, y = blobs()
    ours = PrototypeClassifier("euclidean").fit(X, y)
    oracle = NearestCentroid().fit(X, y)
    np.testing.assert_allclose(ours.prototypes_, oracle.centroids_, rtol=1e-6)
    assert (ours.predict(queries()) == oracle.predict(queries())).all()


def test_euclidean_logits_are_squared_distances_up_to_a_constant_of_the_row():
    X, y = blobs()
    head = PrototypeClassifier("euclidean", logit_scale=0.5).fit(X, y)
    distances = np.square(X[:, None] - head.prototypes_).sum(axis=2)
    constant = head.predict_logits(X) + 0.5 * distances
    np.testing.assert_allclose(constant, constant[:, :1].repeat(3, axis=1), atol=1e-4)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.4])
def test_leave_one_out_is_a_fit_without_the_row(metric, shrinkage):
    X, y = blobs(n_each=3)
    head = PrototypeClassifier(metric, shrinkage=shrinkage)
    expected = [
        PrototypeClassifier(metric, shrinkage=shrinkage)
        .fit(np.delete(X, i, axis=0), np.delete(y, i))
        .predict_logits(X[i : i + 1])[0]
        for i in range(len(y))
    ]
    np.testing.assert_allclose(head.fit(X, y).loo_logits_, expected, rtol=1e-4, atol=1e-4)


def test_a_class_left_without_rows_sits_at_the_mean_of_the_others():
    X, y = blobs(n_each=1)
    head = PrototypeClassifier("euclidean").fit(X, y)
    rest = PrototypeClassifier.from_prototypes(
        np.vstack([(X[1] + X[2]) / 2, X[1:]]), y, metric="euclidean"
    )
    np.testing.assert_allclose(head.loo_logits_[0], rest.predict_logits(X[:1])[0], rtol=1e-4)


def test_shrinkage_moves_prototypes_towards_their_mean():
    X, y = blobs()
    plain = PrototypeClassifier("euclidean").fit(X, y).prototypes_
    shrunk = PrototypeClassifier("euclidean", shrinkage=0.5).fit(X, y).prototypes_
    np.testing.assert_allclose(shrunk, (plain + plain.mean(axis=0)) / 2, rtol=1e-5)


def test_given_prototypes_keep_their_names():
    head = PrototypeClassifier.from_prototypes(np.eye(3), ["c", "a", "b"])
    assert head.predict(np.eye(3)).tolist() == ["c", "a", "b"]
    assert not hasattr(head, "loo_logits_")


def test_given_prototypes_need_different_names():
    with pytest.raises(ValueError, match=r"must differ\. Got a, b, a"):
        PrototypeClassifier.from_prototypes(np.eye(3), ["a", "b", "a"])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "cosin"}, "'metric' parameter .* one of 'cosine', 'euclidean'. Got 'cosin'"),
        ({"shrinkage": 1.0}, r"'shrinkage' parameter .* in \[0, 1\). Got 1.0"),
        ({"logit_scale": 0}, "'logit_scale' parameter .* above 0. Got 0"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        PrototypeClassifier(**parameters).fit(*blobs())
