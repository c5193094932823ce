"""What every head promises: scikit-learn's contract, an ONNX form that says the same, laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from handful.heads import (
    BootstrapEnsemble,
    DistributionCalibration,
    DropoutProbe,
    GaussianProcess,
    KnownScorer,
    LaplaceProbe,
    LinearProbe,
    LogisticProbe,
    MatchingClassifier,
    NearestNeighbours,
    PrototypeClassifier,
    RidgeProbe,
    ShrinkageLDA,
    SimpleShot,
    TemperatureScaled,
    softmax,
)

from .samples import blobs, queries, run

HEADS = [
    PrototypeClassifier(),
    PrototypeClassifier("euclidean", shrinkage=0.3),
    NearestNeighbours(),
    NearestNeighbours(n_neighbors=1, temperature=None),
    LinearProbe(),
    LinearProbe(alpha=0.1, power=1.0, unit_norm=False),
    GaussianProcess(),
    LaplaceProbe(),
    LaplaceProbe(0.3),
    DropoutProbe(),
    TemperatureScaled(LinearProbe()),
    TemperatureScaled(PrototypeClassifier()),
    SimpleShot(),
    MatchingClassifier(),
    ShrinkageLDA(),
    RidgeProbe(),
    LogisticProbe(),
    DistributionCalibration(),
]
each_head = pytest.mark.parametrize("head", HEADS, ids=repr)
seeds = st.integers(0, 2**16)


@parametrize_with_checks([*HEADS, KnownScorer(), BootstrapEnsemble(LinearProbe(), 3)])
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@each_head
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10])
def test_onnx_gives_the_same_logits(head, n_classes):
    X, y = blobs(n_classes)
    head = clone(head).fit(X, y)
    logits = run(head.to_onnx(), np.vstack([X, queries()]))
    assert logits.shape == (len(X) + len(queries()), n_classes)
    np.testing.assert_allclose(logits, head.predict_logits(np.vstack([X, queries()])), 2e-5, 1e-4)


@each_head
def test_onnx_model_keeps_the_contract(head):
    X, y = blobs()
    model = clone(head).fit(X, y).to_onnx()
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert [i.name for i in model.graph.input] == ["embedding"]
    assert [o.name for o in model.graph.output] == ["logits"]


@each_head
def test_onnx_before_fit_says_what_is_missing(head):
    with pytest.raises(Exception, match="is not fitted yet"):
        clone(head).to_onnx()


@each_head
@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_probabilities_are_the_softmax_of_the_logits(head, n_classes):
    X, y = blobs(n_classes)
    head = clone(head).fit(X, y)
    proba = head.predict_proba(queries())
    np.testing.assert_array_equal(proba, softmax(head.predict_logits(queries())))
    assert proba.dtype == head.loo_logits_.dtype == np.float32
    assert head.loo_logits_.shape == (len(X), n_classes)
    assert (head.predict(queries()) == head.classes_[proba.argmax(axis=1)]).all()


def one_label_a_class():
    return blobs(n_each=1)


def two_classes_of_one_label():
    return blobs(2, n_each=1)


def duplicates():
    X, y = blobs(n_each=2)
    return np.repeat(X, 3, axis=0), np.repeat(y, 3)


def all_rows_alike_with_two_labels():
    return np.ones((6, 12), np.float32), np.array(list("aaabbb"))


def zero_rows():
    X, y = blobs()
    X[::4] = 0
    return X, y


def one_to_a_hundred():
    X, y = blobs(2, n_each=100)
    return X[99:], y[99:]


def half_precision():
    X, y = blobs()
    return X.astype(np.float16), y


def more_rows_than_dimensions():
    return blobs(n_each=20, dim=4)


def labels_as_numbers():
    X, y = blobs()
    return X, np.unique(y, return_inverse=True)[1] * 10 - 5


CASES = [
    one_label_a_class, two_classes_of_one_label, duplicates, all_rows_alike_with_two_labels,
    zero_rows, one_to_a_hundred, half_precision, more_rows_than_dimensions, labels_as_numbers,
]  # fmt: skip


@each_head
@pytest.mark.parametrize("case", CASES)
def test_edges_give_finite_answers(head, case):
    X, y = case()
    head = clone(head).fit(X, y)
    assert np.isfinite(head.loo_logits_).all()
    assert np.isfinite(head.predict_logits(X)).all()
    nonzero = np.abs(X).max(axis=1) > 0
    least = {all_rows_alike_with_two_labels: 0.5, more_rows_than_dimensions: 0.75}.get(case, 0.9)
    assert (head.predict(X)[nonzero] == y[nonzero]).mean() >= least
    np.testing.assert_allclose(run(head.to_onnx(), X), head.predict_logits(X), 2e-5, 1e-4)


@each_head
@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_order_of_the_rows_does_not_matter(head, seed):
    X, y = blobs(n_each=4)
    order = np.random.default_rng(seed).permutation(len(y))
    plain, shuffled = clone(head).fit(X, y), clone(head).fit(X[order], y[order])
    np.testing.assert_allclose(
        plain.predict_proba(queries()), shuffled.predict_proba(queries()), atol=5e-3
    )
    np.testing.assert_allclose(plain.loo_logits_[order], shuffled.loo_logits_, atol=5e-2)


@each_head
@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(3)))
def test_names_of_the_classes_do_not_matter(head, order):
    X, y = blobs(n_each=4)
    codes = np.unique(y, return_inverse=True)[1]
    plain = clone(head).fit(X, codes)
    renamed = clone(head).fit(X, np.array(order)[codes])
    np.testing.assert_allclose(
        plain.predict_proba(queries()), renamed.predict_proba(queries())[:, order], atol=5e-3
    )


@pytest.mark.parametrize(
    "head",
    [PrototypeClassifier(), NearestNeighbours(), LinearProbe(), LinearProbe(unit_norm=False)],
    ids=repr,
)
@settings(max_examples=5, deadline=None)
@given(exponent=st.integers(-8, 8))
def test_scale_of_the_vectors_does_not_matter(head, exponent):
    X, y = blobs(n_each=4)
    factor = np.float32(10.0**exponent)
    plain, scaled = clone(head).fit(X, y), clone(head).fit(X * factor, y)
    np.testing.assert_allclose(
        plain.predict_proba(blobs(seed=1)[0]),
        scaled.predict_proba(blobs(seed=1)[0] * factor),
        atol=5e-3,
    )


@each_head
def test_same_data_give_the_same_bits(head):
    X, y = blobs()
    first, second = (clone(head).fit(X, y).predict_logits(queries()) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@each_head
def test_answers_do_not_depend_on_the_batch(head):
    X, y = blobs()
    head = clone(head).fit(X, y)
    alone = np.vstack([head.predict_logits(row[None]) for row in queries()])
    np.testing.assert_allclose(alone, head.predict_logits(queries()), rtol=1e-5, atol=1e-6)
