"""Groups never straddle folds, classes are spread, untestable classes stay in training."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.measure.folds import is_testable, stratified_folds, unit_ids, units_per_class


@st.composite
def labelled(draw):
    n = draw(st.integers(2, 40))
    codes = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    groups = draw(st.lists(st.integers(-1, 8), min_size=n, max_size=n))
    return np.unique(codes, return_inverse=True)[1], np.array(groups)


@settings(max_examples=200, deadline=None)
@given(labelled(), st.integers(2, 6), st.integers(0, 5))
def test_groups_stay_whole_and_test_classes_are_trained(data, n_folds, random_state):
    codes, groups = data
    for fold in stratified_folds(
        codes, groups, n_folds=n_folds, n_repeats=2, random_state=random_state
    ):
        assert not set(fold.train) & set(fold.test)
        both = set(groups[fold.train]) & set(groups[fold.test])
        assert both <= {-1}
        assert set(codes[fold.test]) <= set(codes[fold.train])
        assert is_testable(codes, groups)[fold.test].all()


@settings(max_examples=100, deadline=None)
@given(labelled(), st.integers(2, 6))
def test_no_row_is_tested_twice_in_a_repeat(data, n_folds):
    codes, groups = data
    rows = [
        f.test.tolist()
        for f in stratified_folds(codes, groups, n_folds=n_folds, n_repeats=1, random_state=0)
    ]
    flat = [row for part in rows for row in part]
    assert len(flat) == len(set(flat))


def test_without_groups_every_testable_row_is_tested_once_a_repeat():
    codes = np.repeat([0, 1, 2], [7, 3, 1])
    tests = [f.test for f in stratified_folds(codes, None, n_folds=5, n_repeats=3, random_state=0)]
    counts = np.bincount(np.concatenate(tests), minlength=11)
    assert counts.tolist() == [3] * 10 + [0]


def test_classes_are_spread_evenly():
    codes = np.repeat(np.arange(10), 10)
    for fold in stratified_folds(codes, None, n_folds=5, n_repeats=2, random_state=3):
        assert np.bincount(codes[fold.test]).tolist() == [2] * 10


def test_same_seed_same_folds_other_seed_other_folds():
    codes = np.repeat([0, 1], 20)

    def first(seed):
        return next(stratified_folds(codes, None, n_folds=5, n_repeats=1, random_state=seed))

    assert first(0).test.tolist() == first(0).test.tolist()
    assert first(0).test.tolist() != first(1).test.tolist()


def test_a_class_in_one_group_stays_in_training():
    codes = np.array([0, 0, 0, 1, 1, 1])
    groups = np.array([5, 5, 5, -1, -1, -1])
    folds = list(stratified_folds(codes, groups, n_folds=3, n_repeats=1, random_state=0))
    assert all(codes[fold.test].tolist() == [1] for fold in folds)
    assert units_per_class(codes, groups).tolist() == [1, 3]


def test_units_without_groups_are_rows():
    assert unit_ids(None, 3).tolist() == [0, 1, 2]
