from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Oracle

from handful.heads.ridge import _Path, fitted_ridge
from handful.heads.span import Span

from .samples import blobs


@pytest.fixture(params=[(3, 40), (20, 6)], ids=["wide", "tall"])
def span(request):
    n_each, dim = request.param
    X, y = blobs(3, n_each, dim)
    keep = np.arange(len(y)) != 0  # unequal classes, so that rows have unequal weights
    X = X[keep] - X[keep].mean(axis=0)
    return Span(X, np.unique(y[keep], return_inverse=True)[1])


def refitted(span, rows, alpha, asked):
    """Return scikit-learn's weighted ridge scores of one row, fitted on some rows."""
    oracle = Oracle(alpha=alpha)
    oracle.fit(span.rows[rows], span.indicator[rows], sample_weight=span.weights[rows])
    return oracle.predict(span.rows[asked])


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_solution_is_weighted_ridge(span, alpha):
    every = np.arange(len(span.codes))
    weight, bias = _Path(span).solution(alpha)
    np.testing.assert_allclose(
        span.rows @ weight + bias, refitted(span, every, alpha, every), atol=2e-4
    )


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_leave_one_out_is_exact(span, alpha):
    every = np.arange(len(span.codes))
    brute = np.vstack([refitted(span, np.delete(every, i), alpha, every[[i]]) for i in every])
    np.testing.assert_allclose(_Path(span).leave_one_out(alpha), brute, atol=2e-3)


def test_one_given_penalty_is_the_only_candidate(span):
    assert fitted_ridge(span, 0.4).alpha == 0.4
