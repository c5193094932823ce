"""Few labels on top of text vectors, in closed form and without a validation set.

Each takes the unit text vectors of all classes in ``__init__``; a class without a label keeps its
text. Vectors are scaled to unit length; ``logit_scale`` multiplies cosines (100 in CLIP).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32
from handful.embeddings import unit
from handful.heads.logits import checked_query, linear, one_hot
from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.text_prior import TextPriorMixin
from handful.heads.vectors import add_transform

_PENALTIES = tuple(10.0 ** (exponent / 2) for exponent in range(-4, 7))


class SSText(TextPriorMixin, BaseEstimator):
    """Move each text towards the sum of its class's vectors: support vectors and text.

    The minimiser of ``-(1/N) Σ s·f_i·w_y + ½ Σ_k λ_k ‖w_k - t_k‖²`` with ``λ_k = 1/n_k`` [1]_ is
    ``w_k = t_k + s·n_k/N · Σ f_i``; a logit is ``s·cos(f, w_k)``.

    Parameters
    ----------
    text : ndarray of shape (n_classes, n_features)
    class_names : sequence of length n_classes
    logit_scale : float, default=100.0
    most : float, default=None
        Largest share of the images' mean against the text, above 0: with few classes one image
        would drown its text otherwise. None: as in the paper, no limit.

    References
    ----------
    .. [1] "A Few-Shot Vision-Language baseline without validation", jusiro/SS-Text; written from
       its formula. Deviation: ``most``.

    Examples
    --------
    >>> head = SSText([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"]).fit([[0.9, 0.5]], ["cat"])
    >>> head.predict([[0.1, 1.0]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        text: Array,
        class_names: Sequence[object],
        *,
        logit_scale: float = 100.0,
        most: float | None = None,
    ) -> None:
        self.text = text
        self.class_names = class_names
        self.logit_scale = logit_scale
        self.most = most

    def fit(self, X: Array, y: Array) -> Self:
        """Move the texts."""
        F, codes, T = self._checked(X, y)
        sums = one_hot(codes, len(T)).T @ F
        counts = np.bincount(codes, minlength=len(T))[:, None]
        step = self.logit_scale * counts / len(F)
        if self.most is not None:
            step = np.minimum(step, self.most / np.maximum(counts, 1))
        self._keep(self.logit_scale * unit((T + step * sums).astype(np.float32)).astype(np.float64))
        return self


class TextRidge(TextPriorMixin, BaseEstimator):
    """Ridge regression on class indicators whose prior mean is the text classifier.

    ``W = (F'F + λI)⁻¹ (F'Y + λT)``: what the labels do not say stays as the texts have it. The
    penalty is the one with the least exact leave-one-out squared error, of eleven.

    Parameters
    ----------
    text : ndarray of shape (n_classes, n_features)
    class_names : sequence of length n_classes
    logit_scale : float, default=100.0
    penalty : float, default=None
        Above 0; None chooses it.

    Attributes
    ----------
    penalty_ : float

    Notes
    -----
    The rows are not centred; the indicators are less ``1 / n_classes`` and the texts less their
    mean, so that both speak of differences between classes.
    """

    def __init__(
        self,
        text: Array,
        class_names: Sequence[object],
        *,
        logit_scale: float = 100.0,
        penalty: float | None = None,
    ) -> None:
        self.text = text
        self.class_names = class_names
        self.logit_scale = logit_scale
        self.penalty = penalty

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the regression of what the texts leave unexplained."""
        F, codes, T = self._checked(X, y)
        prior = (T - T.mean(axis=0)).T
        rest = one_hot(codes, len(T)) - 1 / len(T) - F @ prior
        rest[:, np.bincount(codes, minlength=len(T)) == 0] = 0  # nothing says that their text errs
        left, singular, right = np.linalg.svd(F, full_matrices=False)
        energy, projected = np.square(singular), left.T @ rest
        errors = {}
        for penalty in _PENALTIES if self.penalty is None else (float(self.penalty),):
            kept = energy / (energy + penalty)
            slack = 1 - np.square(left) @ kept
            off = (rest - left @ (kept[:, None] * projected)) / np.maximum(slack, 1e-9)[:, None]
            errors[penalty] = float(np.square(off).sum())
        self.penalty_ = min(errors, key=lambda penalty: errors[penalty])
        slope = right.T @ ((singular / (energy + self.penalty_))[:, None] * projected)
        self._keep(self.logit_scale * (prior + slope).T)
        return self


class CrossModalProbe(TextPriorMixin, BaseEstimator):
    """Ridge regression in which every text is one more labelled vector of its class [1]_.

    Parameters
    ----------
    text : ndarray of shape (n_classes, n_features)
    class_names : sequence of length n_classes
    logit_scale : float, default=100.0
    penalty : float, default=1.0
        Above 0.

    References
    ----------
    .. [1] Lin et al., "Multimodality Helps Unimodality: Cross-Modal Few-Shot Learning with
       Multimodal Models", CVPR 2023, https://arxiv.org/abs/2301.06267. Deviation: ridge
       regression in place of a logistic one tuned on a validation set.
    """

    def __init__(
        self,
        text: Array,
        class_names: Sequence[object],
        *,
        logit_scale: float = 100.0,
        penalty: float = 1.0,
    ) -> None:
        self.text = text
        self.class_names = class_names
        self.logit_scale = logit_scale
        self.penalty = penalty

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the regression on texts and vectors."""
        F, codes, T = self._checked(X, y)
        rows = np.vstack([T, F])
        targets = one_hot(np.concatenate([np.arange(len(T)), codes]), len(T)) - 1 / len(T)
        gram = rows @ rows.T + self.penalty * np.eye(len(rows))
        self._keep(self.logit_scale * (rows.T @ np.linalg.solve(gram, targets)).T)
        return self


class TipAdapter(TextPriorMixin, BaseEstimator):
    """Add to the text's logit how near the labelled vectors of the class are; nothing is trained.

    ``s·f·t_k + α·Σ_{i in k} exp(-β(1 - f·f_i))`` [1]_.

    Parameters
    ----------
    text : ndarray of shape (n_classes, n_features)
    class_names : sequence of length n_classes
    logit_scale : float, default=100.0
    alpha, beta : float, default=1.0, 5.5
        Of the paper; its better figures come of values tuned on the test set, which is not done.

    References
    ----------
    .. [1] Zhang et al., "Tip-Adapter", ECCV 2022, equation 6, https://arxiv.org/abs/2207.09519.
    """

    def __init__(
        self,
        text: Array,
        class_names: Sequence[object],
        *,
        logit_scale: float = 100.0,
        alpha: float = 1.0,
        beta: float = 5.5,
    ) -> None:
        self.text = text
        self.class_names = class_names
        self.logit_scale = logit_scale
        self.alpha = alpha
        self.beta = beta

    def fit(self, X: Array, y: Array) -> Self:
        """Keep the labelled vectors."""
        F, codes, T = self._checked(X, y)
        self._keep(self.logit_scale * T)
        self._keys, self._values = F.astype(np.float32), one_hot(codes, len(T))
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        rows = unit(checked_query(self, X))
        nearness = linear(rows, self._keys.T, np.zeros(len(self._keys), np.float32))
        cache = np.exp(np.float32(self.beta) * (nearness - 1)) @ self._values
        return super().predict_logits(X) + np.float32(self.alpha) * cache

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]; it holds the labelled vectors."""
        check_is_fitted(self)
        form = OnnxForm("tip_adapter")
        x = add_transform(form, INPUT, power=1.0, unit_norm=True)
        beta = np.float32(self.beta)
        keys = form.linear(x, beta * self._keys.T, np.full(len(self._keys), -beta, np.float32))
        values = form.constant(np.float32(self.alpha) * self._values)
        cache = form.node("MatMul", form.node("Exp", keys), values)
        logits = form.node("Add", form.linear(x, self.coef_.T, self.intercept_), cache)
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))
