from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from handful.core import MeasureError
from handful.measure import Fold, before_after, held_out_folds, validate

HEAD = LogisticRegression(C=10)


def made(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, vectors that say little of them, and vectors that say much."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 3
    noise = random.normal(size=(n, 5))
    signal = noise.copy()
    signal[np.arange(n), y] += 4
    return y, noise.astype(np.float32), signal.astype(np.float32)


def test_a_better_backbone_gains_and_the_same_one_does_not() -> None:
    y, noise, signal = made()
    found = before_after(HEAD, noise, signal, y)
    assert found.gain.low > 0.2
    assert found.after.value > found.before.value
    assert "paired by image" in found.gain.how
    same = before_after(HEAD, signal, signal, y)
    assert same.gain.value == 0
    assert same.gain.low < 0 < same.gain.high


def test_each_fold_is_tested_with_its_own_vectors() -> None:
    y, noise, signal = made()
    folds = held_out_folds(y, None, n_folds=4, random_state=0)
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(60))
    own = [Fold(0, fold.train, fold.test, signal) for fold in folds[:1]]
    found = before_after(HEAD, noise, None, y, folds=own)
    assert found.gain.n == len(folds[0].test)
    assert found.gain.value > 0.2
    figures = validate({"head": HEAD}, noise, y, folds=own, quiet=True)
    assert np.isnan(figures.methods["head"].hits).sum() == 60 - len(folds[0].test)
    assert figures.accuracy.value > 0.8
    assert "25 % of all" in figures.accuracy.how


def test_groups_stay_on_one_side() -> None:
    y, _, _ = made(40)
    groups = np.arange(40) // 6
    for fold in held_out_folds(y, groups, n_folds=4, random_state=1):
        assert not set(groups[fold.train]) & set(groups[fold.test])


def test_what_cannot_be_measured_says_so() -> None:
    X = np.eye(3, dtype=np.float32)
    found = before_after(HEAD, X, X, np.arange(3))
    assert not found.gain.is_measured
    with pytest.raises(MeasureError, match="two classes"):
        before_after(HEAD, X, X, np.zeros(3))
