"""What the semi-supervised heads share: checks of their input, and the rule they end in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import onnx
from sklearn.utils.validation import check_array, check_is_fitted

from handful.core import Array, Float32, Float64, Int, listed, stream
from handful.heads.logits import LogitsClassifierMixin, checked_fit, checked_query, softmax

Prior = Mapping[Any, float] | Sequence[float] | Array


class RuleMixin(LogitsClassifierMixin):
    """A classifier that hands its vectors to ``rule_``, a fitted rule or head."""

    rule_: Any

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        return self.rule_.predict_logits(X)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        return self.rule_.to_onnx()


def checked_pool(
    estimator: Any, X: Array, y: Array, X_unlabelled: Array | None
) -> tuple[Float32, Int, Float32]:
    """Check training data, set ``classes_``; return X, class numbers and unlabelled rows.

    More than ``max_unlabelled`` rows are drawn from at random: what a linear rule
    can learn from a pool, it learns from some ten thousands.
    """
    name = type(estimator).__name__
    X, codes = checked_fit(estimator, X, y)
    if len(estimator.classes_) < 2:
        raise ValueError(
            f"{name} needs labels of at least 2 classes. Got one class, "
            f"{estimator.classes_[0]!r}. Label images of another class."
        )
    if X_unlabelled is None:
        return X, codes, X[:0]
    if not len(X_unlabelled):
        raise ValueError(
            f"The 'X_unlabelled' of {name}.fit must have at least one row. Got none. "
            "Leave it out to use the labelled vectors alone."
        )
    unlabelled = check_array(X_unlabelled, dtype=np.float32, input_name="X_unlabelled")
    if unlabelled.shape[1] != X.shape[1]:
        raise ValueError(
            f"The 'X_unlabelled' of {name}.fit must have {X.shape[1]} features, as X. "
            f"Got {unlabelled.shape[1]}. Embed both with the same backbone."
        )
    return X, codes, _drawn(unlabelled, estimator.max_unlabelled, estimator.random_state)


def checked_prior(name: str, prior: Prior | None, classes: Array) -> Float64 | None:
    """Return the given share of every class, in the order of ``classes``.

    Parameters
    ----------
    name : str
        Of the estimator, for its errors.
    prior : mapping of class to share, sequence of shares, or None
    classes : ndarray of shape (n_classes,)
    """
    if prior is None:
        return None
    if isinstance(prior, Mapping):
        unknown = [each for each in prior if each not in classes.tolist()]
        if unknown:
            raise ValueError(
                f"The 'class_prior' of {name} names a class without a label: {listed(unknown)}. "
                "Label an image of it, or leave it out."
            )
        prior = [prior.get(each, 0.0) for each in classes.tolist()]
    shares = np.asarray(prior, np.float64)
    if shares.shape != classes.shape:
        raise ValueError(
            f"The 'class_prior' of {name} must give one share a class, {len(classes)}. "
            f"Got the shape {shares.shape}."
        )
    if not (shares > 0).all() or not abs(shares.sum() - 1) < 1e-3:
        raise ValueError(
            f"The 'class_prior' of {name} must be above 0 for every class and sum to 1. "
            f"Got the sum {float(shares.sum()):.4g} and the least {float(shares.min()):.4g}."
        )
    return shares / shares.sum()


def check_numbers(estimator: Any, **bounds: tuple[float, float]) -> None:
    """Raise unless parameters lie strictly between their bounds; whole numbers where both are."""
    for name, (low, high) in bounds.items():
        value = getattr(estimator, name)
        whole = isinstance(low, int)
        kind: type = Integral if whole else Real
        if not isinstance(value, kind) or not low < float(value) < high:  # type: ignore[arg-type]
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be "
                f"{'a whole number' if whole else 'a number'} above {low} and below {high}. "
                f"Got {value!r} instead."
            )


def aligned(logits: Array, prior: Float64, *, n_steps: int = 20) -> Float32:
    """Return probabilities whose mean is ``prior``, by one bias a class.

    Distribution alignment as in Berthelot et al., "ReMixMatch", ICLR 2020,
    section 3.1, https://arxiv.org/abs/1911.09785. Deviation: repeated, so that
    the mean of the result is the prior and not only nearer to it.
    """
    bias = np.zeros(len(prior))
    for _ in range(n_steps):
        share = softmax(logits + bias).mean(axis=0, dtype=np.float64)
        bias += np.log(prior / np.maximum(share, 1e-12))
    return softmax(logits + bias)


def in_columns(values: Array, present: Int, n_classes: int) -> Float32:
    """Return probabilities of the classes ``present`` as columns of all classes."""
    out = np.zeros((len(values), n_classes), np.float32)
    out[:, present] = values
    return out


def _drawn(unlabelled: Float32, most: int, random_state: int) -> Float32:
    if len(unlabelled) <= most:
        return unlabelled
    rows = stream(random_state, "unlabelled").choice(len(unlabelled), most, replace=False)
    return unlabelled[np.sort(rows)]
