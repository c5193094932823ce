"""Prototypes that move towards the unlabelled images of their class: soft k-means, transductive."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64
from handful.heads.logits import BLOCK, one_hot, softmax
from handful.heads.prototypes import PrototypeClassifier
from handful.heads.transductive import warn_if_unbalanced
from handful.heads.unlabelled import RuleMixin, check_numbers, checked_pool
from handful.heads.vectors import transformed


class SoftKMeansPrototypes(RuleMixin, BaseEstimator):
    """Refine prototypes by the unlabelled pool that is to be classified: a transductive rule.

    Each image of the pool counts in each prototype by its probability of that class, for a few
    rounds [1]_. The result is again one prototype a class, so that new images are classified one
    by one: the pool is a matter of `fit` alone. A pool that holds other classes, or classes of
    very different size, moves prototypes away; of the latter `fit` warns.

    Parameters
    ----------
    n_steps : int, default=5
        Rounds, above 0.
    logit_scale : float, default=20.0
        Multiplies cosines, above 0.
    max_unlabelled : int, default=50000
        Of more unlabelled vectors, so many are drawn at random.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    prototypes_ : ndarray of shape (n_classes, n_features), float32
    class_shares_ : ndarray of shape (n_classes,)
        Mean probability of each class over the pool; equal without a pool.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every labelled vector from the last round without it. What the pool learned from it in
        earlier rounds stays.
    n_features_in_ : int

    References
    ----------
    .. [1] Ren et al., "Meta-Learning for Semi-Supervised Few-Shot Classification", ICLR 2018,
       section 3.1.1, https://arxiv.org/abs/1803.00676. Deviations: cosines; several rounds.

    Examples
    --------
    >>> pool = [[0.9, 0.4], [0.4, 0.9], [1.0, 0.5]]
    >>> head = SoftKMeansPrototypes().fit([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"], pool)
    >>> head.predict([[0.2, 3.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        n_steps: int = 5,
        *,
        logit_scale: float = 20.0,
        max_unlabelled: int = 50_000,
        random_state: int = 0,
    ) -> None:
        self.n_steps = n_steps
        self.logit_scale = logit_scale
        self.max_unlabelled = max_unlabelled
        self.random_state = random_state

    def fit(self, X: Array, y: Array, X_unlabelled: Array | None = None) -> Self:
        """Compute the prototypes and refine them.

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
            self, n_steps=(0, 10_000), logit_scale=(0.0, np.inf), max_unlabelled=(0, 10**9)
        )
        X, codes, unlabelled = checked_pool(self, X, y, X_unlabelled)
        rows, pool = transformed(X).astype(np.float64), transformed(unlabelled)
        indicator = one_hot(codes, len(self.classes_)).astype(np.float64)
        sums, counts = indicator.T @ rows, indicator.sum(axis=0)
        pulled, mass = np.zeros_like(sums), np.zeros_like(counts)
        for _ in range(self.n_steps if len(pool) else 0):
            pulled, mass = self._pulled(pool, (sums + pulled) / (counts + mass)[:, None])
        self.prototypes_ = ((sums + pulled) / (counts + mass)[:, None]).astype(np.float32)
        k = len(counts)
        self.class_shares_ = mass / mass.sum() if len(pool) else np.full(k, 1 / k)
        self.rule_ = PrototypeClassifier.from_prototypes(
            self.prototypes_, range(k), logit_scale=self.logit_scale
        )
        self.loo_logits_ = self._held_out(rows, indicator, sums + pulled, counts + mass)
        warn_if_unbalanced("SoftKMeansPrototypes", self.class_shares_, self.classes_, len(pool))
        return self

    def _pulled(self, pool: Float32, prototypes: Float64) -> tuple[Float64, Float64]:
        """Return the sum of the pool's vectors by probability of each class, and that of the probabilities."""
        unit = transformed(prototypes)
        sums, mass = np.zeros(prototypes.shape), np.zeros(len(prototypes))
        for start in range(0, len(pool), BLOCK):
            block = pool[start : start + BLOCK]
            share = softmax(np.float32(self.logit_scale) * (block @ unit.T)).astype(np.float64)
            sums += share.T @ block
            mass += share.sum(axis=0)
        return sums, mass

    def _held_out(self, rows: Float64, own: Float64, sums: Float64, counts: Float64) -> Float32:
        """Return logits from prototypes without the row; a class with nothing left is nowhere."""
        means = sums / counts[:, None]
        dots, squares = rows @ means.T, np.square(means).sum(axis=1)
        code = own.argmax(axis=1)
        here = np.arange(len(rows)), code
        left = (counts[code] - 1)[:, None]
        without = np.where(left > 1e-9, (sums[code] - rows) / np.maximum(left, 1e-9), 0.0)
        dots[here] = np.einsum("nd,nd->n", rows, without)
        lengths = np.tile(np.sqrt(squares), (len(rows), 1))
        lengths[here] = np.linalg.norm(without, axis=1)
        return (self.logit_scale * dots / np.maximum(lengths, 1e-15)).astype(np.float32)
