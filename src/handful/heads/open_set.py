"""Is this image like the labelled ones at all? A leave-one-out p-value."""

from __future__ import annotations

from numbers import Real
from typing import Self

import numpy as np
import onnx
from scipy.linalg import cholesky, solve_triangular
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from handful.core import Array, Bool, Float32, Float64, Int
from handful.heads.logits import BLOCK, checked_fit, one_hot
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed

_RIDGE = 0.2  # added to the kernel's diagonal; 0.03 to 1 give the same within 1 point of AUROC
_RIVAL = 0.25  # share of the second-best class that is taken off
_MOST_ROWS = 2048  # kept in all, so that the ONNX form stays under 10 MB at 1,280 dimensions
_STEP = 1e-4  # scores nearer than this are one step of the p-value


class KnownScorer(BaseEstimator):
    """Score in ``[0, 1]`` how well a vector fits the labelled ones.

    Raw score: how much of the vector lies in the span of a class's vectors, the
    largest over the classes, less a quarter of the second largest. The result is
    the p-value of "this image is like the labelled ones": the share of labelled
    vectors whose own raw score, without themselves, is lower.

    Parameters
    ----------
    max_unknown : float, default=0.05
        Share of images like the labelled ones that may be called unknown, in
        ``[0, 1)``.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0, of unit length.

    Attributes
    ----------
    threshold_ : float
        A score below it means unknown; equal to ``max_unknown``.
    loo_scores_ : ndarray of shape (n_samples,), float64
        Raw scores of the labelled vectors without themselves, exact, ascending.
    n_features_in_ : int

    Notes
    -----
    The part ``q`` of a vector in the span of a class is ``k'(K + 0.2 I)^-1 k``
    with the class's matrix of cosines ``K``; without row ``i`` it is
    ``1.2 - 1 / ((K + 0.2 I)^-1)_ii``.

    With ``n`` labelled vectors the p-value is uniform on images like them down to
    ``1 / (n + 1)``, joined by straight lines. Below the lowest labelled score it
    falls exponentially, an extrapolation on which a threshold under
    ``1 / (n + 1)`` rests: with fewer than 19 labels at 0.05. A class with one
    label cannot know it when it is left out: such rows score low, so that with
    one label a class few images are called unknown.

    Chosen among nearest neighbours, class-conditional and relative Mahalanobis
    distances, and the classifier's largest logit, by the AUROC of telling known
    from unknown: ``benchmarks/open_set.py``.

    References
    ----------
    .. [1] Oja, "Subspace Methods of Pattern Recognition", 1983; deviations: the
       ridge, and the second-best class.
    .. [2] Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World",
       2005, for the p-value.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scorer = KnownScorer().fit(rng.normal([9, 0, 0], 1, (50, 3)))
    >>> known = scorer.score([[9.0, 0.3, 0.1], [0.0, 9.0, 0.0]])
    >>> (known >= scorer.threshold_).tolist()
    [True, False]
    """

    def __init__(self, max_unknown: float = 0.05, *, power: float = 0.5) -> None:
        self.max_unknown = max_unknown
        self.power = power

    def fit(self, X: Array, y: Array | None = None) -> Self:
        """Learn what labelled vectors look like.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), optional
            Classes; None takes all vectors as one class.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        self._check()
        if y is None:
            X = validate_data(self, X, dtype=np.float32)
            codes = np.zeros(len(X), np.int64)
        else:
            X, codes = checked_fit(self, X, y)
        rows = transformed(X, power=self.power)
        self._fit_spans(rows, codes)
        self._fit_steps()
        self.threshold_ = float(self.max_unknown)
        return self

    def score(self, X: Array, y: None = None) -> Float32:
        """Return the p-value of every vector.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Not used.

        Returns
        -------
        ndarray of shape (n_samples,), float32
            In ``[0, 1]``; low means unlike the labelled vectors.
        """
        check_is_fitted(self)
        rows = transformed(validate_data(self, X, dtype=np.float32, reset=False), power=self.power)
        out = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            out[block] = self._p_values(_raw(self._shares(rows[block])))
        return out

    def is_known(self, X: Array) -> Bool:
        """Return whether the score of each vector reaches the threshold."""
        return self.score(X) >= np.float32(self.threshold_)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``known`` [n]."""
        check_is_fitted(self)
        form = OnnxForm("known")
        x = add_transform(form, INPUT, power=self.power, unit_norm=True)
        parts = form.node("MatMul", x, form.constant(self._axes))
        squared = form.node("Mul", parts, parts)
        shares = form.node("MatMul", squared, form.constant(self._owner))
        raw = self._onnx_raw(form, shares)
        known = form.node("Min", self._onnx_p_value(form, raw), form.constant(1.0))
        axis = form.constant(np.array([1]), np.int64)
        return form.model(form.node("Squeeze", known, axis), "known", self.n_features_in_, None)

    def _onnx_raw(self, form: OnnxForm, shares: str) -> str:
        n_best = min(2, self._owner.shape[1])
        weights = np.array([[1.0], [-_RIVAL]])[:n_best]
        count = form.constant(np.array([n_best]), np.int64)
        best, _ = form.nodes("TopK", shares, count, n_outputs=2, axis=1)
        return form.node("MatMul", best, form.constant(weights))

    def _onnx_p_value(self, form: OnnxForm, raw: str) -> str:
        below = form.node("Sub", raw, form.constant(self._low[0]))
        below = form.node("Min", below, form.constant(0.0))
        tail = form.node("Exp", form.node("Div", below, form.constant(self._tail)))
        tail = form.node("Mul", tail, form.constant(self._floor))
        ramps = form.node("Sub", raw, form.constant(self._low))
        ramps = form.node("Div", ramps, form.constant(self._gap))
        ramps = form.node("Clip", ramps, form.constant(0.0), form.constant(1.0))
        body = form.node("MatMul", ramps, form.constant(self._mass[:, None]))
        return form.node("Add", tail, body)

    def _check(self) -> None:
        if not isinstance(self.max_unknown, Real) or not 0 <= float(self.max_unknown) < 1:
            raise ValueError(
                "The 'max_unknown' parameter of KnownScorer must be in [0, 1). "
                f"Got {self.max_unknown!r} instead."
            )
        if not isinstance(self.power, Real) or not 0 < float(self.power) < np.inf:
            raise ValueError(
                "The 'power' parameter of KnownScorer must be a finite number above 0. "
                f"Got {self.power!r} instead."
            )

    def _fit_spans(self, rows: Float32, codes: Int) -> None:
        """Store axes [d, N] whose squared projections sum to a class's share, and the scores."""
        n_classes = int(codes.max()) + 1
        most = max(_MOST_ROWS // n_classes, 8)
        members = [_spread(rows, np.flatnonzero(codes == c), most) for c in range(n_classes)]
        spans = [_span(rows[own].astype(np.float64)) for own in members]
        self._axes = np.hstack([axes for axes, _ in spans])
        owner = np.repeat(np.arange(n_classes), [len(own) for own in members])
        self._owner = one_hot(owner, n_classes)
        shares = self._shares(rows)
        for c, (own, (_, without)) in enumerate(zip(members, spans, strict=True)):
            shares[own, c] = without
        self.loo_scores_ = np.sort(_raw(shares).astype(np.float64))

    def _shares(self, rows: Float32) -> Float32:
        """Return how much of each vector lies in the span of each class, [n, k]."""
        return np.square(rows @ self._axes) @ self._owner

    def _fit_steps(self) -> None:
        """Store the p-value as a sum of ramps from one labelled score to the next."""
        scores, n = self.loo_scores_, len(self.loo_scores_)
        tail = max(float(np.std(scores)), 10 * _STEP)
        number = np.floor((scores - scores[0]) / _STEP)
        _, first, counts = np.unique(number, return_index=True, return_counts=True)
        ends = np.append(scores[first], scores[first[-1]] + tail)
        self._low = ends[:-1].astype(np.float32)
        self._gap = np.diff(ends).astype(np.float32)
        self._mass = (counts / (n + 1)).astype(np.float32)
        self._tail, self._floor = np.float32(tail), np.float32(1 / (n + 1))

    def _p_values(self, raw: Float32) -> Float32:
        tail = self._floor * np.exp(np.minimum(raw - self._low[0], 0) / self._tail)
        ramps = np.clip((raw[:, None] - self._low) / self._gap, 0, 1)
        return np.minimum(tail + ramps @ self._mass, np.float32(1))


def _raw(shares: Float32) -> Float32:
    """Return the largest share of each row less a quarter of the second largest."""
    if shares.shape[1] == 1:
        return shares[:, 0]
    best = np.partition(shares, -2, axis=1)
    return best[:, -1] - np.float32(_RIVAL) * best[:, -2]


def _spread(rows: Float32, own: Int, most: int) -> Int:
    """Return at most ``most`` members, evenly spaced in an order that the vectors decide."""
    if len(own) <= most:
        return own
    ordered = own[np.lexsort(rows[own].T[::-1])]
    return ordered[np.linspace(0, len(own) - 1, most).round().astype(np.int64)]


def _span(members: Float64) -> tuple[Float32, Float64]:
    """Return axes [d, m] of a class, and the share of each member in the span of the others."""
    kernel = members @ members.T
    factor = cholesky(kernel + _RIDGE * np.eye(len(kernel)), lower=True)
    axes = solve_triangular(factor, members, lower=True)
    inverse = solve_triangular(factor, np.eye(len(kernel)), lower=True)
    without = np.diag(kernel) + _RIDGE - 1 / np.square(inverse).sum(axis=0)
    return axes.T.astype(np.float32), without
