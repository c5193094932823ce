"""Classes by their texts alone, through the classes that the backbone was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32, Float64, Int, listed
from handful.embeddings import unit
from handful.heads.logits import LogitsClassifierMixin, checked_query, linear, softmax
from handful.heads.onnx_form import INPUT, OnnxForm

TEXT_TEMPERATURE = 0.1  # divides cosines of texts, in the share of a known class
TEXT_PENALTY = 1.0  # of the ridge regression from text to weights, a text of a class
_TINY = np.float32(1e-6)


@dataclass(frozen=True)
class KnownClasses:
    """What a backbone knows: its own classifier, and the texts of that classifier's classes.

    Parameters
    ----------
    weight : ndarray of shape (n_known, n_features), float32
    bias : ndarray of shape (n_known,), float32
    texts : ndarray of shape (n_texts, n_known, n_text_features), float32
        Unit vectors of several texts of each class.
    """

    weight: Float32
    bias: Float32
    texts: Float32

    @property
    def mean_texts(self) -> Float32:
        """The mean text of each class, of unit length."""
        return unit(self.texts.mean(axis=0))


class ZeroShotClassifier(LogitsClassifierMixin, BaseEstimator):
    """Classify images by the texts of classes, without a label and without an image–text model.

    Two ways lead from the classes that the backbone was trained on to new ones, and they err on
    different images:

    - after ConSE [1]_, the backbone's own classifier says which known classes an image shows, and
      each known class counts for the new ones whose texts are like its own;
    - a ridge regression from text vectors to classifier weights, learned on the known classes,
      makes weights for the new ones [2]_.

    The logits of each are standardised over the classes of an image; the sum is the answer.

    Parameters
    ----------
    known : KnownClasses
    text : ndarray of shape (n_classes, n_text_features), float32
        Unit vectors of the new classes' texts, of the same encoder as ``known.texts``.
    class_names : sequence of length n_classes
        Without repetition.
    temperature : float, default=0.1
        Divides the cosines of texts, above 0.
    penalty : float, default=1.0
        Of the ridge regression, above 0.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted.
    weight_ : ndarray of shape (n_classes, n_features), float32
        Of the ridge regression's classifier, of unit length.
    n_features_in_ : int

    Notes
    -----
    There is no temperature that makes the probabilities true without a label; they say which
    class is likelier, not how likely. ``benchmarks/zero_shot.py`` measures the accuracy.

    References
    ----------
    .. [1] Norouzi et al., "Zero-Shot Learning by Convex Combination of Semantic Embeddings", ICLR
       2014, https://arxiv.org/abs/1312.5650. Deviations: all known classes count, not the top ten;
       each is divided among the new classes by a softmax of cosines, instead of the cosine to the
       mean text.
    .. [2] Romera-Paredes and Torr, "An embarrassingly simple approach to zero-shot learning", ICML
       2015. Deviation: the regression's targets are the weights of a trained classifier.

    Examples
    --------
    >>> known = KnownClasses(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), np.eye(3)[None])
    >>> text = np.array([[0.0, 0.0, 1.0], [0.8, 0.6, 0.0]])
    >>> ZeroShotClassifier(known, text, ["river", "boot"]).fit().predict([[9.0, 0.0, 0.0]])
    array(['boot'], dtype='<U5')
    """

    def __init__(
        self,
        known: KnownClasses,
        text: Array,
        class_names: Sequence[object],
        *,
        temperature: float = TEXT_TEMPERATURE,
        penalty: float = TEXT_PENALTY,
    ) -> None:
        self.known = known
        self.text = text
        self.class_names = class_names
        self.temperature = temperature
        self.penalty = penalty

    def __sklearn_clone__(self) -> Self:
        return type(self)(
            self.known,
            self.text,
            self.class_names,
            temperature=self.temperature,
            penalty=self.penalty,
        )

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Make the classifier of the new classes.

        Parameters
        ----------
        X, y : None
            Not used: no image and no label is needed.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the texts do not fit the names or the known classes.
        """
        order = self._check()
        text = np.asarray(self.text, np.float32)[order]
        self.weight_ = unit(text_map(self.known, self.penalty)(text))
        cosines = self.known.mean_texts @ text.T
        self._shares = softmax(cosines / np.float32(self.temperature))
        self._cosines, self._text = cosines, text
        self.n_features_in_ = self.known.weight.shape[1]
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        both = _standardised(self.conse_logits(X)) + _standardised(self.map_logits(X))
        return both / np.float32(np.sqrt(2))

    def conse_logits(self, X: Array) -> Float32:
        """Return the log of the share of what is known in an image that goes to each class."""
        return np.log(self._proba(checked_query(self, X)) @ self._shares + _TINY)

    def map_logits(self, X: Array) -> Float32:
        """Return the products with the weights that the texts were mapped to."""
        X = checked_query(self, X)
        return linear(X, self.weight_.T, np.zeros(len(self.weight_), np.float32))

    def recognition(self, X: Array) -> Float32:
        """Return how much of what the backbone sees in each image resembles its nearest class.

        The mean cosine of the known classes' texts, weighted by their probability, to the text of
        the class where that is largest; in ``[-1, 1]``. It is low where the backbone does not know
        what it sees, and where it does but no class is called alike.
        """
        return (self._proba(checked_query(self, X)) @ self._cosines).max(axis=1)

    @property
    def likeness(self) -> float:
        """Cosine of the two most alike texts: classes that are called alike are confused."""
        check_is_fitted(self)
        cosines = self._text @ self._text.T
        return float(cosines[~np.eye(len(cosines), dtype=bool)].max())

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]; it holds no text encoder."""
        check_is_fitted(self)
        form = OnnxForm("zero_shot")
        known = form.linear(INPUT, self.known.weight.T, self.known.bias)
        shares = form.node(
            "MatMul", form.node("Softmax", known, axis=1), form.constant(self._shares)
        )
        conse = form.node("Log", form.node("Add", shares, form.constant(_TINY)))
        mapped = form.node("MatMul", INPUT, form.constant(self.weight_.T))
        both = form.node("Add", _add_standardised(form, conse), _add_standardised(form, mapped))
        logits = form.node("Div", both, form.constant(np.sqrt(2)))
        return form.model(logits, "logits", self.n_features_in_, len(self.classes_))

    def _proba(self, X: Float32) -> Float32:
        return softmax(linear(X, self.known.weight.T, self.known.bias))

    def _check(self) -> Int:
        """Check the parameters, set ``classes_``; return the order of the rows of ``text``."""
        for name in ("temperature", "penalty"):
            if not float(getattr(self, name)) > 0:
                raise ValueError(
                    f"The {name!r} parameter of ZeroShotClassifier must be above 0. "
                    f"Got {getattr(self, name)!r} instead."
                )
        names, text = np.asarray(self.class_names), np.asarray(self.text)
        width = self.known.texts.shape[2]
        if text.shape != (len(names), width):
            raise ValueError(
                f"The 'text' of ZeroShotClassifier must have one row a class and {width} columns, "
                f"({len(names)}, {width}). Got the shape {text.shape}. Encode names and known classes "
                "with the same text encoder."
            )
        self.classes_, order = np.unique(names, return_index=True)
        if len(self.classes_) != len(names) or len(names) < 2:
            raise ValueError(
                "The 'class_names' of ZeroShotClassifier must be at least two and differ. "
                f"Got {listed(names)}."
            )
        return order


class TextMap:
    """A ridge regression from text vectors to classifier weights.

    Parameters
    ----------
    texts : ndarray of shape (n_texts, n_known, n_text_features)
    weight : ndarray of shape (n_known, n_features)
    penalty : float
        A text of a class, above 0.
    """

    def __init__(self, texts: Float32, weight: Float32, penalty: float) -> None:
        rows: Float64 = texts.reshape(-1, texts.shape[2]).astype(np.float64)
        self._mean: Float64 = rows.mean(axis=0)
        rows = rows - self._mean
        targets: Float64 = weight.astype(np.float64)
        centred = np.tile(targets - targets.mean(axis=0), (len(texts), 1))
        gram = rows.T @ rows + penalty * len(texts) * np.eye(rows.shape[1])
        self._slope: Float64 = np.linalg.solve(gram, rows.T @ centred)

    def __call__(self, text: Float32) -> Float32:
        """Return the weights of texts, less the mean weight of the known classes."""
        return ((text - self._mean) @ self._slope).astype(np.float32)


def text_map(known: KnownClasses, penalty: float = TEXT_PENALTY) -> TextMap:
    """Return the map from texts to weights, learned on the known classes."""
    return TextMap(known.texts, known.weight, penalty)


def held_out_classes(
    known: KnownClasses, *, penalty: float = TEXT_PENALTY, n_folds: int = 5, text: int = 0
) -> tuple[int, int, int]:
    """Count how often the map finds the right one of unseen known classes by its text.

    Every fifth class in turn is left out of the regression; the weight that its text is mapped to
    is compared with the true weights of all classes left out.

    Parameters
    ----------
    known : KnownClasses
    penalty : float, default=1.0
    n_folds : int, default=5
    text : int, default=0
        Which text of each class is asked with; 0 is its name.

    Returns
    -------
    found, among_five, n : int
        Classes whose true weight is the nearest, is among the nearest five, and all classes.
    """
    fold = np.arange(len(known.weight)) % n_folds
    found = among_five = 0
    for number in range(n_folds):
        out = fold == number
        mapped = TextMap(known.texts[:, ~out], known.weight[~out], penalty)(known.texts[text, out])
        true = known.weight[out] - known.weight[~out].mean(axis=0)
        cosines = unit(mapped) @ unit(true).T
        better = (cosines > np.diag(cosines)[:, None]).sum(axis=1)
        found, among_five = found + int((better < 1).sum()), among_five + int((better < 5).sum())
    return found, among_five, len(fold)


def _standardised(logits: Float32) -> Float32:
    centred = logits - logits.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    return centred / np.maximum(spread, _TINY)


def _add_standardised(form: OnnxForm, logits: str) -> str:
    centred = form.node("Sub", logits, form.node("ReduceMean", logits, axes=[1], keepdims=1))
    square = form.node("Mul", centred, centred)
    spread = form.node("Sqrt", form.node("ReduceMean", square, axes=[1], keepdims=1))
    return form.node("Div", centred, form.node("Max", spread, form.constant(_TINY)))
