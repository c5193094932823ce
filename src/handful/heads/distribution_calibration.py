"""Distribution calibration: rare classes borrow the spread of the rich classes that are like them."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64, Int, stream
from handful.heads.logistic_probe import LogisticProbe
from handful.heads.logits import checked_fit
from handful.heads.pool import cross_fitted
from handful.heads.unlabelled import RuleMixin, check_numbers
from handful.heads.vectors import transformed


class DistributionCalibration(RuleMixin, BaseEstimator):
    """Learn rare classes from vectors sampled with the statistics of the nearest rich classes.

    For each vector of a rare class the ``n_nearest`` rich classes with the nearest means are found.
    A normal distribution about the mean of these means and the vector, with the mean of their
    covariances, gives ``n_sampled`` more vectors [1]_; a logistic regression learns from all of them.
    Where no class is rich, or none is rare, it is that regression alone.

    Parameters
    ----------
    n_rich : int, default=20
        From so many labels on a class is rich, with fewer it is rare; above 1.
    n_nearest : int, default=2
        Rich classes that a rare vector borrows from, above 0.
    n_sampled : int, default=50
        Vectors sampled for each vector of a rare class, above 0.
    dispersion : float, default=0.2
        Variance in every direction, in units of the mean variance of the borrowed classes, that is
        added, above 0.
    own_weight : float, default=0.5
        Of the vector itself in the mean; the nearest means share the rest. In ``(0, 1)``.
    random_state : int, default=0
        Seed of the sampled vectors.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    calibrated_classes_ : ndarray
        The rare classes; empty where no class is rich.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every training row from fits without it: of more than ten rows, from ten fits,
        each without a tenth of them.
    n_features_in_ : int

    References
    ----------
    .. [1] Yang, Liu and Xu, "Free Lunch for Few-shot Learning: Distribution Calibration", ICLR
       2021, equations 5 and 6, https://arxiv.org/abs/2101.06395. Deviations: the rich classes
       are among those to be told apart; vectors have unit length before and after sampling; the
       dispersion is added to the variances alone; the vector counts as much as its neighbours together, where
       the paper's mean gives it one part in ``n_nearest + 1``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> centres = np.array([[9.0, 1.0, 1.0], [1.0, 9.0, 1.0], [1.0, 1.0, 9.0]])
    >>> y = np.repeat(["a", "b", "rare"], [20, 20, 1])
    >>> X = centres[np.repeat([0, 1, 2], [20, 20, 1])] + rng.random((41, 3))
    >>> DistributionCalibration().fit(X, y).predict([[1.0, 1.0, 5.0]])
    array(['rare'], dtype='<U4')
    """

    def __init__(
        self,
        n_rich: int = 20,
        *,
        n_nearest: int = 2,
        n_sampled: int = 50,
        dispersion: float = 0.2,
        own_weight: float = 0.5,
        random_state: int = 0,
    ) -> None:
        self.n_rich = n_rich
        self.n_nearest = n_nearest
        self.n_sampled = n_sampled
        self.dispersion = dispersion
        self.own_weight = own_weight
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Sample vectors for the rare classes, then fit the regression.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        check_numbers(
            self, n_rich=(1, 10**9), n_nearest=(0, 10_000), n_sampled=(0, 100_000),
            dispersion=(0.0, np.inf), own_weight=(0.0, 1.0),
        )  # fmt: skip
        X, codes = checked_fit(self, X, y)
        rows = transformed(X, power=0.5)
        counts = np.bincount(codes)
        self._is_rich = counts >= self.n_rich
        has_both = self._is_rich.any() and not self._is_rich.all()
        self.calibrated_classes_ = self.classes_[~self._is_rich & has_both]
        probe = LogisticProbe(power=0.5)
        if not has_both:
            self.rule_ = probe.fit(X, codes)
            self.loo_logits_ = self.rule_.loo_logits_
            return self

        def scores(kept: Int, left_out: Int) -> Float64:
            return self._logits_without(rows, codes, kept, left_out)

        self.loo_logits_ = cross_fitted(codes, len(counts), scores).astype(np.float32)
        self.rule_ = probe.fit(*self._with_sampled(rows, codes))
        return self

    def _logits_without(self, rows: Float32, codes: Int, kept: Int, left_out: Int) -> Float64:
        """Return logits of some rows; a class of which none is kept is less likely than any other."""
        probe = LogisticProbe(power=0.5).fit(*self._with_sampled(rows[kept], codes[kept]))
        found = probe.predict_logits(_squared(rows[left_out]))
        out = np.tile(found.min(axis=1, keepdims=True), (1, len(self.classes_)))
        out[:, probe.classes_] = found
        return out.astype(np.float64)

    def _with_sampled(self, rows: Float32, codes: Int) -> tuple[Float32, Int]:
        """Return vectors and classes, the sampled ones last; squared, as the probe takes the root."""
        random = stream(self.random_state, "distribution calibration")
        rich = np.flatnonzero(self._is_rich)
        members = [rows[codes == c].astype(np.float64) for c in rich]
        means = np.stack([m.mean(axis=0) for m in members])
        more, owner = [], []
        for row in np.flatnonzero(~self._is_rich[codes]):
            more.append(self._sampled(rows[row].astype(np.float64), members, means, random))
            owner.append(np.full(self.n_sampled, codes[row]))
        everything = transformed(np.concatenate([rows, *more]))
        return _squared(everything), np.concatenate([codes, *owner])

    def _sampled(
        self, row: Float64, members: list[Float64], means: Float64, random: np.random.Generator
    ) -> Float32:
        """Return vectors about a rare one, with the spread of the nearest rich classes."""
        near = np.argsort(np.square(means - row).sum(axis=1), kind="stable")[: self.n_nearest]
        centre = self.own_weight * row + (1 - self.own_weight) * means[near].mean(axis=0)
        out = np.tile(centre, (self.n_sampled, 1))
        variance = 0.0
        for each in near:
            deviations = members[each] - means[each]
            n = max(len(deviations) - 1, 1)
            mix = random.normal(size=(self.n_sampled, len(deviations)))
            out += mix @ deviations / np.sqrt(n * len(near))
            variance += float(np.square(deviations).sum()) / n / len(near) / len(row)
        out += np.sqrt(self.dispersion * variance) * random.normal(size=out.shape)
        return out.astype(np.float32)


def _squared(rows: Float32) -> Float32:
    """Return what has these rows as its signed square roots."""
    return np.sign(rows) * np.square(rows)
