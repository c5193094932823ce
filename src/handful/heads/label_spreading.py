"""Label spreading: labels run along the graph of similar images, then one linear rule learns them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64, Int
from handful.heads.graph import N_AXES, mutual_graph, spread
from handful.heads.logits import one_hot
from handful.heads.pool import PENALTY, Pool, cross_fitted, scale_of
from handful.heads.unlabelled import Prior, RuleMixin, check_numbers, checked_pool, checked_prior

_N_STEPS = 50
_PRIOR_STEPS = 10
_TINY = 1e-12


class LabelSpreading(RuleMixin, BaseEstimator):
    """Spread labels along the mutual nearest-neighbour graph of all vectors.

    Every labelled image passes its class on to its neighbours, these to theirs [1]_.
    The mass of a class is then scaled to its share of the images [2]_, so that a class
    whose labels happen to lie centrally does not take over. New vectors are
    classified by the ridge regression on the labels that every image of the pool
    got: one linear rule, which is more accurate than the graph itself and needs no
    image of the pool.

    Parameters
    ----------
    n_neighbors : int, default=15
        Two vectors are joined when each is among so many nearest of the other, at
        least 1. Cosine, on the first 128 principal axes of all vectors.
    alpha : float, default=0.97
        Share that a vector takes from its neighbours in every step, in ``(0, 1)``;
        labelled ones too.
    temperature : float, default=0.1
        Divides cosines, above 0; the weight of an edge is ``exp((cosine - 1) / temperature)``.
    class_prior : mapping of class to share, or array-like of shape (n_classes,), default=None
        Share of every class among all images, above 0, summing to 1. None: estimated
        from the spread labels themselves.
    max_unlabelled : int, default=50000
        Of more unlabelled vectors, so many are drawn at random.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    class_prior_ : ndarray of shape (n_classes,)
        The given or estimated share of every class.
    label_distributions_ : ndarray of shape (n_labelled + n_unlabelled, n_classes), float32
        Of every vector on the graph, the labelled ones first. A vector that no label
        reaches, such as an isolated one, has the class prior.
    pseudo_proba_ : ndarray of shape (n_unlabelled, n_classes), float32
        Of the unlabelled ones.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every labelled vector from the linear rule learned without its label,
        spreading included; of more than ten labels, from ten such fits, each
        without a tenth of the labels. The vector itself stays on the graph, but its
        own spread label does not count.
    n_features_in_ : int

    References
    ----------
    .. [1] Zhou, Bousquet, Lal, Weston and Schölkopf, "Learning with Local and Global
       Consistency", NIPS 2003, section 2. Deviations: the graph of mutual neighbours
       in place of a full kernel; 50 steps in place of the limit; the linear rule.
    .. [2] Zhu, Ghahramani and Lafferty, "Semi-Supervised Learning Using Gaussian
       Fields and Harmonic Functions", ICML 2003, section 5, class mass
       normalisation. Deviation: the prior is estimated by expectation maximisation
       instead of taken from the labels, which are rarely a random sample.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat([[9.0, 1.0, 1.0], [1.0, 9.0, 1.0]], 20, axis=0) + rng.random((40, 3))
    >>> head = LabelSpreading().fit(X[[0, 20]], ["cat", "dog"], X[1:])
    >>> head.predict([[0.5, 3.0, 0.5]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        n_neighbors: int = 15,
        *,
        alpha: float = 0.97,
        temperature: float = 0.1,
        class_prior: Prior | None = None,
        max_unlabelled: int = 50_000,
        random_state: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.temperature = temperature
        self.class_prior = class_prior
        self.max_unlabelled = max_unlabelled
        self.random_state = random_state

    def fit(self, X: Array, y: Array, X_unlabelled: Array | None = None) -> Self:
        """Spread the labels, then learn the linear rule.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Of at least 2 classes.
        X_unlabelled : array-like of shape (n_unlabelled, n_features), default=None
            None: the graph has the labelled vectors alone.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        check_numbers(
            self,
            n_neighbors=(0, 10_000),
            alpha=(0.0, 1.0),
            temperature=(0.0, np.inf),
            max_unlabelled=(0, 10**9),
        )
        X, codes, unlabelled = checked_pool(self, X, y, X_unlabelled)
        prior = checked_prior("LabelSpreading", self.class_prior, self.classes_)
        pool = Pool(X, unlabelled)
        graph = mutual_graph(pool.on_axes(N_AXES), self.n_neighbors, temperature=self.temperature)

        def scores(kept: Int, left_out: Int) -> Float64:
            targets, _ = self._spread(graph, codes, kept, prior)
            return pool.held_out(targets, PENALTY, left_out)

        held_out = cross_fitted(codes, len(self.classes_), scores)
        scale = scale_of(held_out, codes)
        self.loo_logits_ = (scale * held_out).astype(np.float32)
        self.label_distributions_, self.class_prior_ = self._spread(
            graph, codes, np.arange(len(codes)), prior
        )
        self.pseudo_proba_ = self.label_distributions_[len(codes) :]
        self.rule_ = pool.rule(self.label_distributions_, PENALTY, scale)
        return self

    def _spread(
        self, graph: Any, codes: Int, kept: Int, prior: Float64 | None
    ) -> tuple[Float32, Float64]:
        """Return the distribution of every row, from the labels ``kept``, and the prior."""
        labels = np.zeros((graph.shape[0], len(self.classes_)), np.float32)
        labels[kept] = one_hot(codes[kept], labels.shape[1])
        mass = spread(graph, labels, alpha=self.alpha, n_steps=_N_STEPS)
        return with_class_masses(mass, prior)


def with_class_masses(mass: Float32, prior: Float64 | None) -> tuple[Float32, Float64]:
    """Return row distributions from the mass of every class, scaled to the prior; and the prior.

    Parameters
    ----------
    mass : ndarray of shape (n_samples, n_classes)
        Not negative; a row of zeros was not reached.
    prior : ndarray of shape (n_classes,) or None
        None: expectation maximisation from equal shares.
    """
    density = mass / np.maximum(mass.sum(axis=0, dtype=np.float64), _TINY)
    reached = density.sum(axis=1) > _TINY
    shares = np.full(mass.shape[1], 1 / mass.shape[1]) if prior is None else prior
    for _ in range(_PRIOR_STEPS if prior is None and reached.any() else 0):
        shares = _rows_to_one(density[reached] * shares).mean(axis=0)
    out = np.tile(shares, (len(mass), 1))
    out[reached] = _rows_to_one(density[reached] * shares)
    return out.astype(np.float32), shares


def _rows_to_one(values: Float64) -> Float64:
    return values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300)
