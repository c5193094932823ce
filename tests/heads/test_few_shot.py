"""The heads for few labels: scikit-learn's contract, what they are by definition, what they refuse."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.estimator_checks import parametrize_with_checks

from handful.heads import (
    DistributionCalibration,
    LaplacianPrototypes,
    LinearProbe,
    LogisticProbe,
    MatchingClassifier,
    PrototypeClassifier,
    RidgeProbe,
    ShrinkageLDA,
    SimpleShot,
    SoftKMeansPrototypes,
    UnbalancedPoolWarning,
    softmax,
    transformed,
)

from .samples import blobs, queries, run

TRANSDUCTIVE = [SoftKMeansPrototypes(), LaplacianPrototypes()]
each_transductive = pytest.mark.parametrize("head", TRANSDUCTIVE, ids=repr)


@parametrize_with_checks(TRANSDUCTIVE)
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def without(head, X, y, i):
    return clone(head).fit(np.delete(X, i, axis=0), np.delete(y, i)).predict_logits(X[i : i + 1])[0]


@pytest.mark.parametrize("n_each", [2, 5])
def test_held_out_discriminants_are_those_of_a_fit_without_the_row(n_each):
    X, y = blobs(n_each=n_each, dim=30)
    head = ShrinkageLDA().fit(X, y)
    found = head.loo_logits_ / head.scale_
    for i in range(len(y)):
        rest = ShrinkageLDA().fit(np.delete(X, i, axis=0), np.delete(y, i))
        expected = rest.predict_logits(X[i : i + 1])[0] / rest.scale_
        assert np.corrcoef(found[i], expected)[0, 1] > 0.98


def test_held_out_discriminants_with_fixed_strength_are_exact():
    from handful.heads.shrinkage_lda import _Spread

    X, y = blobs(n_each=4, dim=30)
    rows, codes = transformed(X, power=0.5), np.unique(y, return_inverse=True)[1]
    whole = _Spread(rows, codes, 0.5)
    held_out = whole.held_out()
    for i in range(len(codes)):
        rest = _Spread(np.delete(rows, i, axis=0), np.delete(codes, i), 0.5)
        rest.share, rest.unit = whole.share, whole.unit  # the strength stays
        inverse = np.linalg.inv(np.eye(30) + whole.share * rest.deviations.T @ rest.deviations)
        expected = rest.means @ inverse @ rows[i] - np.einsum(
            "kd,de,ke->k", rest.means, inverse, rest.means
        ) / 2  # fmt: skip
        expected = whole.unit * (expected - expected.mean())
        np.testing.assert_allclose(held_out[i], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shrinkage", [0.2, 0.9])
def test_discriminants_agree_with_scikit_learn(shrinkage):
    X, y = blobs(n_each=20)
    rows = transformed(X, power=0.5)
    ours = ShrinkageLDA(shrinkage).fit(X, y)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(rows, y)
    their = oracle.coef_ - oracle.coef_.mean(axis=0)
    our = ours.coef_ - ours.coef_.mean(axis=0)
    np.testing.assert_allclose(our / np.linalg.norm(our), their / np.linalg.norm(their), atol=1e-4)
    asked = blobs(seed=3, n_each=20)[0]
    assert (ours.predict(asked) == oracle.predict(transformed(asked, power=0.5))).all()


def test_one_label_a_class_makes_discriminants_prototypes():
    X, y = blobs(n_each=1)
    nearest = PrototypeClassifier("euclidean").fit(transformed(X, power=0.5), y)
    asked = transformed(queries()[:18], power=0.5)
    assert (ShrinkageLDA().fit(X, y).predict(queries()[:18]) == nearest.predict(asked)).all()


def test_attention_is_a_softmax_over_the_labelled_vectors():
    X, y = blobs()
    head = MatchingClassifier(0.1).fit(X, y)
    attention = softmax(transformed(queries()) @ transformed(X).T / 0.1)
    expected = np.stack([attention[:, y == c].sum(axis=1) for c in head.classes_], axis=1)
    np.testing.assert_allclose(head.predict_proba(queries()), expected, atol=1e-6)


def test_held_out_attention_is_that_of_a_fit_without_the_row():
    X, y = blobs(n_each=3)
    head = MatchingClassifier().fit(X, y)
    for i in range(len(y)):
        expected = without(head, X, y, i)
        np.testing.assert_allclose(softmax(head.loo_logits_[i : i + 1])[0],
                                   softmax(expected[None])[0], atol=1e-5)  # fmt: skip


def test_simple_shot_is_the_nearest_mean_of_centred_unit_vectors():
    X, y = blobs()
    centre = transformed(blobs(5, seed=9)[0]).mean(axis=0)
    head = SimpleShot(centre=centre).fit(X, y)
    rows = transformed(transformed(X) - centre)
    means = np.stack([rows[y == c].mean(axis=0) for c in head.classes_])
    asked = transformed(transformed(queries()[:18]) - centre)
    expected = np.square(asked[:, None] - means).sum(axis=2).argmin(axis=1)
    assert (head.predict(queries()[:18]) == head.classes_[expected]).all()


def test_a_common_part_of_all_vectors_is_taken_away():
    X, y = blobs(4, n_each=1)
    asked, truth = blobs(4, n_each=30, seed=4)
    far = 30 * np.ones(12, np.float32)
    ours, plain = (
        head.fit(X + far, y) for head in (SimpleShot(logit_scale=10.0), PrototypeClassifier())
    )
    assert ours.score(asked + far, truth) > 0.9
    sure, unsure = (head.predict_proba(asked + far).max(axis=1).mean() for head in (ours, plain))
    assert sure > 0.9 > 0.5 > unsure


def test_the_two_halves_make_the_linear_probe():
    X, y = blobs(n_each=5)
    whole, ridge, logistic = (
        LinearProbe().fit(X, y),
        RidgeProbe().fit(X, y),
        LogisticProbe().fit(X, y),
    )
    asked = queries()[:18]
    half = (ridge.predict_logits(asked) + logistic.predict_logits(asked)) / 2
    np.testing.assert_allclose(softmax(half), whole.predict_proba(asked), atol=2e-2)
    assert ridge.alpha_ == whole.alpha_


def rare_and_rich(seed=0, n_rare=1):
    X, y = blobs(4, n_each=60, seed=seed, dim=24)
    keep = (y != "class 3") | (np.cumsum(y == "class 3") <= n_rare)
    return X[keep], y[keep], X[~keep], y[~keep]


def test_a_rare_class_gains_and_what_is_calibrated_is_named():
    ours, plain = [], []
    for seed in range(4):
        X, y, asked, truth = rare_and_rich(seed)
        head = DistributionCalibration().fit(X, y)
        assert head.calibrated_classes_.tolist() == ["class 3"]
        ours.append(head.score(asked, truth))
        plain.append(LogisticProbe().fit(X, y).score(asked, truth))
    assert np.mean(ours) >= np.mean(plain)


def test_without_a_rich_class_calibration_is_logistic_regression():
    X, y = blobs()
    head = DistributionCalibration().fit(X, y)
    assert head.calibrated_classes_.size == 0
    np.testing.assert_array_equal(
        head.predict(queries()), LogisticProbe().fit(X, y).predict(queries())
    )


def test_calibration_has_held_out_logits_and_onnx_and_a_seed():
    X, y, asked, _ = rare_and_rich(n_rare=3)
    head = DistributionCalibration(n_sampled=10).fit(X, y)
    assert head.loo_logits_.shape == (len(y), 4)
    assert (head.classes_[head.loo_logits_.argmax(axis=1)] == y).mean() > 0.9
    np.testing.assert_allclose(run(head.to_onnx(), asked), head.predict_logits(asked), atol=1e-3)
    again = clone(head).fit(X, y)
    np.testing.assert_array_equal(again.predict_logits(asked), head.predict_logits(asked))
    other = clone(head).set_params(random_state=1).fit(X, y)
    assert not np.array_equal(other.predict_logits(asked), head.predict_logits(asked))


def with_pool(n_classes=4, labels=1, seed=0, unbalanced=False):
    X, y = blobs(n_classes, 40, seed=seed)
    place = np.arange(len(y)) % 40
    pool = place >= labels
    if unbalanced:
        pool &= (y == "class 0") | (place < labels + 2)
    return X[place < labels], y[place < labels], X[pool], y[pool]


@each_transductive
def test_a_balanced_pool_helps_and_does_not_warn(head):
    ours, plain = [], []
    for seed in range(5):
        X, y, U, truth = with_pool(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours.append(clone(head).fit(X, y, U).score(U, truth))
        plain.append(PrototypeClassifier().fit(X, y).score(U, truth))
    assert np.mean(ours) >= np.mean(plain)


@each_transductive
def test_an_unbalanced_pool_is_warned_of(head):
    X, y, U, _ = with_pool(unbalanced=True)
    with pytest.warns(UnbalancedPoolWarning, match=r"seem unbalanced: .*'class 0'.*Compare with"):
        clone(head).fit(X, y, U)


@each_transductive
def test_without_a_pool_they_are_prototypes(head):
    X, y, _, _ = with_pool(labels=3)
    plain = PrototypeClassifier().fit(X, y)
    asked = queries()
    np.testing.assert_allclose(
        clone(head).fit(X, y).predict_logits(asked), plain.predict_logits(asked), atol=1e-3
    )
    np.testing.assert_allclose(clone(head).fit(X, y).loo_logits_, plain.loo_logits_, atol=1e-2)


@each_transductive
def test_one_answer_never_changes_the_next(head):
    X, y, U, _ = with_pool()
    head = clone(head).fit(X, y, U)
    first = head.predict_logits(U)
    head.predict(queries())
    head.predict_proba(U[::-1])
    np.testing.assert_array_equal(head.predict_logits(U), first)


@each_transductive
def test_onnx_gives_the_same_logits(head):
    X, y, U, _ = with_pool()
    head = clone(head).fit(X, y, U)
    asked = np.vstack([U, queries()])
    np.testing.assert_allclose(run(head.to_onnx(), asked), head.predict_logits(asked), atol=1e-3)


@each_transductive
def test_order_of_the_pool_does_not_matter(head):
    X, y, U, _ = with_pool()
    order = np.random.default_rng(0).permutation(len(U))
    plain, shuffled = clone(head).fit(X, y, U), clone(head).fit(X, y, U[order])
    np.testing.assert_allclose(plain.predict_proba(U), shuffled.predict_proba(U), atol=1e-4)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            SimpleShot(logit_scale=0.0),
            "'logit_scale' parameter of SimpleShot must be a number above",
        ),
        (
            SimpleShot(centre=[1.0, 2.0]),
            r"'centre' of SimpleShot must be 12 finite .* Got the shape \(2,\)",
        ),
        (MatchingClassifier(0.0), "'temperature' parameter of MatchingClassifier must be"),
        (
            ShrinkageLDA(1.0),
            "'shrinkage' parameter of ShrinkageLDA must be a number above 0.0 and below 1.0",
        ),
        (RidgeProbe(0.0), "'alpha' parameter of RidgeProbe must be a number above 0.0"),
        (LogisticProbe(-1.0), "'C' parameter of LogisticProbe must be a number above 0.0"),
        (DistributionCalibration(1), "'n_rich' parameter .* a whole number above 1"),
        (SoftKMeansPrototypes(0), "'n_steps' parameter .* a whole number above 0"),
        (LaplacianPrototypes(0.0), "'strength' parameter .* a number above 0.0"),
    ],
)
def test_parameters_out_of_range_are_named(head, message):
    with pytest.raises(ValueError, match=message):
        head.fit(*blobs())
