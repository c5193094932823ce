"""The images that one model is least sure of."""

from __future__ import annotations

from collections.abc import Callable

from handful.core import Array, Float32
from handful.select.picks import Picks, lowest, opened
from handful.select.scores import entropies, margins


def margin(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the images whose two most probable classes are closest.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes), or None
        Probabilities of all images of the pool. None, while there is no model:
        every image is as uncertain as any other, and the picks are random.
    X : ndarray of shape (n_samples, n_features), default=None
        Only its length is used, where there are no probabilities.
    labelled : array of int, or mask of shape (n_samples,), default=None
        Rows that have a label.
    n : int
        Images wanted; clipped to those without a label.
    random_state : int, default=0
        Seed; it decides among equals.

    Returns
    -------
    Picks
        ``q`` is NaN.

    Raises
    ------
    ValueError
        If the arrays do not fit.

    References
    ----------
    .. [1] Scheffer, Decomain and Wrobel, "Active Hidden Markov Models for
       Information Extraction", IDA 2001, section 3.2.

    Examples
    --------
    >>> proba = [[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]
    >>> margin(proba=proba, labelled=[2], n=1).indices
    array([1])
    """
    return _picked("margin", margins, proba, X, labelled, n, random_state)


def entropy(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the images of the highest predictive entropy; parameters as for `margin`.

    With many classes it prefers images on which many unlikely classes share a
    rest of probability, and loses to `margin` [1]_.

    References
    ----------
    .. [1] Settles, "Active Learning Literature Survey", 2009, section 3.1.

    Examples
    --------
    >>> entropy(proba=[[0.4, 0.4, 0.2], [0.5, 0.5, 0.0]], n=1).indices
    array([0])
    """
    return _picked("entropy", lambda p: -entropies(p), proba, X, labelled, n, random_state)


def least_confidence(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the images whose most probable class is least probable; parameters as for `margin`.

    References
    ----------
    .. [1] Lewis and Gale, "A Sequential Algorithm for Training Text Classifiers",
       SIGIR 1994, https://arxiv.org/abs/cmp-lg/9407020.

    Examples
    --------
    >>> least_confidence(proba=[[0.7, 0.3], [0.6, 0.4]], n=1).indices
    array([1])
    """
    rule = "least_confidence"
    return _picked(rule, lambda p: p.max(axis=1), proba, X, labelled, n, random_state)


def _picked(
    rule: str,
    score: Callable[[Float32], Float32],
    proba: Array | None,
    X: Array | None,
    labelled: Array | None,
    n: int,
    random_state: int,
) -> Picks:
    pool = opened(rule, X=X, proba=proba, labelled=labelled, n=n, random_state=random_state)
    if pool.proba is None:
        return Picks.certain(pool.random.choice(pool.free, pool.n, replace=False))
    return Picks.certain(lowest(score(pool.proba), pool))
