"""The semi-supervised default: unlabelled images help a linear probe, or are left aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import onnx
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from handful.core import Array, Float32, Float64, Int
from handful.heads.graph import mutual_graph, spread
from handful.heads.linear_probe import LinearProbe
from handful.heads.logits import LogitsClassifierMixin, checked_query, one_hot, softmax
from handful.heads.pool import LinearRule, Pool, cross_fitted, scale_of
from handful.heads.scale import informed
from handful.heads.unlabelled import (
    Prior,
    aligned,
    check_numbers,
    checked_pool,
    checked_prior,
    in_columns,
)

_N_AXES = 128  # on which rows are neighbours, and are smoothed
_SMOOTHING = {"alpha": 0.95, "n_steps": 15}  # of the vectors
_AGREEING = {"alpha": 0.8, "n_steps": 12}  # of the pseudo-labels
_FLOOR = 0.01  # added to a teacher's probability, so that none has a veto
_SHARPNESS = 2.0
_PENALTY = 0.5


@dataclass(frozen=True)
class Verdict:
    """Whether unlabelled images were used, and the evidence.

    Parameters
    ----------
    kept : {"spreading", "probe"}
    reason : str
        One sentence.
    gain : float
        Mean over labelled images of the probability of the true class by the
        spreading probe, less that by the plain probe, both from fits without the
        label, both calibrated. NaN where nothing can be compared.
    low, high : float
        Its 90 % t-interval over images.
    n : int
        Labelled images compared: those whose class has another label.
    accuracy, probe_accuracy : float
        Share of them that each gets right.
    """

    kept: str
    reason: str
    gain: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    accuracy: float = np.nan
    probe_accuracy: float = np.nan


class SpreadingProbe(LogitsClassifierMixin, BaseEstimator):
    """TODO."""

    def __init__(
        self,
        n_neighbors: int = 15,
        *,
        temperature: float = 0.1,
        class_prior: Prior | None = None,
        automatic: bool = True,
        max_unlabelled: int = 50_000,
        random_state: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.temperature = temperature
        self.class_prior = class_prior
        self.automatic = automatic
        self.max_unlabelled = max_unlabelled
        self.random_state = random_state

    def fit(self, X: Array, y: Array, X_unlabelled: Array | None = None) -> Self:
        """Fit."""
        check_numbers(
            self, n_neighbors=(0, 1001), temperature=(0.0, np.inf), max_unlabelled=(0, 10**9)
        )
        X, codes, unlabelled = checked_pool(self, X, y, X_unlabelled)
        prior = checked_prior("SpreadingProbe", self.class_prior, self.classes_)
        if not len(unlabelled):
            return self._keep_probe(X, codes, Verdict("probe", "There are no unlabelled vectors."))
        teachers = _Teachers(Pool(X, unlabelled), codes, self.n_neighbors, self.temperature, prior)
        scores = teachers.held_out()
        scale = scale_of(scores, codes)
        logits = (scale * scores).astype(np.float32)
        self.verdict_ = _verdict(logits, teachers.probe_logits, codes)
        if self.automatic and self.verdict_.kept == "probe":
            return self._keep_probe(X, codes, self.verdict_)
        targets = teachers.targets(np.arange(len(codes)))
        self.rule_ = teachers.pool.rule(targets, _PENALTY, scale)
        self.pseudo_proba_ = targets[len(codes) :]
        self.loo_logits_ = logits
        return self

    def predict_logits(self, X: Array) -> Float32:
        """Return logits of shape (n_samples, n_classes)."""
        X = checked_query(self, X)
        return self.rule_.predict_logits(X)

    def to_onnx(self) -> onnx.ModelProto:
        """Return the model ``embedding`` [n, d] to ``logits`` [n, k]."""
        check_is_fitted(self)
        return self.rule_.to_onnx()

    def _keep_probe(self, X: Float32, codes: Int, verdict: Verdict) -> Self:
        probe = LinearProbe().fit(X, codes)
        self.verdict_, self.loo_logits_ = verdict, probe.loo_logits_
        self.rule_ = LinearRule(np.ascontiguousarray(probe.coef_.T), probe.intercept_)
        self.pseudo_proba_ = None
        return self


class _Teachers:
    """Two probes that label the pool: one on its vectors, one on vectors smoothed by neighbours."""

    def __init__(
        self,
        pool: Pool,
        codes: Int,
        n_neighbors: int,
        temperature: float,
        prior: Float64 | None,
    ) -> None:
        self.pool, self.codes, self.prior = pool, codes, prior
        self.n_classes = int(codes.max()) + 1
        axes = pool.on_axes(_N_AXES)
        self.graph = mutual_graph(axes, n_neighbors, temperature=temperature)
        self.smoothed = _unit(spread(self.graph, axes, **_SMOOTHING))
        self.probe_logits = np.zeros((len(codes), self.n_classes), np.float32)

    def targets(self, kept: Int) -> Float32:
        """Return the soft label of every row, from the labels ``kept``."""
        return self._agreed(kept, self._probe(kept))

    def held_out(self) -> Float64:
        def scores(kept: Int, left_out: Int) -> Float64:
            plain = self._probe(kept)
            self.probe_logits[left_out] = np.log(plain[left_out] + 1e-6)
            return self.pool.held_out(self._agreed(kept, plain), _PENALTY, left_out)

        return cross_fitted(self.codes, self.n_classes, scores)

    def _probe(self, kept: Int) -> Float32:
        return _probe_proba(self.pool.rows, kept, self.codes[kept], self.n_classes)

    def _agreed(self, kept: Int, plain: Float32) -> Float32:
        smooth = _probe_proba(self.smoothed, kept, self.codes[kept], self.n_classes)
        logits = np.log(plain + _FLOOR) + np.log(smooth + _FLOOR)
        labels = softmax(logits) if self.prior is None else aligned(logits, self.prior)
        labels[kept] = one_hot(self.codes[kept], self.n_classes)
        agreed = spread(self.graph, labels, **_AGREEING) ** _SHARPNESS
        return agreed / np.maximum(agreed.sum(axis=1, keepdims=True), np.float32(1e-30))


def _probe_proba(rows: Float32, kept: Int, codes: Int, n_classes: int) -> Float32:
    probe = LinearProbe(power=1.0, unit_norm=False).fit(rows[kept], codes)
    logits = rows @ probe.coef_.T + probe.intercept_
    return in_columns(softmax(logits), probe.classes_, n_classes)


def _unit(rows: Float32) -> Float32:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30))


def _verdict(logits: Float32, probe_logits: Float32, codes: Int) -> Verdict:
    """Compare the probability of the true class, image by image."""
    rows = np.flatnonzero(informed(codes))
    if len(rows) < 2:
        return Verdict("spreading", "Too few labels to compare: unlabelled images are used.")
    scale = scale_of(probe_logits.astype(np.float64), codes, centre=1.0)
    ours, plain = softmax(logits), softmax(scale * probe_logits)
    difference = (ours - plain)[rows, codes[rows]].astype(np.float64)
    gain = float(difference.mean())
    half = float(stats.t.ppf(0.95, len(rows) - 1) * difference.std(ddof=1) / np.sqrt(len(rows)))
    harm = gain + half < 0
    kept = "probe" if harm else "spreading"
    return Verdict(
        kept,
        "TODO",
        gain,
        gain - half,
        gain + half,
        len(rows),
        float((ours.argmax(1) == codes)[rows].mean()),
        float((plain.argmax(1) == codes)[rows].mean()),
    )
