from __future__ import annotations

import numpy as np
import pytest

from handful.heads.scale import fitted_scale, informed, with_class_shares_kept


def test_finds_the_scale_that_made_the_labels():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20000, 4))
    proba = np.exp(3 * scores) / np.exp(3 * scores).sum(axis=1, keepdims=True)
    codes = (proba.cumsum(axis=1) < rng.random((20000, 1))).sum(axis=1)
    scale, _ = fitted_scale(scores, codes)
    assert scale == pytest.approx(3, rel=0.05)


def test_no_rows_or_one_class_leave_the_centre():
    assert fitted_scale(np.zeros((0, 3)), np.zeros(0, int), centre=12.0) == (12.0, 0.0)
    assert fitted_scale(np.zeros((4, 1)), np.zeros(4, int), centre=12.0) == (12.0, 0.0)


def test_rows_alone_in_their_class_are_not_informed():
    assert informed(np.array([0, 0, 1, 2, 2])).tolist() == [True, True, False, True, True]


def test_without_information_kept_shares_equal_those_of_the_classes():
    codes = np.repeat([0, 1, 2], [2, 3, 5])
    counts = np.bincount(codes) - np.eye(3)[codes]
    kept = with_class_shares_kept(np.log(counts), codes)
    np.testing.assert_allclose(kept, np.log(np.tile([2, 3, 5], (10, 1))))
