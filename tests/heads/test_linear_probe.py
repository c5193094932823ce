from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from handful.heads import LinearProbe
from handful.heads.vectors import transformed

from .samples import blobs, queries


def without(X, y, i, **parameters):
    """Return the logits of row i from a fit on the others."""
    head = LinearProbe(**parameters).fit(np.delete(X, i, axis=0), np.delete(y, i))
    return head.predict_logits(X[i : i + 1])[0]


def centred(logits):
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize(("n_each", "most"), [(3, 0.2), (8, 0.1)])
def test_leave_one_out_is_near_brute_force_refits(n_each, most):
    X, y = blobs(3, n_each, dim=40)
    head = LinearProbe(alpha=0.1).fit(X, y)
    brute = centred(np.array([without(X, y, i, alpha=0.1) for i in range(len(y))]))
    seen = centred(head.predict_logits(X))
    error = np.abs(centred(head.loo_logits_) - brute).mean() / np.abs(seen - brute).mean()
    assert error < most


def test_leave_one_out_is_not_fooled_by_labels_without_meaning():
    X = np.random.default_rng(0).normal(size=(60, 200)).astype(np.float32)
    y = np.repeat(["a", "b", "c"], 20)
    head = LinearProbe().fit(X, y)
    assert head.score(X, y) > 0.9
    assert (head.classes_[head.loo_logits_.argmax(axis=1)] == y).mean() < 0.5


def test_noise_gets_a_stronger_penalty_than_signal():
    y = np.repeat(["a", "b", "c"], 20)
    noise = np.random.default_rng(0).normal(size=(60, 200)).astype(np.float32)
    signal = noise + 3 * np.repeat(np.eye(3, 200), 20, axis=0).astype(np.float32)
    assert LinearProbe().fit(noise, y).alpha_ > LinearProbe().fit(signal, y).alpha_


def test_agrees_with_scikit_learn_where_both_are_sure():
    X, y = blobs(5, 10, dim=40)
    asked, truth = blobs(5, 10, dim=40, seed=3)
    rows = transformed(X, power=0.5), transformed(asked, power=0.5)
    ours = LinearProbe().fit(X, y)
    for oracle in (LogisticRegression(C=30), RidgeClassifier(alpha=0.1)):
        theirs = oracle.fit(rows[0], y).predict(rows[1])
        assert (ours.predict(asked) == theirs).mean() > 0.95
    assert ours.score(asked, truth) > 0.95


def test_one_label_a_class_takes_the_usual_penalty():
    assert LinearProbe().fit(*blobs(n_each=1)).alpha_ == 0.1


def test_a_class_with_one_label_beside_larger_ones_is_found():
    X, y = blobs(3, 20)
    head = LinearProbe().fit(X[19:], y[19:])
    assert (head.predict(X[:19]) == "class 0").mean() > 0.9


def test_given_penalty_is_kept():
    assert LinearProbe(alpha=0.7).fit(*blobs()).alpha_ == 0.7


@pytest.mark.slow
def test_five_thousand_rows_of_1280_dimensions():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 500)
    X = rng.gamma(1.0, 1.0, (10, 1280))[y] + rng.gamma(0.5, 4.0, (5000, 1280))
    head = LinearProbe().fit(X[::2], y[::2])
    assert head.score(X[1::2], y[1::2]) > 0.95


@pytest.mark.parametrize("name", ["alpha", "C", "power"])
@pytest.mark.parametrize("value", [0, -1.0, np.inf, "high"])
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of LinearProbe .* Got {value!r}"):
        LinearProbe(**{name: value}).fit(*blobs())


def test_huge_and_tiny_vectors_stay_finite():
    X, y = blobs()
    for factor in (1e-30, 1e30):
        head = LinearProbe().fit(X * np.float32(factor), y)
        assert np.isfinite(head.predict_logits(queries())).all()
        assert head.score(X * np.float32(factor), y) > 0.9
