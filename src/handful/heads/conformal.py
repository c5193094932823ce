"""Prediction sets that hold the true class with a stated probability."""

from __future__ import annotations

from numbers import Real
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from handful.core import Array, Bool, Int


class ConformalSets(BaseEstimator):
    """Split-conformal prediction sets from held-out probabilities.

    A class is in the set of an image when its probability reaches
    ``threshold_``, chosen on probabilities of labelled images by models that did
    not see them: leave-one-out or out-of-fold [1]_.

    Parameters
    ----------
    alpha : float, default=0.1
        Share of images whose set may miss the true class, in ``(0, 1)``.

    Attributes
    ----------
    threshold_ : float
        Least probability of a class in a set, in ``[0, 1]``. 0 puts every class
        into every set, the only honest answer with fewer than
        ``1 / alpha - 1`` images.

    Notes
    -----
    With exchangeable images the coverage is at least ``1 - alpha``, and at most
    ``1 / (n + 1)`` above it when no probabilities tie, on average over images.
    Leave-one-out probabilities come from models fitted on one image fewer than
    the one that is used, so for them the statement is approximate.

    References
    ----------
    .. [1] Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers
       with Bounded Error Levels", JASA 114, 2019, https://arxiv.org/abs/1609.00451;
       Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    >>> sets = ConformalSets(alpha=0.25).fit(proba, [0, 0, 0])
    >>> sets.predict_sets([[0.5, 0.5], [0.3, 0.7]]).tolist()
    [[True, True], [False, True]]
    """

    def __init__(self, alpha: float = 0.1) -> None:
        self.alpha = alpha

    def fit(self, proba: Array, codes: Int) -> Self:
        """Choose the threshold.

        Parameters
        ----------
        proba : array-like of shape (n_samples, n_classes)
            Held-out probabilities.
        codes : array-like of shape (n_samples,), int
            True columns of ``proba``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``alpha`` is out of range or the codes do not fit the columns.
        """
        if not isinstance(self.alpha, Real) or not 0 < self.alpha < 1:
            raise ValueError(
                "The 'alpha' parameter of ConformalSets must be in (0, 1). "
                f"Got {self.alpha!r} instead."
            )
        proba, codes = check_array(proba), column_or_1d(codes)
        if len(codes) != len(proba) or codes.min() < 0 or codes.max() >= proba.shape[1]:
            raise ValueError(
                "The 'codes' of ConformalSets must be one column number of 'proba' a row. "
                f"Got {len(codes)} codes for {len(proba)} rows of {proba.shape[1]} columns."
            )
        self.threshold_: float = self._threshold(np.sort(proba[np.arange(len(codes)), codes]))
        return self

    def predict_sets(self, proba: Array) -> Bool:
        """Return which classes are in each set, of shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return check_array(proba) >= self.threshold_

    def _threshold(self, ascending: Array) -> float:
        rank = int(np.floor(self.alpha * (len(ascending) + 1)))
        return float(ascending[rank - 1]) if rank else 0.0
