"""Multinomial logistic regression on the principal axes, with leave-one-out logits.

On the axes the Hessian is nearly diagonal, so that scaling them makes L-BFGS
converge in a few dozen steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.linalg.lapack import dtrtri
from scipy.optimize import minimize

from handful.core import Float32, Float64
from handful.heads.logits import softmax
from handful.heads.span import Span

_SETTLED = 1e-3  # a logit whose gradient is below this does not move when its row is left out
_BIAS_VARIANCE = 100.0  # of the bias in the leave-one-out formula, where it can't be free


@dataclass(frozen=True)
class Logistic:
    """A fitted logistic regression.

    Parameters
    ----------
    weight : ndarray of shape (r, n_classes)
        On the axes of the span.
    bias : ndarray of shape (n_classes,)
    loo_logits : ndarray of shape (n_samples, n_classes), float32
        Logits of every row by the regression without it, approximately.
    """

    weight: Float64
    bias: Float64
    loo_logits: Float32


def fitted_logistic(span: Span, penalty: float, start: Float64, *, tolerance: float) -> Logistic:
    """Minimise the summed log loss plus ``penalty / 2`` times the squared weights.

    Parameters
    ----------
    span : Span
    penalty : float
        Above 0; the bias is free.
    start : ndarray of shape (r + 1, n_classes)
        Weights and bias to begin with.
    tolerance : float
        Largest entry of the gradient on the scaled axes at which to stop.
    """
    share = softmax(span.rows @ start[:-1].astype(np.float32) + start[-1])
    curvature = max(float((share * (1 - share)).mean()), 1e-4)
    energy = np.append(span.energy, len(share))
    scale = 1 / np.sqrt(curvature * energy + np.append(np.full(len(energy) - 1, penalty), 0))
    objective = _Objective(span, scale, penalty)
    result = minimize(
        objective,
        (start / scale[:, None]).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 500, "gtol": tolerance, "ftol": 1e-10},
    )
    found = result.x.reshape(start.shape) * scale[:, None]
    weight, bias = found[:-1], found[-1] - found[-1].mean()
    return Logistic(weight, bias, _leave_one_out(span, weight, bias, penalty).astype(np.float32))


class _Objective:
    """Loss and gradient on scaled axes; products in float32, sums in float64."""

    def __init__(self, span: Span, scale: Float64, penalty: float) -> None:
        self.rows = span.rows * scale[:-1].astype(np.float32)
        self.indicator = span.indicator
        self.ridge = np.append(penalty * np.square(scale[:-1]), 0.0)[:, None]
        self.bias_scale = scale[-1]

    def __call__(self, flat: Float64) -> tuple[float, Float64]:
        point = flat.reshape(self.rows.shape[1] + 1, -1)
        logits = self.rows @ point[:-1].astype(np.float32)
        logits += (point[-1] * self.bias_scale).astype(np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        share = np.exp(logits)
        total = share.sum(axis=1, keepdims=True)
        loss = np.log(total).sum(dtype=np.float64)
        loss -= np.einsum("ij,ij->i", logits, self.indicator).sum(dtype=np.float64)
        share /= total
        share -= self.indicator
        slope = self.bias_scale * share.sum(axis=0, dtype=np.float64)
        gradient = np.vstack([self.rows.T @ share, slope]) + self.ridge * point
        return float(loss + (self.ridge * np.square(point)).sum() / 2), gradient.ravel()


def _leave_one_out(span: Span, weight: Float64, bias: Float64, penalty: float) -> Float64:
    """Return every row's logits from a fit without it, by one Newton step.

    The approximation of [1]_, class by class: the Hessian between classes is left
    out, and rows that are sure of a class are left out of its Hessian.

    References
    ----------
    .. [1] Rad and Maleki, "A scalable estimate of the out-of-sample prediction
       error via approximate leave-one-out cross-validation", JRSS B 82(4), 2020,
       section 2, https://arxiv.org/abs/1801.10243.
    """
    logits = (span.rows @ weight.astype(np.float32)).astype(np.float64) + bias
    share = softmax(logits).astype(np.float64)
    gradient = share - span.indicator
    rows = np.column_stack([span.rows, np.full(len(logits), np.sqrt(penalty * _BIAS_VARIANCE))])
    for k, slope in enumerate(gradient.T):
        open_ = np.flatnonzero(np.abs(slope) > _SETTLED)
        if not len(open_):
            continue
        curvature = np.maximum(share[open_, k] * (1 - share[open_, k]), 1e-6)
        logits[open_, k] += _response(rows[open_], curvature, penalty) * slope[open_]
    return logits


def _response(rows: Float32, curvature: Float64, penalty: float) -> Float64:
    """Return ``x' H^-1 x`` of every row for the Hessian of the others."""
    weighted = (rows * np.sqrt(curvature / penalty)[:, None]).astype(np.float32)
    n, r = rows.shape
    if n <= r:
        kernel = (weighted @ weighted.T).astype(np.float64) + np.eye(n)
        inverse, _ = dtrtri(cholesky(kernel, lower=True), lower=1)
        slack = np.square(inverse).sum(axis=0)
    else:
        hessian = (weighted.T @ weighted).astype(np.float64) + np.eye(r)
        factor = cholesky(hessian, lower=True).astype(np.float32)
        solved = solve_triangular(factor, weighted.T, lower=True)
        slack = 1 - np.square(solved).sum(axis=0, dtype=np.float64)
    return (1 / np.maximum(slack, 1e-6) - 1) / curvature
