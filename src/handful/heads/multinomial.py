"""Multinomial logistic regression in the span of the data, with leave-one-out logits.

With ``n`` rows of length ``d`` the solution lies in a space of at most
``min(n, d)`` dimensions. In the axes of the singular value decomposition the
Hessian is nearly diagonal, so that scaling the axes makes L-BFGS converge in a
few dozen steps, whatever the regularisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, eigh
from scipy.optimize import minimize

from handful.core import Float32, Float64, Int
from handful.heads.logits import one_hot, softmax

_RELATIVE_RANK = 1e-7  # squared singular values below this times the largest are rounding
_LEADING = 256  # axes whose curvature is exact in the leave-one-out formula


@dataclass(frozen=True)
class Solution:
    """Coefficients ``weight`` [r, k] on the axes and ``bias`` [k], float64."""

    weight: Float64
    bias: Float64


class Span:
    """Training rows, centred, on their principal axes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), float32
    codes : ndarray of shape (n_samples,)
        Class numbers from 0.
    n_classes : int
    """

    def __init__(self, X: Float32, codes: Int, n_classes: int) -> None:
        self.mean = X.mean(axis=0, dtype=np.float64)
        centred = X.astype(np.float64) - self.mean
        self.energy, self.axes, rows = _principal_axes(centred)
        self.rows = rows.astype(np.float32)
        self.codes = codes
        self.indicator = one_hot(codes, n_classes)

    def solve(self, penalty: float, start: Solution | None, *, tolerance: float) -> Solution:
        """Minimise the summed log loss plus ``penalty / 2`` times the squared weights.

        Parameters
        ----------
        penalty : float
            Above 0; ``1 / C`` of scikit-learn. The bias is free.
        start : Solution or None
            Where to begin, such as the solution for a near penalty.
        tolerance : float
            Largest entry of the gradient on the scaled axes.
        """
        start = start or self._prior()
        share = softmax(self.logits(start))
        curvature = max(float((share * (1 - share)).mean()), 1e-6)
        scale = np.append(
            1 / np.sqrt(curvature * self.energy + penalty),
            1 / np.sqrt(curvature * len(self.rows)),
        )
        objective = _Objective(self, scale, penalty)
        result = minimize(
            objective,
            np.vstack([start.weight, start.bias]).ravel() / np.repeat(scale, len(start.bias)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "gtol": tolerance, "ftol": 1e-10},
        )
        found = result.x.reshape(len(scale), -1) * scale[:, None]
        return Solution(found[:-1], found[-1] - found[-1].mean())

    def logits(self, solution: Solution) -> Float64:
        """Return the logits of the training rows, of shape (n_samples, n_classes)."""
        return self.rows @ solution.weight.astype(np.float32) + solution.bias

    def leave_one_out(self, solution: Solution, penalty: float) -> Float64:
        """Return every training row's logits from a fit without it, approximately.

        One Newton step from the full solution, as in [1]_, with the response of
        each logit to its own gradient alone. The curvature is exact on the
        leading axes and averaged over the rows on the rest.

        References
        ----------
        .. [1] Rad and Maleki, "A scalable estimate of the out-of-sample prediction
           error via approximate leave-one-out cross-validation", JRSS B 82(4), 2020,
           equation 10, https://arxiv.org/abs/1801.10243. Deviation: class by class.
        """
        logits = self.logits(solution)
        share = softmax(logits).astype(np.float64)
        weights = np.maximum(share * (1 - share), 1e-12)
        leverage = np.column_stack([self._leverage(w, penalty) for w in weights.T])
        slack = np.maximum(1 - leverage * weights, 1e-6)
        return logits + leverage / slack * (share - self.indicator)

    def _leverage(self, weights: Float64, penalty: float) -> Float64:
        """Return ``x' H^-1 x`` of every row for the Hessian of one class."""
        lead, rest = self.rows[:, :_LEADING], self.rows[:, _LEADING:]
        lead = np.column_stack([lead, np.ones(len(lead), np.float32)])
        hessian = ((lead * weights[:, None].astype(np.float32)).T @ lead).astype(np.float64)
        ridge = np.full(len(hessian), penalty)
        ridge[-1] = 1e-9 * weights.sum()
        factor = cholesky(hessian + np.diag(ridge), lower=True)
        solved = cho_solve((factor, True), lead.T.astype(np.float64))
        total = np.einsum("ij,ji->i", lead, solved)
        if rest.shape[1]:
            curvature = weights.mean() * self.energy[_LEADING:] + penalty
            total += np.square(rest) @ (1 / curvature).astype(np.float32)
        return total

    def _prior(self) -> Solution:
        bias = np.log(self.indicator.mean(axis=0, dtype=np.float64))
        return Solution(np.zeros((len(self.energy), len(bias))), bias - bias.mean())


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
        gradient = np.vstack([self.rows.T @ share, slope])
        loss += (self.ridge * np.square(point)).sum() / 2
        return float(loss), (gradient + self.ridge * point).ravel()


def _principal_axes(centred: Float64) -> tuple[Float64, Float64, Float64]:
    """Return squared singular values [r], axes [d, r] and coordinates [n, r]."""
    wide = centred.shape[0] <= centred.shape[1]
    gram = centred @ centred.T if wide else centred.T @ centred
    energy, vectors = eigh(gram, driver="evd")
    keep = np.flatnonzero(energy > max(energy[-1], 1e-30) * _RELATIVE_RANK)[::-1]
    energy, vectors = energy[keep], vectors[:, keep]
    if not wide:
        return energy, vectors, centred @ vectors
    root = np.sqrt(energy)
    return energy, (centred.T @ vectors) / root, vectors * root
