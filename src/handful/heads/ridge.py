"""Ridge regression on class indicators, with exact leave-one-out scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.core import Float32, Float64
from handful.heads.scale import fitted_scale, informed
from handful.heads.span import Span

ALPHAS = tuple(10.0 ** (exponent / 2) for exponent in range(-5, 4))
USUAL_ALPHA, _USUAL_SCALE = 0.1, 12.0  # medians over data sets; they decide without evidence


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression whose scores, near 0 and 1, are scaled to logits.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, in units of the mean squared length of a row.
    scale : float
        Multiplies the scores.
    weight : ndarray of shape (r, n_classes)
        On the axes of the span, scaled.
    bias : ndarray of shape (n_classes,)
        Scaled.
    loo_logits : ndarray of shape (n_samples, n_classes), float32
        Scaled scores of every row by the regression without it, exact but for
        the centre, the scale and the class weights, which saw it.
    """

    alpha: float
    scale: float
    weight: Float64
    bias: Float64
    loo_logits: Float32


def fitted_ridge(span: Span, alpha: float | None = None) -> Ridge:
    """Return the ridge regression; ``alpha`` minimises the leave-one-out log loss if not given."""
    path, rows = _Path(span), informed(span.codes)
    fits = []
    for candidate in _candidates(alpha, anything_known=bool(rows.any())):
        scores = path.leave_one_out(candidate)
        scale, loss = fitted_scale(scores[rows], span.codes[rows], centre=_USUAL_SCALE)
        fits.append((loss + np.log10(candidate / USUAL_ALPHA) ** 2, candidate, scale, scores))
    _, chosen, scale, scores = min(fits, key=lambda fit: fit[0])
    weight, bias = path.solution(chosen)
    return Ridge(chosen, scale, scale * weight, scale * bias, (scale * scores).astype(np.float32))


def _candidates(alpha: float | None, *, anything_known: bool) -> tuple[float, ...]:
    if alpha is not None:
        return (float(alpha),)
    return ALPHAS if anything_known else (USUAL_ALPHA,)


class _Path:
    """Ridge regressions of one span for any penalty, from one decomposition."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.mean: Float64 = np.average(
            span.indicator.astype(np.float64), axis=0, weights=span.weights
        )
        self.root = np.sqrt(span.weights).astype(np.float32)[:, None]
        deviation = span.indicator - self.mean.astype(np.float32)
        self.projected = span.left.T @ (self.root * deviation)
        self.squared = np.square(span.left)

    def solution(self, alpha: float) -> tuple[Float64, Float64]:
        """Return the weight [r, k] on the axes and the bias [k]."""
        energy = self.span.energy.astype(np.float64)[:, None]
        return np.sqrt(energy) / (energy + alpha) * self.projected.astype(np.float64), self.mean

    def leave_one_out(self, alpha: float) -> Float64:
        """Return every row's scores by the regression without it, ``y - (y - f) / (1 - h)``."""
        span = self.span
        kept = span.energy / (span.energy + np.float32(alpha))
        fitted = self.mean + span.left @ (kept[:, None] * self.projected) / self.root
        leverage = self.squared @ kept + span.weights / len(span.weights)
        slack = np.maximum(1 - leverage, 1e-6)[:, None]
        return span.indicator - (span.indicator - fitted) / slack
