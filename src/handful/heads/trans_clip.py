"""Transduction: unlabelled images refine what the texts of the classes say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array

from handful.core import Array, Float32, Float64, Int, stream
from handful.embeddings import nearest, unit
from handful.heads.logits import softmax
from handful.heads.pool import PENALTY, USUAL_SCALE, LinearRule, Pool
from handful.heads.unlabelled import RuleMixin
from handful.heads.vectors import transformed

_N_STEPS, _N_INNER = 10, 5
_LIKELIHOOD = np.float32(1 / 50)  # weights of the mixture and of the neighbours against the text
_NEIGHBOURS = np.float32(1 / 6)
_N_CONFIDENT = 8  # images of each class that the first prototype is made of
_LEAST = np.float32(1e-12)
_BLOCK = 65_536  # rows handled at once
LEAST_POOL = 8  # images a class, below which there is nothing to refine by


@dataclass(frozen=True)
class Transduction:
    """What the objective settles on.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), float32
        Rows sum to 1.
    prototypes : ndarray of shape (n_classes, n_features), float32
        Of unit length.
    variance : ndarray of shape (n_features,), float32
        Of the vectors about their prototypes, shared by the classes.
    """

    proba: Float32
    prototypes: Float32
    variance: Float32


def transduce(
    X: Float32, logits: Float32, neighbours: tuple[Int, Float32], *, text_weight: float = 1.0
) -> Transduction:
    """Return the assignment of images to classes that texts, clusters and neighbours agree on.

    The objective of TransCLIP [1]_: a Gaussian mixture with one diagonal covariance, a graph that
    draws neighbours to the same answer, and a divergence that holds every image near what the
    texts say. Block-wise steps settle it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
        Unit vectors. Read a block of rows at a time: it may be memory-mapped.
    logits : ndarray of shape (n_samples, n_classes), float32
        What the texts say.
    neighbours : tuple of ndarray of shape (n_samples, k)
        The nearest rows of each row, itself left out, and their cosines; negative ones count as 0.
    text_weight : float, default=1.0
        Exponent of the texts' probabilities.

    Returns
    -------
    Transduction

    Notes
    -----
    Memory beside ``X`` is three arrays of ``n_samples × n_classes`` float32 and the graph; time
    is ``O(n_samples · n_classes · (n_features + k))``. ``benchmarks/transduction_speed.py``
    measures both.

    References
    ----------
    .. [1] Zanella, Gérin and Ben Ayed, "Boosting Vision-Language Models with Transduction",
       NeurIPS 2024, https://arxiv.org/abs/2406.01837, written from its equations. Deviations: a
       graph of the nearest neighbours instead of all products; the number of steps is fixed.

    Examples
    --------
    >>> X = np.array([[1, 0], [0.99, 0.14], [0, 1], [0.14, 0.99]], np.float32)
    >>> logits = np.array([[2, 0], [-0.1, 0], [0, 2], [0, 0]], np.float32)
    >>> graph = np.array([[1], [0], [3], [2]]), np.full((4, 1), 0.99, np.float32)
    >>> transduce(X, logits, graph).proba.argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    graph = _graph(*neighbours)
    proba = softmax(logits)
    prototypes = _first_prototypes(X, proba)
    prior = np.float32(text_weight) * np.log(proba + _LEAST)
    variance = np.full(X.shape[1], 1 / X.shape[1], np.float32)
    square = _mean_square(X)
    fixed = np.empty_like(prior)
    for _ in range(_N_STEPS):
        for rows in _blocks(len(X)):
            fixed[rows] = prior[rows] + _LIKELIHOOD * _log_density(X[rows], prototypes, variance)
        for _ in range(_N_INNER):
            proba = _assigned(fixed, graph, proba)
        prototypes, variance = _moments(X, proba, square)
    return Transduction(proba, prototypes, variance)


def _graph(indices: Int, similarity: Float32) -> csr_array:
    """Return the symmetric graph; neighbours of each other count twice, as in the objective."""
    n, k = indices.shape
    start = np.arange(0, n * k + 1, k)
    weight = np.maximum(similarity.ravel(), 0) * _NEIGHBOURS
    one_way = csr_array(
        (weight.astype(np.float32), indices.ravel().astype(np.int32), start), (n, n)
    )
    return csr_array(one_way + one_way.T)


def _first_prototypes(X: Float32, proba: Float32) -> Float32:
    """Return the mean of the images that the texts are surest of, weighted by their certainty."""
    n = min(_N_CONFIDENT, len(X))
    sums = np.empty((proba.shape[1], X.shape[1]), np.float64)
    for column, certainty in enumerate(proba.T):
        rows = np.argpartition(-certainty, n - 1)[:n]
        sums[column] = certainty[rows].astype(np.float64) @ X[rows]
    return unit(sums.astype(np.float32))


def _log_density(X: Float32, prototypes: Float32, variance: Float32) -> Float32:
    """Return the log density of each class, up to what is the same for all classes of a row."""
    scaled = prototypes / variance
    return X @ scaled.T - np.float32(0.5) * (scaled * prototypes).sum(axis=1)


def _assigned(fixed: Float32, graph: csr_array, proba: Float32) -> Float32:
    out = np.empty_like(proba)
    for rows in _blocks(len(proba)):
        out[rows] = softmax(fixed[rows] + graph[rows] @ proba)
    return out


def _moments(X: Float32, proba: Float32, square: Float64) -> tuple[Float32, Float32]:
    """Return prototypes and the shared variance of an assignment."""
    sums = np.zeros((proba.shape[1], X.shape[1]), np.float64)
    weight = np.zeros(proba.shape[1], np.float64)
    for rows in _blocks(len(X)):
        sums += proba[rows].T @ X[rows]
        weight += proba[rows].sum(axis=0)
    prototypes = unit(sums.astype(np.float32)).astype(np.float64)
    spread = square + (weight @ np.square(prototypes) - 2 * (sums * prototypes).sum(axis=0)) / len(
        X
    )
    return prototypes.astype(np.float32), np.maximum(spread, 1e-9).astype(np.float32)


def _mean_square(X: Float32) -> Float64:
    total = np.zeros(X.shape[1], np.float64)
    for rows in _blocks(len(X)):
        total += np.square(X[rows]).sum(axis=0)
    return total / len(X)


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


class TransductiveClassifier(RuleMixin, BaseEstimator):
    """Refine a text classifier on an unlabelled pool, and learn one linear rule from the result.

    The rule needs neither the pool nor the texts to classify new images.

    Parameters
    ----------
    head : classifier
        Fitted on texts, such as `ZeroShotClassifier`.
    n_neighbors : int, default=3
        Of each image in the graph, at least 1.
    max_unlabelled : int, default=10000
        Of more images so many are drawn at random.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    rule_ : LinearRule
    pseudo_proba_ : ndarray of shape (n_pool, n_classes), float32
        The refined soft labels of the pool.
    n_features_in_ : int
    """

    def __init__(
        self,
        head: Any,
        *,
        n_neighbors: int = 3,
        max_unlabelled: int = 10_000,
        random_state: int = 0,
    ) -> None:
        self.head = head
        self.n_neighbors = n_neighbors
        self.max_unlabelled = max_unlabelled
        self.random_state = random_state

    def fit(self, X: Array, y: Any = None) -> Self:
        """Refine the head's answers on the pool.

        Parameters
        ----------
        X : array-like of shape (n_pool, n_features)
        y : None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are fewer than 8 images a class, on average.
        """
        X = check_array(X, dtype=np.float32)
        self.classes_, self.n_features_in_ = self.head.classes_, self.head.n_features_in_
        least = LEAST_POOL * len(self.classes_)
        if len(X) < least:
            raise ValueError(
                f"TransductiveClassifier needs a pool of at least {least} images, {LEAST_POOL} a class. "
                f"Got {len(X)}. Use the classifier on texts as it is."
            )
        if len(X) > self.max_unlabelled:
            X = X[self._drawn(len(X))]
        rows = transformed(X, power=0.5)
        indices, cosines = _others(rows, self.n_neighbors)
        found = transduce(rows, self.head.predict_logits(X), (indices, cosines))
        self.pseudo_proba_ = found.proba
        self.rule_: LinearRule = Pool(X[:0], X).rule(found.proba, PENALTY, USUAL_SCALE)
        return self

    def _drawn(self, n: int) -> Int:
        draw = stream(self.random_state, "pool").choice(n, self.max_unlabelled, replace=False)
        return np.sort(draw)


def _others(rows: Float32, n_neighbors: int) -> tuple[Int, Float32]:
    """Return the nearest rows of each row that are not the row itself."""
    indices, cosines = nearest(rows, rows, n_neighbors + 1)
    own = indices == np.arange(len(rows))[:, None]
    own[~own.any(axis=1), -1] = True  # a row with many copies: drop the least alike
    shape = len(rows), -1
    return indices[~own].reshape(shape), cosines[~own].reshape(shape)
