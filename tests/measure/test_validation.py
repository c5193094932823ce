"""Cross-validation, comparison and choice."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from handful.core import MeasureError
from handful.heads import PrototypeClassifier
from handful.measure import validate

HEADS = {"centroid": PrototypeClassifier("euclidean"), "linear": LogisticRegression(C=10)}


def blobs(counts, *, spread=1.0, seed=0):
    random = np.random.default_rng(seed)
    centres = 3 * np.eye(len(counts), 8)
    y = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    X = np.concatenate(
        [centres[i] + spread * random.normal(size=(m, 8)) for i, m in enumerate(counts)]
    )
    return X.astype(np.float32), y


def test_figures_of_easy_classes():
    X, y = blobs([12, 12, 12])
    result = validate(HEADS, X, y, quiet=True)
    assert result.accuracy.value > 0.85
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high
    figures = result.methods["linear"]
    assert figures.confusion.sum() == 36
    assert figures.oof_proba.sum(axis=1) == pytest.approx(np.ones(36))


def test_deterministic():
    X, y = blobs([6, 9, 2], spread=2)
    one, two = (validate(HEADS, X, y, quiet=True, random_state=4) for _ in range(2))
    assert one.accuracy == two.accuracy
    assert one.chosen == two.chosen


def test_one_label_a_class_is_not_measurable():
    X, y = blobs([1, 1, 1])
    result = validate(HEADS, X, y, quiet=True)
    assert not result.accuracy.is_measured
    assert result.chosen == "centroid"


def test_one_class_is_refused():
    with pytest.raises(MeasureError, match="at least two classes"):
        validate(HEADS, np.zeros((3, 2)), np.array(["a"] * 3))


def test_no_winner_among_equals():
    X, y = blobs([10, 10])
    result = validate({"one": LogisticRegression(), "two": LogisticRegression()}, X, y, quiet=True)
    assert result.chosen == "one"
    assert "No winner" in result.why
