"""Images on which likely models disagree, looked at one by one: BALD and EPIG."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Float64
from handful.select.picks import Picks, lowest, opened
from handful.select.scores import entropies, information

_NUMBERS_AT_ONCE = 4_000_000
_TINY = np.float32(1e-30)


def bald(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
) -> Picks:
    """Pick the images whose labels tell most about which member of a committee is right.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes), or None
        Probabilities by members of an ensemble or draws from a posterior. None,
        while there is no model: the picks are random.
    X, labelled, n, random_state
        As for `margin`.

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
    .. [1] Houlsby, Huszár, Ghahramani and Lengyel, "Bayesian Active Learning for
       Classification and Preference Learning", 2011, equation 2,
       https://arxiv.org/abs/1112.5745.

    Examples
    --------
    >>> agree, differ = [[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]
    >>> bald(proba=np.stack([agree, differ], axis=1), n=1).indices
    array([1])
    """
    pool = opened(
        "bald", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state, of_members=True
    )
    if pool.proba is None:
        return Picks.certain(pool.random.choice(pool.free, pool.n, replace=False))
    return Picks.certain(lowest(-information(pool.proba), pool))


def epig(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    targets: Array | None = None,
    n: int,
    random_state: int = 0,
    n_targets: int = 50,
) -> Picks:
    """Pick the images whose labels tell most about the labels of other images.

    `bald` also wants to know what matters to no image of interest, such as
    outliers; here information counts only where it changes predictions.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes), or None
        As for `bald`; the members must be the same for all images.
    X, labelled, n, random_state
        As for `margin`.
    targets : ndarray of shape (n_members, n_targets, n_classes), default=None
        The members' probabilities on the images of interest. None: so many images of the
        pool, drawn at random.
    n_targets : int, default=50

    Returns
    -------
    Picks
        ``q`` is NaN.

    References
    ----------
    .. [1] Bickford Smith, Kirsch, Farquhar, Gal, Foster and Rainforth,
       "Prediction-Oriented Bayesian Active Learning", AISTATS 2023, equation 9,
       https://arxiv.org/abs/2304.08151.

    Examples
    --------
    >>> proba = np.array([[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.1, 0.9]]])
    >>> epig(proba=proba, targets=proba[:, 1:], n=1).indices
    array([1])
    """
    pool = opened(
        "epig", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state, of_members=True
    )
    if pool.proba is None:
        return Picks.certain(pool.random.choice(pool.free, pool.n, replace=False))
    if targets is None:
        rows = pool.random.permutation(pool.proba.shape[1])[:n_targets]
        targets = pool.proba[:, rows]
    scores = np.full(pool.proba.shape[1], -np.inf)
    scores[pool.free] = shared_information(
        pool.proba[:, pool.free], np.asarray(targets, np.float32)
    )
    return Picks.certain(lowest(-scores, pool))


def shared_information(members: Float32, targets: Float32) -> Float64:
    """Return the mean mutual information between each row's label and those of the targets.

    Parameters
    ----------
    members : ndarray of shape (n_members, n_samples, n_classes), float32
    targets : ndarray of shape (n_members, n_targets, n_classes), float32

    Returns
    -------
    ndarray of shape (n_samples,), float64
        In nats, at least 0.
    """
    n_members, n_samples, n_classes = members.shape
    flat = targets.reshape(n_members, -1) / np.float32(n_members)
    of_targets = float(entropies(targets.mean(axis=0)).mean())
    out = np.empty(n_samples)
    step = max(1, _NUMBERS_AT_ONCE // (n_classes * flat.shape[1]))
    for start in range(0, n_samples, step):
        block = members[:, start : start + step]
        joint = np.maximum(block.reshape(n_members, -1).T @ flat, _TINY)
        plain = np.einsum("ij,ij->i", joint, np.log(joint)).reshape(-1, n_classes).sum(axis=1)
        of_joint = -plain / targets.shape[1]
        out[start : start + step] = entropies(block.mean(axis=0)) + of_targets - of_joint
    return np.maximum(out, 0)
