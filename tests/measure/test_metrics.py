"""Figures of a test split: values, and coverage of their intervals by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score

from handful.core import MeasureError
from handful.measure import metrics

CLASSES = ["a", "b", "c"]


def simulated(random, n, accuracy):
    """Return codes and predictions of a classifier with these recalls, errors spread evenly."""
    codes = random.integers(3, size=n)
    wrong = (codes + random.integers(1, 3, size=n)) % 3
    return codes, np.where(random.random(n) < np.asarray(accuracy)[codes], codes, wrong)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60))
@settings(deadline=None, max_examples=50)
def test_values_agree_with_scikit_learn(pairs):
    codes, predicted = np.array(pairs).T
    counts = metrics.confusion(codes, predicted, 3)
    assert (counts == confusion_matrix(codes, predicted, labels=[0, 1, 2])).all()
    present = np.unique(codes)
    f1 = metrics.macro_f1(codes, predicted, 3, "test")
    expected = f1_score(codes, predicted, labels=present, average="macro", zero_division=0)
    assert f1.value == pytest.approx(expected)
    balanced = metrics.balanced_accuracy(counts, "test")
    assert balanced.low <= balanced.value <= balanced.high
    recall = np.mean([np.mean(predicted[codes == c] == c) for c in present])
    assert balanced.value == pytest.approx(recall)


@pytest.mark.parametrize("n", [30, 200])
def test_balanced_accuracy_coverage(n):
    random = np.random.default_rng(0)
    covered = []
    for _ in range(600):
        truth = random.uniform(0.3, 0.98, 3)
        found = metrics.balanced_accuracy(
            metrics.confusion(*simulated(random, n, truth), 3), "test"
        )
        covered.append(found.low <= truth.mean() <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 300])
def test_macro_f1_coverage(n):
    random = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        truth = random.uniform(0.3, 0.98, 3)
        large = metrics._f1(metrics.confusion(*simulated(random, 100_000, truth), 3)).mean()
        found = metrics.macro_f1(*simulated(random, n, truth), 3, "test")
        covered.append(found.low <= large <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.985


def test_test_split():
    proba = np.eye(3)[[0, 1, 2, 2]] * 0.9 + 0.03
    figures = metrics.test_accuracy(np.array(["a", "b", "c", "a"]), proba, CLASSES)
    assert figures.accuracy.value == 0.75
    assert figures.confusion.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert [row.recall.value for row in figures.per_class] == [0.5, 1.0, 1.0]
    assert figures.per_class[2].precision.value == 0.5


def test_class_missing_from_the_test_split_is_not_measurable():
    figures = metrics.test_accuracy(np.array(["a", "b"]), np.eye(3)[:2], CLASSES)
    assert not figures.per_class[2].recall.is_measured
    assert "2 of 3 classes" in figures.balanced_accuracy.how
    assert figures.macro_f1.value == 1.0


def test_empty_test_split():
    figures = metrics.test_accuracy(np.array([], dtype=str), np.zeros((0, 3)), CLASSES)
    assert not figures.accuracy.is_measured
    assert not figures.ece.is_measured
    assert figures.reliability == []


def test_unknown_test_class_is_named_with_a_hint():
    with pytest.raises(MeasureError, match=r"'ca' \(did you mean 'cat'\?\)"):
        metrics.test_accuracy(np.array(["cat", "ca"]), np.zeros((2, 2)), ["cat", "dog"])


def test_wrong_shape():
    with pytest.raises(ValueError, match="one column a class"):
        metrics.test_accuracy(np.array(["a"]), np.zeros((1, 2)), CLASSES)


def test_few_hits_are_not_certain():
    found = metrics.balanced_accuracy(np.array([[2, 0], [0, 2]]), "test")
    assert found.value == found.high == 1.0
    assert found.low < 0.6
