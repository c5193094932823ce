"""Folds that keep groups whole, classes spread, and every class in training.

A *unit* is what may not be torn apart: a group of images, or one image without
a group. A class that lives in one unit only can never be tested honestly: with
the unit held out, its class does not exist in training. Such units stay in
every training set and are never tested (fold ``-1``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from handful.core import Bool, Float32, Int, stream


@dataclass(frozen=True)
class Fold:
    """One split of one repeat.

    Parameters
    ----------
    repeat : int
        Which repeat of the partition, from 0.
    train, test : ndarray of int
        Row numbers; no group is on both sides, and every class of ``test`` is
        in ``train``.
    X : ndarray of shape (n_samples, n_features), optional
        Vectors of all rows by a backbone that was trained without the labels
        of ``test``. None: the vectors that all folds share.
    """

    repeat: int
    train: Int
    test: Int
    X: Float32 | None = field(default=None, repr=False, compare=False)


def stratified_folds(
    codes: Int, groups: Int | None, *, n_folds: int, n_repeats: int, random_state: int
) -> Iterator[Fold]:
    """Yield the folds of repeated, stratified, group-safe cross-validation.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Class of each row, from 0.
    groups : ndarray of shape (n_samples,), optional
        Group of each row, an int; rows of one group are never split. Rows
        with a negative group have none.
    n_folds : int
        Number of folds, at least 2. A repeat has fewer when there are fewer units.
    n_repeats : int
        Number of partitions.
    random_state : int
        The seed; one seed gives one list of folds.

    Yields
    ------
    Fold
        Folds without a row to test are left out.

    Examples
    --------
    >>> folds = list(stratified_folds(np.array([0, 0, 1, 1]), None,
    ...                               n_folds=2, n_repeats=1, random_state=0))
    >>> [sorted(np.array([0, 0, 1, 1])[fold.test].tolist()) for fold in folds]
    [[0, 1], [0, 1]]
    """
    units = unit_ids(groups, len(codes))
    random = stream(random_state, "folds")
    for repeat in range(n_repeats):
        fold_of = _deal(codes, units, n_folds, random)
        for number in range(n_folds):
            test = fold_of == number
            train = np.flatnonzero(~test)
            known = np.isin(codes, codes[train])
            rows = np.flatnonzero(test & known)
            if len(rows):
                yield Fold(repeat, train, rows)


def unit_ids(groups: Int | None, n_samples: int) -> Int:
    """Return a number from 0 for each row's unit; rows without a group are units of their own.

    Examples
    --------
    >>> unit_ids(np.array([7, 7, -1, -1]), 4).tolist()
    [0, 0, 1, 2]
    """
    if groups is None:
        return np.arange(n_samples)
    lone = groups < 0
    keys = np.where(lone, np.arange(n_samples) + (groups.max(initial=0) + 1), groups)
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def is_testable(codes: Int, groups: Int | None) -> Bool:
    """Return which rows can be tested: those whose class lives in more than one unit.

    Examples
    --------
    >>> is_testable(np.array([0, 0, 1]), None).tolist()
    [True, True, False]
    """
    return units_per_class(codes, groups)[codes] > 1


def units_per_class(codes: Int, groups: Int | None) -> Int:
    """Return in how many units each class lives, of shape (n_classes,)."""
    units = unit_ids(groups, len(codes))
    pairs = np.unique(np.stack([codes, units]), axis=1)
    return np.bincount(pairs[0], minlength=codes.max(initial=-1) + 1)


def _deal(codes: Int, units: Int, n_folds: int, random: np.random.Generator) -> Int:
    """Return the fold of each row: largest units first, each to where its classes are rarest."""
    n_units, n_classes = units.max() + 1, codes.max() + 1
    content = np.zeros((n_units, n_classes), dtype=np.int64)
    np.add.at(content, (units, codes), 1)
    only_home = (content > 0) & ((content > 0).sum(axis=0) == 1)
    fixed = only_home.any(axis=1)
    tie = random.random(n_units)
    main_class = content.argmax(axis=1)
    order = np.lexsort((tie, main_class, -content.sum(axis=1)))
    counts = np.zeros((n_folds, n_classes), dtype=np.int64)
    fold_of_unit = np.full(n_units, -1, dtype=np.int64)
    for unit in order[~fixed[order]]:
        here = content[unit] > 0
        load = counts[:, here] @ content[unit, here]
        best = np.lexsort((random.random(n_folds), counts.sum(axis=1), load))[0]
        fold_of_unit[unit] = best
        counts[best] += content[unit]
    return fold_of_unit[units]
