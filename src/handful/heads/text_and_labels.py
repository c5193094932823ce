"""A classifier from texts and one from labels, each counting as far as held-out labels bear it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from handful.core import Array, Float32, Float64, Int
from handful.heads.logits import LogitsClassifierMixin, checked_query, log_losses
from handful.heads.onnx_form import OnnxForm
from handful.heads.scale import informed, with_class_shares_kept
from handful.heads.text_prior import class_numbers

_TEXT, _POWER = 3.5, 1.5  # of the prior of the texts' weight, see `TextAndLabels._prior`
_USUAL_SKILL = 0.36
_STRONGER = 0.5  # of the texts' weight: with the row left out the labels are weaker than they are
_LEAST_SPREAD = 0.02  # of the prior of the texts' weight
_LABELS_SPREAD = 0.5  # of the logarithm of the labels' weight, about 0
_OUT = np.float32(-30.0)  # logit of a class without a label, where labels alone speak


@dataclass(frozen=True)
class Blend:
    """How much texts and labels count, and what each does on labels it had not seen.

    Parameters
    ----------
    labels, text : float
        Factors of the two logits; those of the texts were scaled to a standard deviation of 1.
    accuracy, labels_accuracy, text_accuracy : float
        Of the blend, the labels and the texts, on labelled images each left out in turn; NaN where
        every class has a single label.
    n : int
        Labelled images compared.
    """

    labels: float
    text: float
    accuracy: float
    labels_accuracy: float
    text_accuracy: float
    n: int


class TextAndLabels(LogitsClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Add the logits of a classifier from texts to those of a head fitted on labels.

    The two factors minimise the log loss of labelled images that the head had not seen, by its
    leave-one-out logits, plus a prior: texts that are expected to be of little use hardly count, any
    texts count the less the more labels there are, and texts that are wrong on the labels soon count
    for nothing. Either alone is within reach, so on average the blend is seldom worse than the better
    by more than a point. Where a class has a single label, no fit without it knows the class: it then
    speaks of the texts alone, and the head's own scale is not trusted.

    A class without a label keeps the probability that the texts give it.

    Parameters
    ----------
    head : classifier
        Has ``loo_logits_`` and an ONNX form; it is cloned, then fitted.
    text : classifier
        Fitted on texts, such as `ZeroShotClassifier`; its classes are those of the result.
    skill : float, default=0.36
        What is expected of the texts before any label: the share of the way from guessing to
        perfection, in ``[0, 1]``, as of `handful.measure.forecast_accuracy`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    head_ : classifier
    blend_ : Blend
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
    n_features_in_ : int

    Notes
    -----
    The prior of the texts' weight is a normal distribution cut off at 0, of mean and spread
    ``3.5 · skill^1.5 / sqrt(labels a class)``, chosen on train images of four sets.
    ``benchmarks/text_and_labels.py`` measures what the texts bring.
    """

    def __init__(self, head: Any, text: Any, *, skill: float = _USUAL_SKILL) -> None:
        self.head = head
        self.text = text
        self.skill = skill

    def __sklearn_clone__(self) -> Self:
        return type(self)(clone(self.head), self.text, skill=self.skill)

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the head, then the factors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Each among the classes of ``text``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a label is not among the classes, ``skill`` is out of range, or the data cannot be used.
        """
        if not 0 <= self.skill <= 1:
            raise ValueError(
                f"The 'skill' parameter of TextAndLabels must be in [0, 1]. Got {self.skill!r} instead."
            )
        X, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_ = self.text.classes_
        codes = class_numbers(type(self).__name__, self.classes_, y)
        self.head_ = clone(self.head).fit(X, y)
        self._labelled = np.isin(self.classes_, self.head_.classes_)
        texts = self.text.predict_logits(X)
        self._scale = 1 / max(float(texts.std(axis=1).mean()), 1e-6)
        texts = texts.astype(np.float64) * self._scale
        labels = self._of_all(self.head_.loo_logits_).astype(np.float64)
        self._fit_factors(labels, texts, codes, self._centre(X, codes))
        known = informed(codes)[:, None]
        held_out = np.where(known, self._blended(labels, texts), self._by_text * texts)
        self.loo_logits_ = held_out.astype(np.float32)
        self.blend_ = self._compared(labels, texts, codes)
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        texts = self.text.predict_logits(X) * np.float32(self._scale)
        return self._blended(self._of_all(self.head_.predict_logits(X)), texts).astype(np.float32)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]; it holds no text encoder."""
        check_is_fitted(self)
        form = OnnxForm("text_and_labels")
        labels = self._onnx_of_all(form, "labels/logits")
        texts = form.node("Mul", "texts/logits", form.constant(self._scale))
        sums = form.node(
            "Add",
            form.node("Mul", labels, form.constant(self._by_labels)),
            form.node("Mul", texts, form.constant(self._by_both)),
        )
        if not self._labelled.all():
            sums = self._onnx_split(form, sums, texts)
        return form.joined(
            {"labels/": self.head_.to_onnx(), "texts/": self.text.to_onnx()},
            sums, "logits", self.n_features_in_, len(self.classes_),
        )  # fmt: skip

    def _centre(self, X: Float32, codes: Int) -> float:
        """Return the usual weight of the labels: 1, as held-out labels bear the head's scale out.

        Where every class has a single label nothing does, and heads differ much in how sure they are
        then: their logits are brought to a standard deviation of 1 on what they learnt from.
        """
        if informed(codes).any():
            return 1.0
        return 1 / max(float(self.head_.predict_logits(X).std(axis=1).mean()), 1e-6)

    def _fit_factors(self, labels: Float64, texts: Float64, codes: Int, centre: float) -> None:
        """Set the factors of the blend, and that of the texts by themselves."""
        known = informed(codes)
        kept = np.flatnonzero(self._labelled)
        own = np.searchsorted(kept, codes)
        fair = with_class_shares_kept(labels[:, kept], own)

        usual = self._prior(len(codes) / len(kept))
        spread = max(usual, _LEAST_SPREAD)

        def loss(step: Float64) -> float:
            both = np.exp(step[0]) * fair[known] + step[1] * texts[known][:, kept]
            total = log_losses(both, own[known]).sum()
            total += log_losses(step[1] * texts[~known], codes[~known]).sum()
            prior = (step[0] / _LABELS_SPREAD) ** 2 + ((step[1] - usual) / spread) ** 2
            return float(total + prior / 2)

        def text_loss(step: Float64) -> float:
            total = log_losses(step[0] * texts, codes).sum()
            return float(total + ((step[0] - usual) / spread) ** 2 / 2)

        found = minimize(loss, [0.0, usual], method="L-BFGS-B", bounds=[(-4, 3), (0, 20)])
        alone = minimize(text_loss, [usual], method="L-BFGS-B", bounds=[(0, 20)])
        share = _STRONGER if known.any() else 1.0
        self._by_labels, self._by_both = (
            centre * float(np.exp(found.x[0])),
            share * float(found.x[1]),
        )
        self._by_text = float(alone.x[0])

    def _prior(self, labels_a_class: float) -> float:
        """Return the usual weight of texts of this skill beside so many labels."""
        return float(_TEXT * self.skill**_POWER / np.sqrt(labels_a_class))

    def _of_all(self, logits: Array) -> Array:
        """Return a column for each class, those without a label far below."""
        if self._labelled.all():
            return logits
        out = np.full((len(logits), len(self.classes_)), _OUT, logits.dtype)
        out[:, self._labelled] = logits
        return out

    def _blended(self, labels: Array, texts: Array) -> Array:
        """Return the sum; classes without a label keep their share of the texts' probability."""
        both = np.float32(self._by_labels) * labels + np.float32(self._by_both) * texts
        if self._labelled.all():
            return both
        alone = _log_softmax(np.float32(self._by_text) * texts)
        seen = self._labelled
        share = np.log(np.exp(alone[:, seen]).sum(axis=1, keepdims=True) + 1e-30)
        alone[:, seen] = _log_softmax(both[:, seen]) + share
        return alone

    def _onnx_of_all(self, form: OnnxForm, labels: str) -> str:
        """Add the columns of classes without a label."""
        if self._labelled.all():
            return labels
        place = np.zeros((int(self._labelled.sum()), len(self.classes_)), np.float32)
        place[np.arange(len(place)), np.flatnonzero(self._labelled)] = 1
        return form.linear(labels, place, np.where(self._labelled, 0, _OUT).astype(np.float32))

    def _onnx_split(self, form: OnnxForm, both: str, texts: str) -> str:
        """Add the nodes of `_blended` for classes without a label."""
        scaled = form.node("Mul", texts, form.constant(self._by_text))
        alone = form.node("LogSoftmax", scaled, axis=1)
        seen = form.constant(self._labelled.astype(np.float32))
        far = form.constant(np.where(self._labelled, 0, -1e9).astype(np.float32))
        inside = form.node("LogSoftmax", form.node("Add", both, far), axis=1)
        mass = form.node("ReduceSum", form.node("Mul", form.node("Exp", alone), seen),
                         form.constant(np.array([1]), np.int64), keepdims=1)  # fmt: skip
        share = form.node("Log", form.node("Add", mass, form.constant(1e-30)))
        blended = form.node("Add", inside, share)
        return form.node("Where", form.constant(self._labelled, np.bool_), blended, alone)

    def _compared(self, labels: Float64, texts: Float64, codes: Int) -> Blend:
        rows = np.flatnonzero(informed(codes))

        def right(logits: Array) -> float:
            hits = logits[rows].argmax(axis=1) == codes[rows]
            return float(hits.mean()) if len(rows) else float("nan")

        return Blend(
            self._by_labels, self._by_both,
            right(self.loo_logits_), right(labels), right(texts), len(rows),
        )  # fmt: skip


def _log_softmax(logits: Array) -> Array:
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
