"""A linear probe that starts from the texts and is held near those that deserve it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator

from handful.core import Array, Float64, Int
from handful.embeddings import unit
from handful.heads.logits import exact_softmax, one_hot
from handful.heads.text_prior import TextPriorMixin

_RATE, _MOMENTUM, _WARM_UP = 0.1, 0.9, 1e-5


class CLAP(TextPriorMixin, BaseEstimator):
    """Cross-entropy on ``s·cos(f, w_k)`` from ``w = t``, with a penalty for leaving the text.

    ``CE + (1/K) Σ_k λ_k ‖w_k - t_k‖²``, where ``λ_k`` is the mean probability that the texts give
    class k on its own labels [1]_. Stochastic gradient descent with momentum 0.9, rate 0.1 falling
    as a cosine, the last step is kept: nothing is tuned.

    Parameters
    ----------
    text : ndarray of shape (n_classes, n_features)
    class_names : sequence of length n_classes
    logit_scale : float, default=100.0
    constrained : bool, default=True
        False drops the penalty: the paper's ZS-LP.
    n_steps : int, default=300
        All labels at once in each.

    References
    ----------
    .. [1] Silva-Rodríguez et al., "A Closer Look at the Few-Shot Adaptation of Large
       Vision-Language Models", CVPR 2024, equations 4 to 9, https://arxiv.org/abs/2312.12730.
       Deviations: no augmented views; unit texts, on which the penalty's weight depends.
    """

    def __init__(
        self,
        text: Array,
        class_names: Sequence[object],
        *,
        logit_scale: float = 100.0,
        constrained: bool = True,
        n_steps: int = 300,
    ) -> None:
        self.text = text
        self.class_names = class_names
        self.logit_scale = logit_scale
        self.constrained = constrained
        self.n_steps = n_steps

    def fit(self, X: Array, y: Array) -> Self:
        """Descend from the texts."""
        F, codes, T = self._checked(X, y)
        penalty = self._penalty(F, codes, T) if self.constrained else np.zeros(len(T))
        weight, velocity = T.copy(), np.zeros_like(T)
        targets = one_hot(codes, len(T))
        for step in range(self.n_steps):
            rate = _RATE * (1 + np.cos(np.pi * step / self.n_steps)) / 2 if step else _WARM_UP
            gradient = self._gradient(F, targets, weight)
            gradient += (2 / len(T)) * penalty[:, None] * (weight - T)
            velocity = _MOMENTUM * velocity + gradient
            weight = weight - rate * velocity
        self._keep(self.logit_scale * unit(weight.astype(np.float32)).astype(np.float64))
        return self

    def _penalty(self, F: Float64, codes: Int, T: Float64) -> Float64:
        own = exact_softmax(self.logit_scale * F @ T.T)[np.arange(len(F)), codes]
        counts = np.bincount(codes, minlength=len(T))
        return np.bincount(codes, own, minlength=len(T)) / np.maximum(counts, 1)

    def _gradient(self, F: Float64, targets: Array, weight: Float64) -> Float64:
        """Return the gradient of the mean cross-entropy of scaled cosines."""
        length = np.linalg.norm(weight, axis=1, keepdims=True)
        direction = weight / length
        error = exact_softmax(self.logit_scale * F @ direction.T) - targets
        towards = self.logit_scale * error.T @ F / len(F)
        return (towards - (towards * direction).sum(axis=1, keepdims=True) * direction) / length
