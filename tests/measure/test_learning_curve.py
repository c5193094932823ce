"""Points of the curve, the measured step and the forecast."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from handful.core import MeasureError
from handful.heads import PrototypeClassifier
from handful.measure import learning_curve


def blobs(per_class, n_classes=4, *, signal=1.5, seed=0):
    random = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), per_class)
    X = random.normal(size=(len(y), 30))
    X[np.arange(len(y)), y] += signal
    return X, np.array([f"class {code}" for code in y])


class Counting(PrototypeClassifier):
    """Notes the size of every training set."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.seen.append(np.unique(y, return_counts=True)[1])
        return super().fit(X, y)


def test_sizes_rise_and_keep_the_mix():
    X, y = blobs(20)
    Counting.seen = []
    curve = learning_curve(Counting(), X, y, quiet=True)
    assert [point.labels for point in curve.points] == [8, 16, 32, 64, 80]
    assert all((counts == counts[0]).all() for counts in Counting.seen)


def test_more_labels_help_where_they_do():
    X, y = blobs(40)
    curve = learning_curve(LogisticRegression(C=0.1), X, y, quiet=True)
    values = [point.accuracy.value for point in curve.points]
    assert values[0] < values[2] < values[-1]
    assert curve.gain.low < curve.gain.value < curve.gain.high
    assert f"{len(y)} more labels" in curve.sentence


def test_more_labels_did_not_help_where_they_did_not():
    X, y = blobs(30, 2, signal=20.0)
    curve = learning_curve(PrototypeClassifier("euclidean"), X, y, quiet=True)
    assert curve.last_step.low <= 0
    assert "did not help measurably" in curve.sentence


def test_guessing_forecasts_nothing():
    random = np.random.default_rng(0)
    curve = learning_curve(
        PrototypeClassifier("euclidean"),
        random.normal(size=(40, 5)),
        np.tile(["a", "b"], 20),
        quiet=True,
    )
    assert not curve.gain.is_measured
    assert "guessing, 50 %" in curve.sentence


def test_two_labels_a_class_have_one_size_and_still_a_forecast():
    X, y = blobs(2, 5, signal=10.0)
    curve = learning_curve(PrototypeClassifier("euclidean"), X, y, quiet=True)
    assert [point.labels for point in curve.points] == [5, 10]
    assert not curve.last_step.is_measured
    assert curve.gain.is_measured


def test_one_label_a_class_has_no_curve():
    curve = learning_curve(
        PrototypeClassifier("euclidean"), np.eye(3), np.array(list("abc")), quiet=True
    )
    assert len(curve.points) == 1
    assert not curve.points[0].accuracy.is_measured
    assert curve.sentence.startswith("No learning curve")


def test_rare_class_keeps_one_label_in_every_part():
    X, y = blobs(16, 3)
    rows = np.r_[:16, 16:32, 32]
    curve = learning_curve(PrototypeClassifier("euclidean"), X[rows], y[rows], quiet=True)
    assert "single label" in curve.points[-1].accuracy.how
    assert curve.points[0].accuracy.n == 32


def test_deterministic():
    X, y = blobs(10)
    assert learning_curve(PrototypeClassifier("euclidean"), X, y, quiet=True) == learning_curve(
        PrototypeClassifier("euclidean"), X, y, quiet=True
    )


def test_one_class_is_refused():
    with pytest.raises(MeasureError, match="at least two classes"):
        learning_curve(
            PrototypeClassifier("euclidean"), np.eye(2), np.array(["a", "a"]), quiet=True
        )
