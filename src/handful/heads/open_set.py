"""Is this image like the labelled ones at all? A leave-one-out p-value."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from handful.core import Array, Bool, Float32, Float64
from handful.heads.logits import BLOCK
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed

_STEP = 1e-6  # scores nearer than this are one step of the p-value


class KnownScorer(BaseEstimator):
    """Score in ``[0, 1]`` how well a vector fits the labelled ones.

    The raw score is the mean cosine to the nearest labelled vectors. It is
    compared with the raw scores of the labelled vectors themselves, each without
    itself: the result is the p-value of "this image is like the labelled ones".

    Parameters
    ----------
    max_unknown : float, default=0.05
        Share of images like the labelled ones that may be called unknown, in
        ``[0, 1)``.
    n_neighbors : int, default=1
        Labelled vectors in the mean, at least 1.
    power : float, default=0.5
        Vectors first become ``sign(x)·|x|**power``, above 0.

    Attributes
    ----------
    threshold_ : float
        A score below it means unknown.
    loo_scores_ : ndarray of shape (n_steps,), float64
        Raw scores of the labelled vectors, ascending, repetitions merged.
    n_features_in_ : int

    Notes
    -----
    With ``n`` labelled vectors the p-value within their range is a multiple of
    ``1 / (n + 1)``, joined by straight lines.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scorer = KnownScorer().fit(rng.normal([9, 0, 0], 1, (50, 3)))
    >>> known = scorer.score([[9.0, 0.3, 0.1], [0.0, 9.0, 0.0]])
    >>> (known >= scorer.threshold_).tolist()
    [True, False]
    """

    def __init__(
        self, max_unknown: float = 0.05, *, n_neighbors: int = 1, power: float = 0.5
    ) -> None:
        self.max_unknown = max_unknown
        self.n_neighbors = n_neighbors
        self.power = power

    def fit(self, X: Array, y: Array | None = None) -> Self:
        """Learn what labelled vectors look like.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), optional
            Not used; one class or many are the same to the score.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        self._check()
        X = validate_data(self, X, dtype=np.float32)
        self._rows = transformed(X, power=self.power)
        scores = np.sort(self._raw(self._rows, leave_out_self=True))
        self._steps(scores)
        self.threshold_ = float(self.max_unknown)
        return self

    def score(self, X: Array, y: None = None) -> Float32:
        """Return the p-value of every vector, float32 of shape (n_samples,)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._p_values(self._raw(transformed(X, power=self.power)))

    def is_known(self, X: Array) -> Bool:
        """Return whether each vector's score reaches the threshold."""
        return self.score(X) >= np.float32(self.threshold_)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``known`` [n]."""
        check_is_fitted(self)
        form = OnnxForm("known")
        x = add_transform(form, INPUT, power=self.power, unit_norm=True)
        similarity = form.node("MatMul", x, form.constant(self._rows.T))
        n_nearest = form.constant(np.array([self._n_nearest(len(self._rows))]), np.int64)
        top, _ = form.nodes("TopK", similarity, n_nearest, n_outputs=2, axis=1)
        raw = form.node("ReduceMean", top, axes=[1], keepdims=1)
        above = form.node("Sub", raw, form.constant(self._low))
        share = form.node("Div", above, form.constant(self._gap))
        share = form.node("Clip", share, form.constant(0.0), form.constant(1.0))
        total = form.node("MatMul", share, form.constant(self._mass[:, None]))
        known = form.node("Add", total, form.constant(self._floor))
        axes = form.constant(np.array([1]), np.int64)
        return form.model(form.node("Squeeze", known, axes), "known", self.n_features_in_, None)

    def _check(self) -> None:
        if not isinstance(self.max_unknown, Real) or not 0 <= self.max_unknown < 1:
            raise ValueError(
                "The 'max_unknown' parameter of KnownScorer must be in [0, 1). "
                f"Got {self.max_unknown!r} instead."
            )
        if not isinstance(self.n_neighbors, Integral) or self.n_neighbors < 1:
            raise ValueError(
                "The 'n_neighbors' parameter of KnownScorer must be an int of at least 1. "
                f"Got {self.n_neighbors!r} instead."
            )
        if not isinstance(self.power, Real) or not self.power > 0:
            raise ValueError(
                f"The 'power' parameter of KnownScorer must be above 0. Got {self.power!r} instead."
            )

    def _n_nearest(self, n_candidates: int) -> int:
        return min(int(self.n_neighbors), n_candidates)

    def _raw(self, rows: Float32, *, leave_out_self: bool = False) -> Float64:
        out = np.zeros(len(rows))
        n_nearest = self._n_nearest(len(self._rows) - leave_out_self)
        for start in range(0, len(rows) if n_nearest else 0, BLOCK):
            similarity = rows[start : start + BLOCK] @ self._rows.T
            if leave_out_self:
                own = np.arange(len(similarity))
                similarity[own, start + own] = -np.inf
            top = np.partition(similarity, -n_nearest, axis=1)[:, -n_nearest:]
            out[start : start + BLOCK] = top.mean(axis=1)
        return out

    def _steps(self, scores: Float64) -> None:
        """Store the p-value as a sum of ramps, one a step between neighbouring scores."""
        steps, counts = _merged(scores)
        self.loo_scores_ = steps
        low = np.append(steps[0] - max(_STEP, float(np.std(scores))), steps[:-1])
        self._low = low.astype(np.float32)
        self._gap = (steps - low).astype(np.float32)
        self._mass = (counts / (len(scores) + 1)).astype(np.float32)
        self._floor = np.float32(0.0)
        self._mass[0] += np.float32(1 / (len(scores) + 1))

    def _p_values(self, raw: Float64) -> Float32:
        out = np.empty(len(raw), np.float32)
        for start in range(0, len(raw), BLOCK):
            part = raw[start : start + BLOCK, None].astype(np.float32)
            share = np.clip((part - self._low) / self._gap, 0, 1)
            out[start : start + BLOCK] = share @ self._mass + self._floor
        return out


def _merged(scores: Float64) -> tuple[Float64, Float64]:
    """Return ascending scores at least `_STEP` apart and how many each stands for."""
    number = np.floor((scores - scores[0]) / _STEP)
    _, first, counts = np.unique(number, return_index=True, return_counts=True)
    return scores[first], counts.astype(np.float64)
