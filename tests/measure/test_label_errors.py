from __future__ import annotations

import numpy as np
import pytest

from handful.measure import label_errors


def noisy(n, n_classes, share, seed):
    """Return given classes, true classes and probabilities of a good model."""
    random = np.random.default_rng(seed)
    true = random.integers(0, n_classes, n)
    given = true.copy()
    flipped = random.random(n) < share
    given[flipped] = (true[flipped] + random.integers(1, n_classes, flipped.sum())) % n_classes
    logits = random.normal(size=(n, n_classes)) + 3 * (true[:, None] == np.arange(n_classes))
    proba = np.exp(logits)
    return given, true, proba / proba.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_planted_errors_are_found_and_their_class_is_proposed(n_classes):
    given, true, proba = noisy(2000, n_classes, 0.1, 0)
    found = label_errors(given, proba)
    wrong = given != true
    assert wrong[found.rows].mean() > 0.7
    assert wrong[found.rows[:50]].all()
    assert np.isin(np.flatnonzero(wrong), found.rows).mean() > 0.6
    assert (found.proposed[:50] == true[found.rows[:50]]).all()


def test_the_joint_estimates_the_noise():
    given, true, proba = noisy(4000, 3, 0.2, 1)
    joint = label_errors(given, proba).joint
    assert joint.sum() == pytest.approx(1)
    assert joint.sum(axis=1) == pytest.approx(np.bincount(given) / len(given))
    planted = np.zeros((3, 3))
    np.add.at(planted, (given, true), 1 / len(given))
    assert np.abs(joint - planted).max() < 0.04


def test_by_hand_as_in_the_paper():
    # thresholds: mean p of class 0 among given 0 is 0.6, of class 1 among given 1 is 0.7
    proba = [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6]]
    found = label_errors([0, 0, 1, 1], proba)
    assert (found.rows.tolist(), found.proposed.tolist()) == ([1], [1])
    assert found.margin.tolist() == pytest.approx([0.4])
    assert found.joint.tolist() == [[0.25, 0.25], [0.0, 0.5]]


def test_rows_without_probabilities_and_classes_without_labels():
    proba = [[0.9, 0.1, 0.0], [np.nan] * 3, [0.1, 0.9, 0.0]]
    found = label_errors([0, 0, 1], proba)
    assert len(found.rows) == 0
    assert label_errors([], np.empty((0, 2))).rows.tolist() == []


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one class and one row"):
        label_errors([0, 1], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="columns of 'proba'"):
        label_errors([2], [[0.5, 0.5]])
