from __future__ import annotations

import numpy as np
import pytest

from handful.measure import acceptance_bias


def drawn(random, n, bias=0.0):
    """Return answers to suggestions of a model that is 10 points too sure."""
    proba = random.uniform(0.5, 1.0, n)
    return (random.random(n) < np.clip(proba - 0.1 + bias, 0, 1)).astype(float), proba


@pytest.mark.parametrize("bias", [0.0, 0.2])
def test_the_interval_holds_the_bias_whatever_the_calibration(bias):
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        taken, shown = drawn(random, 300, bias)
        right, blind = drawn(random, 40)
        truth = np.mean(np.clip(np.linspace(0.4, 0.9, 1000) + bias, 0, 1)) - 0.65
        found = acceptance_bias(taken, shown, right, blind)
        inside += found.low <= truth <= found.high
    assert inside >= 0.92 * 300


def test_few_answers_measure_nothing():
    found = acceptance_bias([1] * 50, [0.9] * 50, [1] * 9, [0.9] * 9)
    assert not found.is_measured
    assert "10 blind audits" in found.how


def test_all_taken_all_right_has_no_width_and_no_warning():
    found = acceptance_bias([1] * 20, [1.0] * 20, [1] * 20, [1.0] * 20)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="broadcast"):
        acceptance_bias([1, 0], [0.5] * 3, [1] * 10, [0.5] * 10)
