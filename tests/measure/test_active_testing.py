"""Estimates from chosen images: unbiased, and bounds that hold at all times, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from handful.measure import (
    active_accuracy,
    audited_accuracy,
    auto_labels,
    confidence_sequence,
    lure,
)
from handful.select import expected_error


def pool(rng, n=800, error=0.12):
    """Return probabilities of two classes and losses that agree with them more or less."""
    sure = 1 - rng.beta(0.5, 0.5 / (2 * error) - 0.5, n) / 2
    losses = (rng.random(n) < np.clip(1.3 * (1 - sure), 0, 1)).astype(float)
    return np.stack([sure, 1 - sure], axis=1), losses


def draws(proba, n, seed, share=0.2):
    return expected_error(proba=proba, n=n, random_state=seed, uniform_share=share)


def simulated(n_runs, n_draws=80, share=0.2, seed=0):
    """Return, for each run, LURE's error, the plain one's, and whether the bounds always held."""
    out = []
    for run in range(n_runs):
        rng = np.random.default_rng([seed, run])
        proba, losses = pool(rng)
        picks = draws(proba, n_draws, run, share)
        truth, seen = losses.mean(), losses[picks.indices]
        low, high = confidence_sequence(seen, picks.q, len(losses), uniform_share=share)
        held = ((low <= truth) & (truth <= high)).all()
        out.append((lure(seen, picks.q, len(losses)) - truth, seen.mean() - truth, held))
    return np.array(out)


def test_lure_is_unbiased_where_the_plain_mean_is_not():
    found = simulated(40, n_draws=60)
    assert abs(found[:, 0].mean()) < 0.015
    assert found[:, 1].mean() > 0.05


def test_bounds_hold_at_all_times_few_runs():
    assert simulated(30, n_draws=60)[:, 2].mean() >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.2, 1.0])
def test_bounds_hold_at_all_times(share):
    found = simulated(500, n_draws=120, share=share, seed=1)
    assert found[:, 2].mean() >= 0.95
    assert abs(found[:, 0].mean()) < 0.005


def test_lure_of_all_images_is_the_mean_and_of_uniform_draws_too():
    losses = np.array([1.0, 0, 0, 1, 0])
    assert lure(losses, np.full(5, 0.3) ** 0.5, 5) == pytest.approx(0.4)
    assert lure(losses[:3], 1 / (5 - np.arange(3)), 5) == pytest.approx(1 / 3)
    assert np.isnan(lure([], [], 5))


def test_bounds_close_in_on_a_pool_that_is_seen_whole():
    rng = np.random.default_rng(0)
    losses = (rng.random(200) < 0.3).astype(float)
    low, high = confidence_sequence(losses, 1 / (200 - np.arange(200)), 200)
    assert (np.diff(low) >= 0).all() and (np.diff(high) <= 0).all()
    assert low[-1] <= losses.mean() <= high[-1] and high[-1] - low[-1] < 0.01


def test_bounds_are_useful():
    low, high = confidence_sequence(
        np.tile([0, 0, 0, 0, 1.0], 20), 1 / (9999 - np.arange(100)), 9999
    )
    assert 0.05 < low[-1] < 0.15 and 0.28 < high[-1] < 0.4


def test_more_looks_cost_width_and_hold_together():
    hits = [1] * 90 + [0] * 10
    first, tenth = audited_accuracy(hits), audited_accuracy(hits, look=10)
    assert tenth.low < first.low < 0.9 < first.high < tenth.high
    assert "look 10" in tenth.how
    wrong = 0
    for run in range(200):
        rng = np.random.default_rng(run)
        seen, held = np.empty(0), True
        for look in range(1, 9):
            seen = np.append(seen, rng.random(10) < 0.8)
            said = audited_accuracy(seen, look=look)
            held &= said.low <= 0.8 <= said.high
        wrong += not held
    assert wrong <= 0.05 * 200


def test_active_accuracy_holds_its_value():
    proba, losses = pool(np.random.default_rng(3))
    picks = draws(proba, 60, 0)
    said = active_accuracy(1 - losses[picks.indices], picks.q, len(losses))
    assert said.low <= 1 - losses.mean() <= said.high and said.n == 60
    assert not active_accuracy([], [], 10).is_measured
    assert not audited_accuracy([]).is_measured


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lure([0.5], [np.nan], 3), "Every 'q' must be in"),
        (lambda: lure([2.0], [0.5], 3), "Losses must be in"),
        (lambda: lure([0.0] * 4, [0.5] * 4, 3), "no more draws than the pool"),
        (lambda: confidence_sequence([0.0], [0.001], 10), "no 'q' below that share"),
        (lambda: audited_accuracy([1], look=0), "counted from 1. Got 0"),
        (lambda: auto_labels([0.5], [0.5], [1, 0]), "Every audit needs"),
        (lambda: auto_labels([0.5], [0.5], [1], max_error=0), "between 0 and 1"),
    ],
)
def test_bad_arguments_are_one_message(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def calibrated(rng, n):
    """Return confidences and hits of a calibrated model."""
    sure = 1 - rng.beta(0.6, 6, n)
    return sure, rng.random(n) < sure


def test_automatic_labels_keep_the_error():
    broken, accepted = 0, 0
    for run in range(150):
        rng = np.random.default_rng(run)
        sure, right = calibrated(rng, 5000)
        found = auto_labels(sure, *calibrated(rng, 400), max_error=0.05)
        accepted += len(found.rows)
        broken += len(found.rows) > 0 and (~right[found.rows]).mean() > 0.06
    assert broken <= 0.05 * 150
    assert accepted > 0.3 * 150 * 5000


def test_automatic_labels_say_what_is_missing():
    found = auto_labels(np.ones(10), np.ones(20), np.ones(20))
    assert len(found.rows) == 0 and not found.error.is_measured
    assert found.sentence.endswith("from 20 audits. Label 279 more audits.")
    assert (
        "surest audits hold errors" in auto_labels(np.ones(9), np.ones(400), np.zeros(400)).sentence
    )
    assert len(auto_labels([], np.ones(400), np.ones(400)).rows) == 0
    everything = auto_labels(np.linspace(0, 1, 50), np.linspace(0, 1, 400), np.ones(400))
    assert len(everything.rows) == 50 and everything.rows[0] == 49
