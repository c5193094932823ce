"""Groups stay whole, duplicates do not chain, classes keep their shares."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.project import (
    assign_splits,
    crosses_into_test,
    group_by_duplicates,
    stratified_holdout,
)

HASHES = [f"{n:02x}" for n in range(12)]
PAIRS = st.lists(st.tuples(st.sampled_from(HASHES), st.sampled_from(HASHES)), max_size=20)
GROUPS = st.lists(st.sampled_from([None, "x", "y", "z"]), min_size=12, max_size=12)
DECK = st.lists(
    st.tuples(st.sampled_from(["cat", "dog", None]), st.integers(0, 9)), min_size=1, max_size=40
)


def test_a_burst_is_not_swallowed_by_a_chain():
    frames = [f"{n:03d}" for n in range(100)]
    groups = group_by_duplicates(frames, pairwise(frames))
    assert np.bincount(groups).max() == 3


def test_the_star_is_around_the_best_connected():
    pairs = [("b", "a"), ("b", "c"), ("b", "d"), ("d", "e")]
    assert group_by_duplicates(list("abcde"), pairs).tolist() == [0, 0, 0, 0, 1]


def test_named_groups_tie_stars_together():
    groups = group_by_duplicates(list("abcd"), [("a", "b"), ("c", "d")], [None, "p", "p", None])
    assert groups.tolist() == [0, 0, 0, 0]


def test_equal_hashes_share_a_group_and_foreign_pairs_are_ignored():
    assert group_by_duplicates(["a", "b", "a"], [("a", "gone"), ("b", "b")]).tolist() == [0, 1, 0]
    assert group_by_duplicates([], []).shape == (0,)


@settings(deadline=None)
@given(PAIRS, GROUPS, st.randoms())
def test_grouping_laws(pairs, names, random):
    groups = group_by_duplicates(HASHES, pairs, names)
    for name in {"x", "y", "z"}:  # a named group is never split
        assert len({g for g, n in zip(groups, names, strict=True) if n == name}) <= 1
    random.shuffle(pairs)
    flipped = [(b, a) for a, b in pairs]
    np.testing.assert_array_equal(groups, group_by_duplicates(HASHES, flipped, names))
    assert list(dict.fromkeys(groups.tolist())) == list(range(groups.max() + 1))


@settings(deadline=None)
@given(PAIRS)
def test_every_star_has_a_centre_near_all_its_members(pairs):
    groups = group_by_duplicates(HASHES, pairs)
    near = {frozenset(pair) for pair in pairs}
    for number in set(groups.tolist()):
        star = [h for h, g in zip(HASHES, groups, strict=True) if g == number]
        assert any(all(frozenset((c, m)) in near for m in star if m != c) for c in star)


@settings(deadline=None)
@given(DECK, st.integers(0, 3), st.floats(0.1, 0.9))
def test_splits_keep_groups_whole(deck, random_state, fraction):
    y, groups = [label for label, _ in deck], np.array([group for _, group in deck])
    fractions = {"train": 1 - fraction, "validation": fraction / 2, "test": fraction / 2}
    splits = assign_splits(y, groups, fractions, random_state=random_state)
    assert all(
        len({s for s, g in zip(splits, groups, strict=True) if g == n}) == 1 for n in set(groups)
    )
    assert splits == assign_splits(y, groups, fractions, random_state=random_state)
    held = stratified_holdout(y, groups, fraction=fraction, random_state=random_state)
    assert not crosses_into_test(["test" if h else "train" for h in held], groups).any()
    for label in set(y):  # every class is left to learn from
        assert not all(h for h, name in zip(held, y, strict=True) if name == label)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5))
def test_single_images_are_dealt_in_proportion(cats, dogs, random_state):
    y = ["cat"] * cats + ["dog"] * dogs
    held = stratified_holdout(y, np.arange(len(y)), random_state=random_state)
    for label, n in (("cat", cats), ("dog", dogs)):
        count = sum(h for h, name in zip(held, y, strict=True) if name == label)
        assert abs(count - 0.2 * n) <= 0.5 + 1e-9


def test_random_state_changes_who_is_held_out():
    y = ["cat"] * 50
    first, second = (stratified_holdout(y, np.arange(50), random_state=r) for r in (0, 1))
    assert first.sum() == second.sum() == 10
    assert (first != second).any()


def test_fixed_splits_are_kept_and_draw_their_group_along():
    y, groups = ["cat"] * 6, np.array([0, 0, 1, 1, 2, 2])
    fixed = ["train", None, "test", None, None, None]
    splits = assign_splits(y, groups, {"train": 0.5, "test": 0.5}, fixed=fixed)
    assert splits[:4] == ["train", "train", "test", "test"]
    assert splits[4] == splits[5]


def test_fixed_splits_count_towards_the_shares():
    y, fixed = ["cat"] * 10, ["test"] * 5 + [None] * 5
    splits = assign_splits(y, np.arange(10), {"train": 0.5, "test": 0.5}, fixed=fixed)
    assert Counter(splits) == {"test": 5, "train": 5}


def test_images_that_would_leak_into_the_test():
    splits, groups = ["train", "test", None, "validation"], np.array([1, 1, 2, 1])
    assert crosses_into_test(splits, groups).tolist() == [True, False, False, True]


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"fraction must lie between 0 and 1\. Got 1"):
        stratified_holdout(["a"], np.array([0]), fraction=1)
    with pytest.raises(ValueError, match=r"one length\. Got 1, 2 and 1"):
        assign_splits(["a"], np.array([0, 1]), {"train": 1})
    with pytest.raises(ValueError, match="at least 0 with a positive sum"):
        assign_splits(["a"], np.array([0]), {"train": 0})
