from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from handful.heads import ConformalSets, LinearProbe, TemperatureScaled, softmax


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_coverage_on_exchangeable_rows(alpha):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        proba = rng.dirichlet([0.5, 1, 2], 80)
        codes = (proba.cumsum(axis=1) < rng.random((80, 1))).sum(axis=1)
        sets = ConformalSets(alpha).fit(proba[:40], codes[:40]).predict_sets(proba[40:])
        covered.append(sets[np.arange(40), codes[40:]].mean())
    assert 1 - alpha - 0.015 < np.mean(covered) < 1 - alpha + 1 / 41 + 0.015


def test_too_few_rows_put_every_class_into_every_set():
    sets = ConformalSets(0.1).fit(np.full((8, 2), 0.5), np.zeros(8, int))
    assert sets.threshold_ == 0
    assert sets.predict_sets([[0.0, 1.0]]).all()


@settings(max_examples=30)
@given(low=st.floats(0.05, 0.5), high=st.floats(0.5, 0.95))
def test_sets_shrink_as_alpha_grows(low, high):
    proba = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    codes = np.arange(50) % 4
    small, large = (ConformalSets(a).fit(proba, codes).predict_sets(proba) for a in (high, low))
    assert (small <= large).all()


@pytest.mark.parametrize("alpha", [0, 1, 1.5])
def test_alpha_out_of_range_is_named(alpha):
    with pytest.raises(ValueError, match=r"'alpha' parameter of ConformalSets must be in \(0, 1\)"):
        ConformalSets(alpha).fit([[0.5, 0.5]], [0])


@pytest.mark.parametrize("codes", [[0], [0, 2], [0, -1]])
def test_codes_that_do_not_fit_are_refused(codes):
    with pytest.raises(ValueError, match="one column number of 'proba' a row"):
        ConformalSets().fit([[0.5, 0.5], [0.1, 0.9]], codes)


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "slack"), [(5, 0.04), (20, 0.025)])
def test_leave_one_out_probabilities_cover_new_digits(labels, slack):
    X, y = load_digits(return_X_y=True)
    covered = []
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(len(y))
        train = np.concatenate([order[y[order] == c][:labels] for c in range(10)])
        rest = np.setdiff1d(order, train)
        head = TemperatureScaled(LinearProbe()).fit(X[train], y[train])
        sets = ConformalSets(0.1).fit(softmax(head.loo_logits_), y[train])
        covered.append(sets.predict_sets(head.predict_proba(X[rest]))[range(len(rest)), y[rest]])
    assert np.mean([rows.mean() for rows in covered]) == pytest.approx(0.9, abs=slack)
