"""Randomness is an argument: independent, named streams from one seed."""

from __future__ import annotations

import zlib

import numpy as np


def stream(random_state: int, name: str) -> np.random.Generator:
    """Return the generator of one named use of a seed.

    Two names give independent streams, so that adding a use does not change
    the numbers of another.

    Parameters
    ----------
    random_state : int
        The seed, at least 0.
    name : str
        What the numbers are for, such as ``"folds"``.

    Examples
    --------
    >>> bool(stream(0, "folds").random() == stream(0, "folds").random())
    True
    >>> bool(stream(0, "folds").random() == stream(0, "draws").random())
    False
    """
    return np.random.default_rng([random_state, zlib.crc32(name.encode())])
