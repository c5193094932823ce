"""Rules on vectors for thousands of tasks at once: the heads of this room, written on inner products.

Every rule turns `Products` into logits of shape (t, n_query, n_way). What each does is said at
the head of the same name; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handful.core import Array, Float32, Float64
from handful.heads.pool import USUAL_SCALE
from handful.heads.products import Products
from handful.heads.ridge import USUAL_ALPHA
from handful.heads.shrinkage_lda import LDA_SCALE

COSINE_SCALE = 20.0
_TINY = 1e-30
_NOWHERE = -np.inf


@dataclass(frozen=True)
class Rule:
    """A decision rule for many tasks.

    Parameters
    ----------
    name : str
    logits : callable
        Products to logits of shape (t, n_query, n_way); minus infinity for a class that the
        task does not have. It keeps nothing: two calls are independent.
    power : float, default=1.0
        Vectors first become ``sign(x)·|x|**power``.
    unit_norm : bool, default=True
        Then rows are scaled to length 1.
    transductive : bool, default=False
        Whether the answer to one query image depends on the others.
    """

    name: str
    logits: Callable[[Products], Float32]
    power: float = 1.0
    unit_norm: bool = True
    transductive: bool = False


def prototypes(p: Products) -> Float32:
    """Return 20 times the cosine to the class means (`PrototypeClassifier`)."""
    lengths = np.sqrt(np.maximum(p.mean_squares(), _TINY))
    return _of_classes(p, COSINE_SCALE * p.to_means(p.cross) / lengths[:, None, :])


def squared_distances(p: Products) -> Float32:
    """Return minus the squared distances to the class means, as in the paper of prototypical networks.

    References
    ----------
    .. [1] Snell, Swersky and Zemel, NeurIPS 2017, equation 2, https://arxiv.org/abs/1703.05175.
    """
    distances = p.squares[:, :, None] - 2 * p.to_means(p.cross) + p.mean_squares()[:, None, :]
    return _of_classes(p, -distances)


def nearest_cosine(p: Products) -> Float32:
    """Return 20 times the largest cosine to a support image of each class."""
    return COSINE_SCALE * _largest(p, p.cross)


def nearest_euclidean(p: Products) -> Float32:
    """Return minus the smallest squared distance to a support image of each class."""
    return _largest(p, 2 * p.cross - p.support_squares()[:, None, :]) - p.squares[:, :, None]


def simple_shot(p: Products) -> Float32:
    """Return `prototypes` by squared distance after centring and scaling to unit length (`SimpleShot`)."""
    return np.float32(COSINE_SCALE / 2) * squared_distances(p.centred().normalised())


def matching(p: Products, *, temperature: float = 0.07) -> Float32:
    """Return the logarithm of each class's attention (`MatchingClassifier`)."""
    scores = np.where(_flat(p), p.cross / np.float32(temperature), _NOWHERE)
    top = scores.max(axis=2, keepdims=True)
    t, w, k = p.given.shape
    votes = np.exp(scores - top).reshape(t, -1, w, k).sum(axis=3)
    return _of_classes(p, np.log(np.maximum(votes, _TINY)) + top)


def shrinkage_lda(p: Products, *, shrinkage: float = 0.8) -> Float32:
    """Return scores of a linear discriminant with a shrunk covariance (`ShrinkageLDA`)."""
    spread, within = _deviations(p)
    total = np.maximum(np.trace(_double_centred(p), axis1=1, axis2=2), _TINY)
    trace = np.trace(within, axis1=1, axis2=2)
    alike = trace <= 1e-6 * total  # one label a class
    within = np.where(alike[:, None, None], 0.0, within)
    spread = np.where(alike[:, None, None], 0.0, spread)
    level = np.where(alike, total, trace) / p.dim
    share = ((1 - shrinkage) / (shrinkage * level))[:, None, None]
    means = p.means.astype(np.float64).transpose(0, 2, 1)
    seen = spread @ (p.support @ means)  # products of deviations and class means
    solved = share * np.linalg.solve(np.eye(within.shape[1]) + share * within, seen)
    linear = p.cross.astype(np.float64) @ (means - spread.transpose(0, 2, 1) @ solved)
    quadratic = p.mean_squares() - np.einsum("tsw,tsw->tw", seen, solved)
    n = p.given.sum(axis=(1, 2))[:, None, None]
    scores = (linear - quadratic[:, None, :] / 2) * (n / total[:, None, None])
    return _of_classes(p, LDA_SCALE * scores)


def ridge(p: Products, *, alpha: float = USUAL_ALPHA) -> Float32:
    """Return 12 times the scores of a ridge regression on class indicators (`RidgeProbe`)."""
    kernel, cross, root, targets, mean = _weighted(p)
    solved = np.linalg.solve(kernel + alpha * np.eye(kernel.shape[1]), root * (targets - mean))
    return _of_classes(p, USUAL_SCALE * ((cross * root.transpose(0, 2, 1)) @ solved + mean))


def logistic(p: Products, *, C: float = 30.0, n_steps: int = 100) -> Float32:
    """Return the logits of a multinomial logistic regression (`LogisticProbe`).

    Accelerated gradient descent on the principal axes of each task's support, ``n_steps`` steps.
    """
    kernel, cross, _, targets, _ = _weighted(p)
    energy, axes = np.linalg.eigh(kernel)
    energy = np.maximum(energy, 0)
    root = np.sqrt(energy)[:, None, :]
    rows = axes * root * _flat(p).transpose(0, 2, 1)
    weight, bias = _descended(rows, targets, p, 1 / C, n_steps)
    unfolded = axes @ (weight / np.maximum(root, 1e-6).transpose(0, 2, 1))
    return _of_classes(p, cross @ unfolded + bias)


def _descended(
    rows: Float64, targets: Float64, p: Products, penalty: float, n_steps: int
) -> tuple[Float64, Float64]:
    """Minimise log loss plus ``penalty / 2`` times squared weights (Nesterov, with a free bias)."""
    given = _flat(p).transpose(0, 2, 1)
    absent = np.where(p.classes, 0.0, _NOWHERE)[:, None, :]
    rows = np.concatenate([rows, given.astype(np.float64)], axis=2)
    decay = np.append(np.full(rows.shape[2] - 1, penalty), 1e-6)[None, :, None]
    steep = np.linalg.norm(rows.transpose(0, 2, 1) @ rows, 2, axis=(1, 2)) / 2 + penalty
    step = (1 / steep)[:, None, None]
    held = (np.sqrt(steep) - np.sqrt(penalty)) / (np.sqrt(steep) + np.sqrt(penalty))
    point = ahead = np.zeros((len(rows), rows.shape[2], targets.shape[2]))
    for _ in range(n_steps):
        share = _softmax(rows @ ahead + absent)
        slope = rows.transpose(0, 2, 1) @ ((share - targets) * given) + decay * ahead
        moved = ahead - step * slope
        ahead = moved + held[:, None, None] * (moved - point)
        point = moved
    return point[:, :-1], point[:, -1:]


def _weighted(p: Products) -> tuple[Float64, Float64, Float64, Float64, Float64]:
    """Return what the regressions need, as `handful.heads.span.Span` weighs and scales it.

    Kernel of the weighted rows [t, s, s], products of the query with the rows [t, q, s], roots of
    the weights [t, s, 1], indicators [t, s, w] and their weighted mean [t, 1, w].
    """
    t, w, k = p.given.shape
    flat = p.given.reshape(t, -1)
    counts = np.maximum(p.given.sum(axis=2, keepdims=True), 1)
    weights = (p.given * counts**-0.5).reshape(t, -1)
    weights = weights * (flat.sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True))
    targets = np.repeat(np.eye(w), k, axis=0)[None] * flat[:, :, None]
    shares = weights / weights.sum(axis=1, keepdims=True)
    inside, across = _centred_by(p, shares)
    root = np.sqrt(weights)[:, :, None]
    kernel = inside * root * root.transpose(0, 2, 1)
    length = np.trace(kernel, axis1=1, axis2=2) / flat.sum(axis=1)
    length = np.where(length > _TINY, length, 1.0)[:, None, None]
    across = across * _flat(p)
    return kernel / length, across / length, root, targets, shares[:, None, :] @ targets


def _centred_by(p: Products, shares: Float64) -> tuple[Float64, Float64]:
    """Return products [t, s, s] and [t, q, s] after the weighted mean of the rows is taken away."""
    support, cross = p.support.astype(np.float64), p.cross.astype(np.float64)
    own, asked = support @ shares[:, :, None], cross @ shares[:, :, None]
    level = shares[:, None, :] @ own
    return (
        support - own - own.transpose(0, 2, 1) + level,
        cross - asked - own.transpose(0, 2, 1) + level,
    )


def _double_centred(p: Products) -> Float64:
    """Return the products [t, s, s] of the rows less their mean."""
    flat = p.given.reshape(len(p.given), -1)
    inside, _ = _centred_by(p, flat / flat.sum(axis=1, keepdims=True))
    return inside * flat[:, :, None] * flat[:, None, :]


def _deviations(p: Products) -> tuple[Float64, Float64]:
    """Return the matrix that takes class means from rows [t, s, s], and the products of the results."""
    t, w, k = p.given.shape
    owner = np.repeat(np.arange(w), k)
    spread = np.eye(w * k) - p.means[:, owner].astype(np.float64)
    spread *= p.given.reshape(t, -1, 1)
    return spread, spread @ p.support @ spread.transpose(0, 2, 1)


def _largest(p: Products, scores: Float32) -> Float32:
    t, w, k = p.given.shape
    if not p.given.all():
        scores = np.where(_flat(p), scores, _NOWHERE)
    return scores if k == 1 else scores.reshape(t, -1, w, k).max(axis=3)


def _flat(p: Products) -> Array:
    return p.given.reshape(len(p.given), 1, -1)


def _of_classes(p: Products, logits: Array) -> Float32:
    """Return float32 logits, minus infinity for classes that a task lacks."""
    if p.classes.all():
        return logits.astype(np.float32, copy=False)
    return np.where(p.classes[:, None, :], logits, _NOWHERE).astype(np.float32)


def _softmax(logits: Float64) -> Float64:
    share = np.exp(logits - logits.max(axis=2, keepdims=True))
    return share / share.sum(axis=2, keepdims=True)


def soft_kmeans(p: Products, *, n_steps: int = 5) -> Float32:
    """Return `prototypes` after rounds of soft assignment of the query (`SoftKMeansPrototypes`)."""
    joint, in_pool = _joint(p)
    t, w, k = p.given.shape
    own = np.zeros((t, joint.shape[1], w))
    own[:, : w * k] = (p.given[:, :, :, None] * np.eye(w)[:, None, :]).reshape(t, -1, w)
    weights = own
    for step in range(n_steps + 1):
        shares = weights / np.maximum(weights.sum(axis=1, keepdims=True), _TINY)
        dots = joint @ shares
        lengths = np.sqrt(np.maximum(np.einsum("tnw,tnw->tw", shares, dots), _TINY))
        logits = COSINE_SCALE * dots[:, w * k :] / lengths[:, None, :]
        logits = np.where(p.classes[:, None, :], logits, _NOWHERE)
        if step < n_steps:
            weights = own.copy()
            weights[:, w * k :] = _softmax(logits) * in_pool[:, :, None]
    return logits.astype(np.float32)


def laplacian(
    p: Products, *, strength: float = 1.0, n_neighbors: int = 3, n_steps: int = 20
) -> Float32:
    """Return `prototypes` with the probabilities of the nearest query images (`LaplacianPrototypes`)."""
    pool, in_pool = _pool_of(p)
    unary = prototypes(p).astype(np.float64)
    near = np.where(in_pool[:, None, :], pool, -2.0)
    own = np.arange(near.shape[1])
    near[:, own, own] = -2.0
    at = near.shape[1] - min(n_neighbors, near.shape[1])
    least = np.partition(near, at, axis=2)[:, :, at, None]
    graph = ((near >= least - 1e-6) & (near > -1.5)).astype(np.float64)
    logits = unary
    for _ in range(n_steps + 1):
        logits = unary + strength * (graph @ _softmax(logits))
    return _of_classes(p, logits)


def _joint(p: Products) -> tuple[Float64, Array]:
    """Return the products among support and query images together, and which query places are filled."""
    pool, in_pool = _pool_of(p)
    top = np.concatenate([p.support, p.cross.transpose(0, 2, 1)], axis=2)
    bottom = np.concatenate([p.cross, pool], axis=2)
    return np.concatenate([top, bottom], axis=1).astype(np.float64), in_pool


def _pool_of(p: Products) -> tuple[Float32, Array]:
    if p.pool is None or p.in_pool is None:
        raise ValueError(
            "A transductive rule needs the products among the query images. "
            "Make them with Products.of(…, with_pool=True)."
        )
    return p.pool, p.in_pool


RULES = (
    Rule("nearest_cosine", nearest_cosine),
    Rule("nearest_euclidean", nearest_euclidean),
    Rule("prototypes", prototypes),
    Rule("simple_shot", simple_shot),
    Rule("matching", matching),
    Rule("shrinkage_lda", shrinkage_lda, power=0.5),
    Rule("ridge", ridge, power=0.5),
    Rule("logistic", logistic, power=0.5),
    Rule("soft_kmeans", soft_kmeans, transductive=True),
    Rule("laplacian", laplacian, transductive=True),
)
"""Every rule with its usual settings."""
