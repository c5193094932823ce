"""The proof that a bundle's graph answers as the Python objects it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np

from handful.backbones import OnnxBackbone
from handful.core import BundleError, Float32, UInt8

TOLERANCE = 1e-3


def verify(
    outputs: tuple[Float32, Float32, Float32],
    backbone: OnnxBackbone,
    head: Any,
    known: Any,
    images: UInt8,
) -> float:
    """Compare the graph's outputs on real images with Python's.

    Parameters
    ----------
    outputs : tuple of ndarray
        Probabilities, known scores and vectors that the graph gave.
    backbone, head, known
        The objects the graph was made from.
    images : ndarray of shape (n, side, side, 3), uint8
        What the graph was given.

    Returns
    -------
    float
        The largest difference of a probability.

    Raises
    ------
    BundleError
        If a probability differs by more than 1e-3, a vector by more than 1e-3
        of its largest value, or a known score by more than a step.
    """
    X = np.concatenate([backbone.embed(image[None]) for image in images])
    probabilities, scores, vectors = outputs
    worst = float(np.abs(probabilities - head.predict_proba(X)).max())
    vector_error = float(np.abs(vectors - X).max() / max(np.abs(X).max(), 1e-12))
    step = float(np.abs(scores - known.score(X)).max())
    if not (worst <= TOLERANCE and vector_error <= TOLERANCE and step <= 0.05):
        raise BundleError(
            f"The exported graph differs from Python: probabilities by {worst:.1e}, vectors by {vector_error:.1e}, "
            f"known scores by {step:.1e}. Nothing was written; please report this with the method and the backbone."
        )
    return worst
