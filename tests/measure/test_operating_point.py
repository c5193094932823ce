"""A threshold whose promise holds, and what it says when it can't."""

import numpy as np
import pytest

from handful.core import MeasureError
from handful.measure.operating_point import labels_needed, operating_point

CLASSES = ["crack", "fine"]


def point(scores, others, max_miss):
    proba = np.concatenate([scores, others])
    y = np.array(["crack"] * len(scores) + ["fine"] * len(others))
    return operating_point(
        np.stack([proba, 1 - proba], axis=1), y, "crack", max_miss, classes=CLASSES
    )


@pytest.mark.parametrize(("n", "max_miss"), [(80, 0.05), (150, 0.1), (300, 0.01)])
def test_the_promise_holds_in_95_percent_of_repetitions(n, max_miss):
    random = np.random.default_rng(0)
    kept = []
    for _ in range(600):
        found = point(random.random(n), random.random(20), max_miss)
        assert found.is_shown
        kept.append(found.threshold <= max_miss)  # the score is uniform: P(miss) = threshold
    assert np.mean(kept) >= 0.93


def test_the_bound_covers_the_true_miss_rate():
    random = np.random.default_rng(1)
    points = [point(random.random(40), random.random(5), 0.01) for _ in range(600)]
    assert not any(p.is_shown for p in points)
    assert np.mean([p.threshold <= p.miss_rate.high for p in points]) >= 0.93


def test_the_threshold_is_no_lower_than_it_must_be():
    scores = np.arange(1, 101) / 100
    found = point(scores, np.array([0.005, 0.5]), 0.05)
    assert found.miss_rate.value == 0.01
    assert found.threshold == pytest.approx(0.02)
    assert found.false_alarms.value == 0.5


def test_too_few_images_say_how_many_are_needed():
    found = point(np.array([0.4, 0.6, 0.9]), np.array([0.1]), 0.01)
    assert not found.is_shown
    assert found.threshold == 0.4
    assert found.labels_needed == labels_needed(0.01) == 299
    assert "at least 299" in found.sentence


def test_untested_rows_are_left_out():
    proba = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])
    y = np.array(["crack", "crack", "fine"])
    assert operating_point(proba, y, "crack", 0.1, classes=CLASSES).miss_rate.n == 1
    with pytest.raises(MeasureError, match="No image of class 'crack' could be tested"):
        operating_point(proba[1:], y[1:], "crack", 0.1, classes=CLASSES)


def test_bad_arguments():
    proba = np.array([[0.9, 0.1]])
    with pytest.raises(MeasureError, match=r"no class 'crak' \(did you mean 'crack'\?\)"):
        operating_point(proba, np.array(["crack"]), "crak", 0.1, classes=CLASSES)
    with pytest.raises(ValueError, match="'max_miss' of class 'crack'"):
        operating_point(proba, np.array(["crack"]), "crack", 1, classes=CLASSES)
    with pytest.raises(ValueError, match="one row an image"):
        operating_point(proba, np.array(["crack"] * 2), "crack", 0.1, classes=CLASSES)


def test_equal_probabilities_are_never_missed():
    found = point(np.full(100, 0.7), np.array([0.7, 0.6]), 0.05)
    assert found.miss_rate.value == 0
    assert found.false_alarms.value == 0.5
