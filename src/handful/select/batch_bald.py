"""A batch that is informative as a whole, in memory that does not grow with the pool."""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32, Float64, Int
from handful.select.picks import Picks, Pool, lowest, opened
from handful.select.scores import entropies, information

_CANDIDATES = 64  # rows that are looked at together
_KNOWN = 1e-4  # nats below which the labels of a batch say all that the members can


def batch_bald(
    *,
    proba: Array | None,
    X: Array | None = None,
    labelled: Array | None = None,
    n: int,
    random_state: int = 0,
    n_outcomes: int = 500,
) -> Picks:
    """Pick, one by one, the image that tells most about the members beside the picks so far.

    `bald` picks copies of one informative image; here an image counts only for
    what the others of the batch do not tell.

    Parameters
    ----------
    proba : ndarray of shape (n_members, n_samples, n_classes), or None
        As for `bald`; the members must be the same for all images.
    X, labelled, n, random_state
        As for `margin`.
    n_outcomes : int, default=500
        Joint labels of the batch that are kept: all while there are no more, then
        so many drawn at random.

    Returns
    -------
    Picks
        ``q`` is NaN. A committee of ``m`` holds at most ``log(m)`` nats: once the batch
        tells all, the rest follows by `bald`.

    Notes
    -----
    What an image adds only falls while the batch grows, so its last value is a
    bound from above, and few images are looked at again for every pick.

    References
    ----------
    .. [1] Kirsch, van Amersfoort and Gal, "BatchBALD: Efficient and Diverse Batch
       Acquisition for Deep Bayesian Active Learning", NeurIPS 2019, algorithm 1,
       https://arxiv.org/abs/1906.08158. Deviation: lazy evaluation.

    Examples
    --------
    >>> one, other = [[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0], [0.9, 0.1]]
    >>> batch_bald(proba=[one, other], n=1).indices[0] in (0, 1)
    True
    """
    pool = opened(
        "batch_bald", X=X, proba=proba, labelled=labelled, n=n, random_state=random_state,
        of_members=True,
    )  # fmt: skip
    if pool.proba is None or pool.n == 0:
        return Picks.certain(pool.random.choice(pool.free, pool.n, replace=False))
    bounds = information(pool.proba)
    batch, chosen = _Batch(pool.proba, n_outcomes, pool.random), np.empty(0, np.int64)
    left = np.full(len(bounds), -np.inf)
    left[pool.free] = bounds[pool.free]
    for _ in range(pool.n):
        row = _best(batch, left)
        if left[row] < _KNOWN:
            break
        chosen, left[row] = np.append(chosen, row), -np.inf
        batch.add(row)
    rest = np.setdiff1d(pool.free, chosen)
    remaining = Pool(None, None, pool.labelled, rest, pool.n - len(chosen), pool.random)
    return Picks.certain(np.concatenate([chosen, lowest(-bounds, remaining)]))


def _best(batch: _Batch, left: Float64) -> int:
    """Return the row that adds most, lowering the bounds of the rows that are looked at."""
    order = np.argsort(-left, kind="stable")
    order = order[: np.isfinite(left).sum()]
    best, most = int(order[0]), -1.0
    for start in range(0, len(order), _CANDIDATES):
        rows = order[start : start + _CANDIDATES]
        if left[rows[0]] <= most:
            break
        left[rows] = np.minimum(left[rows], batch.gains(rows))
        top = int(rows[left[rows].argmax()])
        if left[top] > most:
            best, most = top, float(left[top])
    return best


class _Batch:
    """The joint labels of the picks so far: how probable, and by which member."""

    def __init__(self, proba: Float32, n_outcomes: int, random: np.random.Generator) -> None:
        self.proba, self.n_outcomes, self.random = proba, n_outcomes, random
        self.own = entropies(proba).mean(axis=0)
        self.joint = np.ones((1, len(proba)))  # probability of an outcome by each member

    def gains(self, rows: Int) -> Float64:
        """Return what each row adds: its entropy given the batch, less that given the member."""
        share = self.joint.mean(axis=1)
        member = (self.joint / np.maximum(self.joint.sum(axis=1, keepdims=True), 1e-300)).astype(
            np.float32
        )
        flat = self.proba[:, rows].reshape(len(self.proba), -1)
        predicted = (member @ flat).reshape(len(member), len(rows), -1)
        return np.asarray(share @ entropies(predicted) - self.own[rows], np.float64)

    def add(self, row: int) -> None:
        """Extend every outcome by the labels of a row; keep as many as are allowed."""
        joint = (self.joint[:, None, :] * self.proba[:, row].T).reshape(-1, len(self.proba))
        share = joint.mean(axis=1)
        joint, share = joint[share > 0], share[share > 0]
        if len(joint) > self.n_outcomes:
            rows = self.random.choice(len(joint), self.n_outcomes, p=share / share.sum())
            joint = joint[rows] / (share[rows, None] * self.n_outcomes)
        self.joint = joint / joint.mean(axis=1).sum()
