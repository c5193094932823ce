from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from handful.heads.logistic import _response, fitted_logistic
from handful.heads.span import Span

from .samples import blobs


@pytest.mark.parametrize(("n_each", "dim"), [(4, 40), (20, 6)], ids=["wide", "tall"])
def test_agrees_with_scikit_learn(n_each, dim):
    X, y = blobs(3, n_each, dim)
    span = Span(X, np.unique(y, return_inverse=True)[1])
    start = np.zeros((span.rows.shape[1] + 1, 3))
    ours = fitted_logistic(span, 0.1, start, tolerance=1e-5)
    oracle = LogisticRegression(C=10, tol=1e-8, max_iter=5000).fit(span.rows, span.codes)
    theirs = oracle.decision_function(span.rows)
    np.testing.assert_allclose(span.rows @ ours.weight + ours.bias, theirs, atol=0.01)


@pytest.mark.parametrize(("n", "r"), [(5, 9), (9, 5)], ids=["dual", "primal"])
def test_response_is_that_of_the_hessian_of_the_other_rows(n, r):
    rng = np.random.default_rng(0)
    rows, curvature = rng.normal(size=(n, r)).astype(np.float32), rng.uniform(0.05, 0.25, n)
    expected = []
    for i in range(n):
        others = np.arange(n) != i
        hessian = (rows[others].T * curvature[others]) @ rows[others] + 0.3 * np.eye(r)
        expected.append(rows[i] @ np.linalg.solve(hessian, rows[i]))
    np.testing.assert_allclose(_response(rows, curvature, 0.3), expected, rtol=1e-3)
