from __future__ import annotations

import numpy as np
import pytest

from handful.heads.span import Span

from .samples import blobs


@pytest.mark.parametrize(("n_each", "dim"), [(3, 40), (20, 6)], ids=["wide", "tall"])
def test_a_solution_on_the_axes_unfolds_to_the_same_logits(n_each, dim):
    X, y = blobs(3, n_each, dim)
    span = Span(X, np.unique(y, return_inverse=True)[1])
    weight = np.random.default_rng(0).normal(size=(span.rows.shape[1], 3))
    bias = np.arange(3.0)
    unfolded, moved = span.unfolded(weight, bias)
    np.testing.assert_allclose(X @ unfolded + moved, span.rows @ weight + bias, atol=1e-3)


def test_weights_lie_half_way_between_rows_and_classes():
    span = Span(blobs()[0][:5], np.array([0, 0, 0, 0, 1]))
    assert span.weights[4] / span.weights[0] == pytest.approx(2.0)
    assert span.weights.mean() == pytest.approx(1.0)


def test_energy_sums_to_the_number_of_rows():
    X, y = blobs()
    span = Span(X, np.unique(y, return_inverse=True)[1])
    assert span.energy.sum() == pytest.approx(len(y), rel=1e-5)


def test_equal_rows_span_nothing():
    span = Span(np.ones((4, 3), np.float32), np.array([0, 0, 1, 1]))
    assert span.rows.shape == (4, 0)
