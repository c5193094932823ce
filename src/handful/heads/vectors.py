"""What happens to a vector before a head sees it: signed power, then unit length.

A power of one half tames the few large channels of pooled activations, as in
Perronnin et al., "Improving the Fisher Kernel for Large-Scale Image
Classification", ECCV 2010, section 3.2.
"""

from __future__ import annotations

import numpy as np

from handful.core import Array, Float32
from handful.heads.onnx_form import OnnxForm

_TINY = np.float32(1e-30)


def transformed(X: Array, *, power: float = 1.0, unit_norm: bool = True) -> Float32:
    """Return ``sign(x)·|x|**power`` of every number, rows scaled to unit length.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite vectors.
    power : float, default=1.0
        Exponent, above 0.
    unit_norm : bool, default=True
        Scale every row to length 1; a row of zeros stays as it is.

    Returns
    -------
    ndarray of shape (n_samples, n_features), float32

    Examples
    --------
    >>> transformed(np.array([[9.0, -16.0], [0.0, 0.0]]), power=0.5).tolist()
    [[0.6000000238418579, -0.800000011920929], [0.0, 0.0]]
    """
    X = np.asarray(X, np.float32)
    if unit_norm:
        X = X / np.maximum(np.abs(X).max(axis=1, keepdims=True), _TINY)
    if power != 1.0:
        X = np.sign(X) * np.abs(X) ** np.float32(power)
    if unit_norm:
        X = X / np.maximum(np.sqrt(np.square(X).sum(axis=1, keepdims=True)), _TINY)
    return X


def add_transform(form: OnnxForm, x: str, *, power: float, unit_norm: bool) -> str:
    """Add the nodes of `transformed` to a graph; return the name of the result."""
    if unit_norm:
        largest = form.node("ReduceMax", form.node("Abs", x), axes=[1], keepdims=1)
        x = form.node("Div", x, form.node("Max", largest, form.constant(_TINY)))
    if power != 1.0:
        magnitude = form.node("Pow", form.node("Abs", x), form.constant(power))
        x = form.node("Mul", form.node("Sign", x), magnitude)
    if unit_norm:
        length = form.node("ReduceL2", x, axes=[1], keepdims=1)
        x = form.node("Div", x, form.node("Max", length, form.constant(_TINY)))
    return x
