"""Out-of-fold predictions of one head."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from handful.core import Array, Float64, Int, Progress, stream, usable_cores
from handful.measure.folds import Fold, is_testable, unit_ids, units_per_class
from handful.measure.shipped import Trial

MOST_ROUNDS = 10


@dataclass(frozen=True)
class Design:
    """The folds that every head is tried on.

    Parameters
    ----------
    codes, units : ndarray of shape (n_samples,)
        Class and unit of each image, from 0.
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    folds : list of Fold
        Of all repeats.
    cuts : list of Fold
        Training sets in which the test classes are cut down to one unit; empty
        unless a class lives in one unit only.
    n_repeats : int
        Number of partitions.
    how : str
        All of this in words.
    """

    codes: Int
    units: Int
    classes: Array
    folds: Sequence[Fold]
    cuts: Sequence[Fold]
    n_repeats: int
    how: str

    @property
    def n_train(self) -> float:
        """Mean number of labels a model of the folds sees."""
        return float(np.mean([len(fold.train) for fold in self.folds])) if self.folds else 0.0


@dataclass(frozen=True)
class OutOfFold:
    """What one head said of images it had not seen.

    Parameters
    ----------
    proba : ndarray of shape (n_repeats, n_samples, n_classes)
        NaN where an image was not tested in a repeat.
    trial : Trial
        The hits.
    has_proba : bool
        Whether the head gives probabilities; without, the class it predicts has 1.
    seconds : float
        Time of all fits and predictions.
    """

    proba: Float64
    trial: Trial
    has_proba: bool
    seconds: float


def predict_out_of_fold(head: Any, X: Array, design: Design, progress: Progress) -> OutOfFold:
    """Fit a clone of the head on every training set and predict its test rows, a fit on each core.

    Linear algebra then runs on one thread: the fits are small, and threads of both kinds
    together wait for each other.

    Parameters
    ----------
    head : classifier
        Unfitted; with ``predict_proba`` or at least ``predict``.
    X : ndarray of shape (n_samples, n_features)
        Vectors.
    design : Design
        The folds.
    progress : Progress
        Advanced by one a fit.
    """
    start = time.perf_counter()
    n, k = len(design.codes), len(design.classes)
    proba = np.full((design.n_repeats, n, k), np.nan)
    alone_hits, alone_n = np.zeros(k), np.zeros(k)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        fitted = partial(_predicted, head, X, design=design)
        for fold, rows in zip(design.folds, pool.map(fitted, design.folds), strict=True):
            proba[fold.repeat, fold.test] = rows
            progress.advance()
        for cut, rows in zip(design.cuts, pool.map(fitted, design.cuts), strict=True):
            right = rows.argmax(axis=1) == design.codes[cut.test]
            alone_hits += np.bincount(design.codes[cut.test], right, minlength=k)
            alone_n += np.bincount(design.codes[cut.test], minlength=k)
            progress.advance()
    alone = np.divide(alone_hits, alone_n, out=np.full(k, np.nan), where=alone_n > 0)
    trial = Trial(hits(proba, design.codes), design.codes, design.units, design.n_train, alone)
    seconds = time.perf_counter() - start
    return OutOfFold(proba, trial, hasattr(head, "predict_proba"), seconds)


def repeat_hits(proba: Float64, codes: Int) -> Float64:
    """Return 1 for right and 0 for wrong, NaN for not tested, of shape (n_repeats, n_samples)."""
    right = np.nan_to_num(proba, nan=-1.0).argmax(axis=2) == codes
    return np.where(np.isnan(proba[:, :, 0]), np.nan, right)


def hits(proba: Float64, codes: Int) -> Float64:
    """Return the share of its tests in which each image was right, NaN without a test."""
    return nanmean(repeat_hits(proba, codes))


def nanmean(values: Float64) -> Float64:
    """Return the mean over the first axis without NaN, and NaN where there is nothing else."""
    n = (~np.isnan(values)).sum(axis=0)
    return np.divide(np.nansum(values, axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)


def cut_folds(
    codes: Int, groups: Int | None, folds: Sequence[Fold], random_state: int
) -> list[Fold]:
    """Return training sets in which some classes are cut down to one unit, for testing them.

    Each testable class is cut once, in at most `MOST_ROUNDS` training sets taken
    from ``folds``; it is tested on all its rows outside. There are none when no
    class lives in one unit only.
    """
    units = unit_ids(groups, len(codes))
    many = np.flatnonzero(units_per_class(codes, groups) > 1)
    if not folds or is_testable(codes, groups).all():
        return []
    random = stream(random_state, "cuts")
    rounds = np.array_split(random.permutation(many), min(len(many), MOST_ROUNDS))
    cuts = (_cut(codes, units, folds[i % len(folds)], c, random) for i, c in enumerate(rounds))
    return [cut for cut in cuts if len(cut.test)]


def _cut(codes: Int, units: Int, fold: Fold, chosen: Int, random: np.random.Generator) -> Fold:
    train = np.zeros(len(codes), dtype=bool)
    train[fold.train] = True
    kept_units = [random.choice(units[train & (codes == code)]) for code in chosen]
    train &= ~np.isin(codes, chosen) | np.isin(units, kept_units)
    test = np.isin(codes, chosen) & ~np.isin(units, units[train])
    return Fold(fold.repeat, np.flatnonzero(train), np.flatnonzero(test))


def _predicted(head: Any, X: Array, fold: Fold, design: Design) -> Float64:
    X = X if fold.X is None else fold.X
    model = clone(head).fit(X[fold.train], design.classes[design.codes[fold.train]])
    rows = np.zeros((len(fold.test), len(design.classes)))
    if hasattr(model, "predict_proba"):
        given = model.predict_proba(X[fold.test])
        there = np.isin(model.classes_, design.classes)
        rows[:, np.searchsorted(design.classes, model.classes_[there])] = given[:, there]
        if (
            not there.all()
        ):  # an answer among classes without a label is wrong here, whatever follows
            strange = ~there[given.argmax(axis=1)]
            rows[strange, design.codes[fold.test[strange]]] = 0.0
    else:
        given = np.searchsorted(design.classes, model.predict(X[fold.test]))
        rows[np.arange(len(rows)), given] = 1.0
    return rows
