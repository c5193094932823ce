"""Prototypes smoothed along the graph of the unlabelled images: Laplacian-regularised, transductive."""

from __future__ import annotations

from typing import Self

import numpy as np
import onnx
from onnx import TensorProto
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.heads.logits import BLOCK, LogitsClassifierMixin, checked_query, linear, softmax
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.prototypes import PrototypeClassifier
from handful.heads.transductive import warn_if_unbalanced
from handful.heads.unlabelled import check_numbers, checked_pool
from handful.heads.vectors import add_transform, transformed

_TIE = np.float32(1e-6)


class LaplacianPrototypes(LogitsClassifierMixin, BaseEstimator):
    """Classify by prototypes, and by what the nearest unlabelled images are: a transductive rule.

    The logit of a class is ``logit_scale`` times the cosine to its prototype plus ``strength``
    times the probabilities of the nearest images of the pool, which are found in the same way,
    round after round [1]_. New images get one such step from the pool of `fit`, whose
    probabilities stay as they are. A pool with classes of very different size draws small
    classes into large ones; `fit` warns of it.

    Parameters
    ----------
    strength : float, default=1.0
        Of the sum of the neighbours' probabilities, above 0.
    n_neighbors : int, default=3
        Nearest images of the pool, above 0; images as near as the last of them count too.
    n_steps : int, default=20
        Rounds, above 0.
    logit_scale : float, default=20.0
        Multiplies cosines, above 0.
    max_unlabelled : int, default=5000
        Of more unlabelled vectors, so many are drawn at random: the model keeps them.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    pool_proba_ : ndarray of shape (n_pool, n_classes), float32
        Probabilities of the pool's images after the last round.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every labelled vector from prototypes without it; the pool's probabilities saw it.
    n_features_in_ : int

    References
    ----------
    .. [1] Ziko, Dolz, Granger and Ben Ayed, "Laplacian Regularized Few-Shot Learning", ICML 2020,
       equation 9, https://arxiv.org/abs/2006.15486. Deviations: cosines in place of squared
       distances of centred vectors; every image has ``n_neighbors`` weights of 1, not a symmetric graph; prototypes
       of the support alone; the step for new images.

    Examples
    --------
    >>> pool = [[0.9, 0.4], [0.4, 0.9], [1.0, 0.5]]
    >>> head = LaplacianPrototypes().fit([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"], pool)
    >>> head.predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        strength: float = 1.0,
        *,
        n_neighbors: int = 3,
        n_steps: int = 20,
        logit_scale: float = 20.0,
        max_unlabelled: int = 5_000,
        random_state: int = 0,
    ) -> None:
        self.strength = strength
        self.n_neighbors = n_neighbors
        self.n_steps = n_steps
        self.logit_scale = logit_scale
        self.max_unlabelled = max_unlabelled
        self.random_state = random_state

    def fit(self, X: Array, y: Array, X_unlabelled: Array | None = None) -> Self:
        """Compute the prototypes, then the probabilities of the pool.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Of at least 2 classes.
        X_unlabelled : array-like of shape (n_unlabelled, n_features), default=None
            None: plain prototypes.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.

        Warns
        -----
        UnbalancedPoolWarning
            If the classes of the pool seem to be of very different size.
        """
        check_numbers(
            self, strength=(0.0, np.inf), n_neighbors=(0, 10_000), n_steps=(0, 10_000),
            logit_scale=(0.0, np.inf), max_unlabelled=(0, 10**9),
        )  # fmt: skip
        X, codes, unlabelled = checked_pool(self, X, y, X_unlabelled)
        self._prototypes = PrototypeClassifier(logit_scale=self.logit_scale).fit(X, codes)
        self._pool = transformed(unlabelled)
        self.pool_proba_ = self._settled()
        self.loo_logits_ = self._prototypes.loo_logits_ + self._pull(transformed(X))
        shares = self.pool_proba_.mean(axis=0, dtype=np.float64) if len(self._pool) else np.ones(0)
        warn_if_unbalanced("LaplacianPrototypes", shares, self.classes_, len(self._pool))
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        return self._prototypes.predict_logits(X) + self._pull(transformed(X))

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        form = OnnxForm("laplacian")
        x = add_transform(form, INPUT, power=1.0, unit_norm=True)
        weight = self.logit_scale * self._prototypes.prototypes_.T
        logits = form.linear(x, weight, np.zeros(weight.shape[1]))
        if len(self._pool):
            similarity = form.node("MatMul", x, form.constant(self._pool.T))
            near = self._onnx_near(form, similarity)
            pull = form.node("MatMul", near, form.constant(self.strength * self.pool_proba_))
            logits = form.node("Add", logits, pull)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _onnx_near(self, form: OnnxForm, similarity: str) -> str:
        count = form.constant(np.array([min(self.n_neighbors, len(self._pool))]), np.int64)
        top, _ = form.nodes("TopK", similarity, count, n_outputs=2, axis=1)
        least = form.node("ReduceMin", top, axes=[1], keepdims=1)
        far = form.node("Less", similarity, form.node("Sub", least, form.constant(_TIE)))
        return form.node("Cast", form.node("Not", far), to=TensorProto.FLOAT)

    def _settled(self) -> Float32:
        """Return the probabilities of the pool after the last round."""
        if not len(self._pool):
            return np.zeros((0, len(self.classes_)), np.float32)
        unary = linear(self._pool, self.logit_scale * self._prototypes.prototypes_.T, np.zeros(1))
        graph = np.concatenate(
            [self._near(block, start) for start, block in _blocks(self._pool)], axis=0
        )
        proba = softmax(unary)
        for _ in range(self.n_steps):
            proba = softmax(unary + np.float32(self.strength) * (graph @ proba))
        return proba

    def _pull(self, rows: Float32) -> Float32:
        out = np.zeros((len(rows), len(self.classes_)), np.float32)
        for start, block in _blocks(rows) if len(self._pool) else ():
            out[start : start + len(block)] = self._near(block) @ self.pool_proba_
        return np.float32(self.strength) * out

    def _near(self, rows: Float32, own_from: int | None = None) -> Float32:
        """Return 1 where a pool image is among the nearest of a row, itself excepted."""
        similarity = rows @ self._pool.T
        if own_from is not None:
            own = np.arange(len(rows))
            similarity[own, own_from + own] = -2
        at = len(self._pool) - min(self.n_neighbors, len(self._pool))
        least = np.partition(similarity, at, axis=1)[:, at, None]
        return ((similarity >= least - _TIE) & (similarity > -1.5)).astype(np.float32)


def _blocks(rows: Float32) -> list[tuple[int, Float32]]:
    return [(start, rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)]
