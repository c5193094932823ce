from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from handful.core import Estimate
from handful.measure import CurvePoint, LearningCurve, gain_of_labels
from handful.select import Loop, Oracle, agreement, simulate, stop_rule

SURE = Estimate(0.95, 0.91, 0.98, 200, "accuracy", "audits")
UNKNOWN = Estimate.not_measurable("accuracy", "no audit yet")


def curve(value, gain, n=100):
    final = Estimate(value, value - 0.05, min(value + 0.05, 1), n, "accuracy", "folds")
    return LearningCurve([CurvePoint(n, final)], final, n, gain, "")


def test_agreement_is_cohens_kappa():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 4, 100), rng.integers(0, 4, 100)
    assert agreement(before, after) == pytest.approx(cohen_kappa_score(before, after))
    assert agreement(["a", "a"], ["a", "a"]) == 1


def test_stops_at_the_target_with_confidence():
    assert stop_rule(SURE, target=0.9).now and "at least 90 %" in stop_rule(SURE, target=0.9).reason
    assert not stop_rule(SURE, target=0.93).now
    assert not stop_rule(UNKNOWN, target=0.5).now


def test_stops_where_it_is_flat_unless_more_is_promised():
    gain = Estimate(0.02, -0.01, 0.05, 100, "gain", "curve")
    assert stop_rule(UNKNOWN, agreements=[0.5, 0.99, 1, 1]).now
    assert not stop_rule(UNKNOWN, agreements=[0.99, 1]).now
    assert not stop_rule(UNKNOWN, agreements=[1, 1, 0.9]).now
    assert not stop_rule(UNKNOWN, agreements=[1, 1, 1], gain=gain).now


def test_gain_of_fewer_labels_than_a_doubling():
    gain = Estimate(0.04, -0.02, 0.10, 100, "gain", "curve")
    whole, part = gain_of_labels(curve(0.8, gain), 100), gain_of_labels(curve(0.8, gain), 50)
    assert whole.value == pytest.approx(0.04) and whole.low == pytest.approx(-0.02)
    assert 0.02 < part.value < 0.03 and part.what == "gain in accuracy of 50 more labels"
    assert not gain_of_labels(curve(0.8, UNKNOWN), 50).is_measured
    with pytest.raises(ValueError, match=r"at least 1\. Got 0"):
        gain_of_labels(curve(0.8, gain), 0)


def test_oracle_errs_as_often_as_it_is_told_and_keeps_to_it():
    y = np.repeat(["a", "b", "c"], 300)
    oracle = Oracle(y, noise=0.2)
    wrong = oracle.label(np.arange(900)) != y
    assert wrong.mean() == pytest.approx(0.2, abs=0.04)
    np.testing.assert_array_equal(oracle.label([5, 5]), oracle.label([5, 5]))
    assert (Oracle(["a", "a"], noise=1.0).label([0, 1]) == "a").all()
    with pytest.raises(ValueError, match=r"must be in .0, 1."):
        Oracle(y, noise=2.0)


def test_simulation_counts_labels_and_noise_costs_accuracy():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 60)
    X = rng.gamma(1.0, 0.5, (180, 8)) + np.eye(8)[np.repeat([0, 1, 2], 60)] * 2
    clean, noisy = (
        simulate(Loop(X), Oracle(y, noise=noise), X, y, budget=50, batch=20) for noise in (0, 0.4)
    )
    assert clean.labels.tolist() == [20, 40, 50]
    assert clean.accuracy[-1] > noisy.accuracy[-1]
    whole = simulate(Loop(X[:30], audits=0), Oracle(y[:30]), X, y, budget=99, batch=20)
    assert whole.labels.tolist() == [20, 30]
