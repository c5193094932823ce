from __future__ import annotations

import numpy as np
from scipy.special import log_softmax
from scipy.special import softmax as oracle

from handful.heads.logits import linear, log_losses, softmax

LOGITS = np.array([[1.0, 2.0, -500.0], [900.0, 0.0, 1.0]])


def test_softmax_is_that_of_scipy():
    np.testing.assert_allclose(softmax(LOGITS), oracle(LOGITS, axis=1), rtol=1e-6, atol=1e-30)


def test_log_losses_are_those_of_scipy():
    expected = -log_softmax(LOGITS, axis=1)[[0, 1], [0, 2]]
    np.testing.assert_allclose(log_losses(LOGITS, np.array([0, 2])), expected)


def test_linear_handles_more_rows_than_a_block():
    X = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    weight, bias = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0])
    np.testing.assert_allclose(linear(X, weight, bias), X @ weight + bias, rtol=1e-4, atol=1e-5)
