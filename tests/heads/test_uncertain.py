"""Heads that know how unsure they are: process, Bayesian last layer, ensemble."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from handful.heads import (
    BootstrapEnsemble,
    DropoutProbe,
    GaussianProcess,
    LaplaceProbe,
    LinearProbe,
)
from handful.heads.ensemble import resampled
from handful.heads.posterior import Full, Kronecker
from handful.heads.process import fitted_process
from handful.heads.vectors import transformed

from .samples import blobs, queries, run

HEADS = [
    GaussianProcess(),
    LaplaceProbe(),
    BootstrapEnsemble(LinearProbe(), 8),
]
each_head = pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)


@each_head
def test_draws_are_probabilities_that_average_to_the_prediction(head):
    X, y = blobs()
    head.fit(X, y)
    n = None if isinstance(head, BootstrapEnsemble) else 400
    draws = head.sample_proba(queries(), n)
    assert draws.dtype == np.float32 and draws.shape[1:] == (len(queries()), 3)
    np.testing.assert_allclose(draws.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(draws.mean(axis=0), head.predict_proba(queries()), atol=0.12)
    np.testing.assert_array_equal(draws, head.sample_proba(queries(), n))


@each_head
def test_draws_differ_most_far_from_the_labels(head):
    X, y = blobs()
    head.fit(X, y)
    away = np.abs(np.random.default_rng(3).normal(size=(40, 12))).astype(np.float32) ** 4
    n = None if isinstance(head, BootstrapEnsemble) else 50
    near, far = (head.sample_proba(rows, n).std(axis=0).mean() for rows in (X, away))
    assert far > 1.5 * near


@pytest.mark.parametrize("head", [GaussianProcess(), LaplaceProbe()])
def test_an_image_unlike_all_others_is_not_classified_with_confidence(head):
    rng = np.random.default_rng(0)
    X = np.zeros((20, 40), np.float32)
    X[:10, :3], X[10:, 3:6] = rng.gamma(9, 1, (2, 10, 3))
    stranger = np.zeros((1, 40), np.float32)
    stranger[0, 20:] = 1
    proba = head.fit(X, np.repeat([0, 1], 10)).predict_proba(np.vstack([X, stranger]))
    assert proba[:-1].max(axis=1).min() > 0.8
    assert proba[-1].max() < 0.65


def test_process_is_that_of_scikit_learn():
    X, y = blobs(2)
    rows = transformed(X, power=0.5)
    targets = (y == "class 1").astype(np.float64)[:, None] - 0.5
    process = fitted_process(rows, rows, targets)
    kernel = ConstantKernel(process.amplitude, "fixed") * RBF(process.width, "fixed")
    kernel += WhiteKernel(process.amplitude * process.noise, "fixed")
    theirs = GaussianProcessRegressor(kernel, optimizer=None).fit(rows, targets)
    assert process.log_evidence == pytest.approx(theirs.log_marginal_likelihood_value_, abs=0.05)
    new = transformed(queries(), power=0.5)
    mean, deviation = theirs.predict(new, return_std=True)
    apart = np.square(new[:, None] - rows).sum(axis=2)
    kernel_rows = np.exp(-apart / (2 * process.width**2))
    ours = kernel_rows @ process.whitening @ process.weights
    np.testing.assert_allclose(ours.ravel(), mean.ravel(), atol=2e-3)
    explained = np.square(kernel_rows @ process.explained).sum(axis=1)
    variance = process.amplitude * (1 + process.noise) - explained
    np.testing.assert_allclose(np.sqrt(variance), deviation, atol=2e-3)


def test_process_leaves_a_row_out_exactly():
    X, y = blobs(2)
    rows = transformed(X, power=0.5)
    targets = (y == "class 1").astype(np.float64)[:, None] - 0.5
    process = fitted_process(rows, rows, targets)
    kernel = ConstantKernel(process.amplitude, "fixed") * RBF(process.width, "fixed")
    kernel += WhiteKernel(process.amplitude * process.noise, "fixed")
    for row in (0, 7):
        keep = np.arange(len(rows)) != row
        theirs = GaussianProcessRegressor(kernel, optimizer=None).fit(rows[keep], targets[keep])
        mean, deviation = theirs.predict(rows[[row]], return_std=True)
        assert process.loo_mean[row, 0] == pytest.approx(mean.item(), abs=5e-3)
        noise = process.amplitude * process.noise
        left = np.sqrt(process.loo_variance[row] + noise)
        assert left == pytest.approx(deviation.item(), abs=5e-3)


def test_inducing_rows_stand_for_many():
    X, y = blobs(n_each=60)
    exact, induced = GaussianProcess().fit(X, y), GaussianProcess(30).fit(X, y)
    assert induced._inducing.shape == (30, 12)
    agree = exact.predict(blobs(n_each=30, seed=1)[0]) == induced.predict(
        blobs(n_each=30, seed=1)[0]
    )
    assert agree.mean() > 0.97
    np.testing.assert_allclose(run(induced.to_onnx(), X), induced.predict_logits(X), atol=2e-4)


def test_both_curvatures_agree_where_rows_are_alike_in_confidence():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 4))
    proba = np.tile([0.2, 0.3, 0.5], (300, 1))
    full, product = Full(rows, proba, 0.5), Kronecker(rows, proba, 0.5)
    np.testing.assert_allclose(full.variance(rows), product.variance(rows), rtol=1e-6)
    assert full.log_determinant == pytest.approx(product.log_determinant)
    steps = [curvature.draws(4000, rng) for curvature in (full, product)]
    for drawn in steps:
        spread = np.einsum("ni,sic->snc", rows[:5], drawn).var(axis=0)
        np.testing.assert_allclose(spread, full.variance(rows[:5]), rtol=0.15)


def test_many_weights_take_the_product_form():
    X, y = blobs(10, n_each=10, dim=80)
    head = LaplaceProbe().fit(X, y)
    assert isinstance(head._posterior.curvature, Kronecker)
    assert (head.predict(X) == y).all()
    np.testing.assert_allclose(run(head.to_onnx(), X), head.predict_logits(X), atol=2e-4)


def test_dropout_is_the_regression_on_many_masked_copies():
    X, y = blobs()
    head = DropoutProbe(0.5).fit(X, y)
    rows = transformed(X, power=0.5).astype(np.float64)
    masks = np.random.default_rng(0).random((4000, *rows.shape)) >= 0.5
    copies = (2 * rows * masks).reshape(-1, rows.shape[1])
    design = np.column_stack([copies, np.ones(len(copies))])
    targets = np.tile((y[:, None] == head.classes_).astype(np.float64), (4000, 1))
    theirs = np.linalg.lstsq(design, targets, rcond=None)[0]
    ours = np.vstack([head.coef_.T, head.intercept_])
    scale = (ours * theirs).sum() / np.square(theirs).sum()
    np.testing.assert_allclose(ours, scale * theirs, atol=0.02 * np.abs(ours).max())


def test_dropout_draws_one_mask_for_all_rows_and_is_centred_on_the_rule():
    X, y = blobs()
    head = DropoutProbe(0.2).fit(X, y)
    draws = head.sample_proba(queries(), 400)
    np.testing.assert_array_equal(draws, head.sample_proba(queries(), 400))
    np.testing.assert_array_equal(draws[:, :2], head.sample_proba(queries()[:2], 400))
    np.testing.assert_allclose(draws.sum(axis=2), 1, atol=1e-5)
    logits = np.log(draws[..., 0] / draws[..., 1]).mean(axis=0)
    exact = head.predict_logits(queries())
    error = np.log(draws[..., 0] / draws[..., 1]).std(axis=0) / 20
    assert (np.abs(logits - (exact[:, 0] - exact[:, 1])) < 4 * error + 1e-3).all()


def test_dropout_leaves_a_row_out():
    X, y = blobs(n_each=40)
    head = DropoutProbe(0.2).fit(X, y)
    for row in (0, 50):
        keep = np.arange(len(y)) != row
        without = DropoutProbe(0.2).fit(X[keep], y[keep]).predict_logits(X[[row]])[0]
        np.testing.assert_allclose(head.loo_logits_[row], without, atol=0.08 * np.ptp(without))


def test_resampling_keeps_the_classes():
    codes = np.array([2, 0, 0, 1, 0])
    rows = resampled(codes, np.random.default_rng(0))
    assert sorted(codes[rows]) == sorted(codes)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (GaussianProcess(1), "'max_inducing' .* at least 2. Got 1"),
        (DropoutProbe(1.0), "'rate' .* below 1. Got 1.0"),
        (LaplaceProbe(-1.0), "'precision' .* above 0. Got -1.0"),
        (BootstrapEnsemble(LinearProbe(), 0), "'n_members' .* at least 1. Got 0"),
    ],
)
def test_parameters_out_of_range(head, message):
    with pytest.raises(ValueError, match=message):
        head.fit(*blobs())


def test_an_ensemble_gives_no_more_members_than_it_has():
    head = BootstrapEnsemble(LinearProbe(), 2).fit(*blobs())
    assert head.sample_proba(queries(), 1).shape[0] == 1
    with pytest.raises(ValueError, match="must be 1 to 2, the members there are"):
        head.sample_proba(queries(), 3)
