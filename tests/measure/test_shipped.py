"""The accuracy of the shipped model from the folds."""

from dataclasses import replace

import numpy as np
import pytest

from handful.measure.intervals import wilson_interval
from handful.measure.shipped import (
    Trial,
    raised,
    shipped_accuracy,
    shipped_balanced_accuracy,
)


def trial(hits, codes, n_train, alone=None, units=None):
    codes = np.asarray(codes)
    n_classes = codes.max() + 1
    return Trial(
        np.asarray(hits, dtype=float),
        codes,
        np.arange(len(codes)) if units is None else np.asarray(units),
        float(n_train),
        np.full(n_classes, np.nan) if alone is None else np.asarray(alone),
    )


def test_more_labels_than_the_folds_mean_higher_accuracy():
    codes = np.repeat([0, 1], 10)
    hits = np.tile([1, 1, 1, 0, 1], 4)
    half, most = (shipped_accuracy(trial(hits, codes, n), "cv") for n in (10, 18))
    assert half.value > most.value > 0.8
    assert half.high - half.low > 0.9 * (most.high - most.low)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_wrong_and_all_right_keep_a_wide_interval(share):
    found = shipped_accuracy(trial(np.full(20, share), np.repeat([0, 1], 10), 16), "cv")
    low, high = wilson_interval(share * 20, 20)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.8 * (high - low)


def test_width_is_near_wilson_for_many_images():
    random = np.random.default_rng(0)
    codes = np.arange(1000) % 10
    found = shipped_accuracy(trial(random.random(1000) < 0.8, codes, 800), "cv")
    low, high = wilson_interval(800, 1000)
    assert 0.95 < (found.high - found.low) / (high - low) < 1.2


def test_class_with_one_label_counts_with_the_recall_of_classes_cut_to_one():
    codes = np.r_[np.repeat([0, 1], 10), 2]
    hits = np.r_[np.ones(20), np.nan]
    full, poor = (
        shipped_accuracy(trial(hits, codes, 17, [alone, alone, np.nan]), "cv")
        for alone in (1.0, 0.0)
    )
    assert full.value == pytest.approx(1.0)
    assert poor.value == pytest.approx(20 / 21)
    assert "1 class with a single label" in poor.how
    assert poor.n == 20


def test_groups_that_err_together_widen_the_interval():
    codes = np.repeat([0, 1], 20)
    hits = np.repeat(np.tile([1, 1, 0, 1], 5), 2)
    alone = trial(hits, codes, 32)
    together = replace(alone, units=np.arange(40) // 2)
    a, b = shipped_accuracy(alone, "cv"), shipped_accuracy(together, "cv")
    assert a.value == b.value
    assert b.high - b.low > 1.2 * (a.high - a.low)


def test_nothing_tested_is_not_measurable():
    found = shipped_accuracy(trial([np.nan, np.nan], [0, 1], 0), "cv")
    assert not found.is_measured
    assert "second label" in found.how


def test_balanced_accuracy_weighs_classes_equally():
    codes = np.repeat([0, 1], [30, 10])
    hits = np.r_[np.ones(30), np.zeros(10)]
    assert shipped_balanced_accuracy(trial(hits, codes, 40), "cv").value == pytest.approx(0.5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_raised_stays_a_share_and_never_falls(share):
    assert share <= raised(share, 0.3, 50) <= 1
    assert raised(share, 0.0, 50) == pytest.approx(share)
