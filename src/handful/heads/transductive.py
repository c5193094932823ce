"""What the transductive heads share: a pool that is warned of when its classes are unbalanced."""

from __future__ import annotations

import warnings

import numpy as np

from handful.core import Array, Float64, listed

_TIMES = 3.0  # from so many times as much on, the classes of a pool are unbalanced


class UnbalancedPoolWarning(UserWarning):
    """The classes of an unlabelled pool seem to be of very different size."""


def warn_if_unbalanced(name: str, shares: Float64, classes: Array, n_pool: int) -> None:
    """Warn when the estimated shares of a pool's classes differ three times or more.

    Shares of few images differ by chance: two standard deviations are taken off first.

    Parameters
    ----------
    name : str
        Of the head.
    shares : ndarray of shape (n_classes,)
        Mean of the probabilities over the pool.
    classes : ndarray of shape (n_classes,)
    n_pool : int
        Images of the pool.
    """
    if n_pool == 0 or len(shares) < 2:
        return
    chance = 2 * np.sqrt(shares * (1 - shares) / n_pool)
    most, least = (shares - chance).max(), max(float((shares + chance).min()), 1e-9)
    if most < _TIMES * least:
        return
    rare = classes[np.argsort(shares)].tolist()
    warnings.warn(
        f"{name}: the classes of the unlabelled pool seem unbalanced: {100 * shares.max():.0f} % of it are like "
        f"{rare[-1]!r}, {100 * shares.min():.0f} % like {rare[0]!r}. Transductive rules were made for "
        "pools with equally many images of each class; elsewhere they can lose accuracy. Compare with the same rule "
        f"without the pool, or give a balanced one. Rarest first: {listed(map(repr, rare))}.",
        UnbalancedPoolWarning,
        stacklevel=3,
    )
