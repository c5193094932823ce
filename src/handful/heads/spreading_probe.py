"""The semi-supervised default: unlabelled images help a linear probe, or are left aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator

from handful.core import Array, Float32, Float64, Int
from handful.heads.graph import N_AXES, mutual_graph, spread
from handful.heads.likeness import is_foreign, likeness
from handful.heads.linear_probe import LinearProbe
from handful.heads.logits import one_hot, softmax
from handful.heads.pool import PENALTY, LinearRule, Pool, cross_fitted, scale_of
from handful.heads.scale import informed
from handful.heads.unlabelled import (
    Prior,
    RuleMixin,
    aligned,
    check_numbers,
    checked_pool,
    checked_prior,
    in_columns,
)

_VECTOR_ALPHA, _VECTOR_STEPS = 0.95, 15  # how far the vectors spread along the graph
_LABEL_ALPHA, _LABEL_STEPS = 0.8, 12  # how far the pseudo-labels do
_FLOOR = np.float32(0.01)  # added to a teacher's probability, so that none has a veto
_SHARPNESS = 2
_WORTH = 5  # unlabelled vectors that count as much as a labelled one in the last mean
_LEAST = np.float32(1e-6)


@dataclass(frozen=True)
class Verdict:
    """Whether unlabelled images were used, and the evidence.

    Parameters
    ----------
    kept : {"spreading", "probe"}
    reason : str
        One sentence.
    gain : float
        Probability of the true class by the spreading probe less that by the plain
        probe, mean over labelled images, both calibrated, both from fits without the
        label; in ``[-1, 1]``. NaN where nothing could be compared, as all below.
    low, high : float
        Its 90 % t-interval over images.
    n : int
        Labelled images compared: those whose class has another label.
    accuracy, probe_accuracy : float
        Share of them that each gets right, a fraction.
    likeness : float
        Of the labelled vectors to the pool, near one half where they were drawn from
        it; see `handful.heads.likeness`.
    """

    kept: str
    reason: str
    gain: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    accuracy: float = np.nan
    probe_accuracy: float = np.nan
    likeness: float = np.nan


class SpreadingProbe(RuleMixin, BaseEstimator):
    """Let similar unlabelled images agree on labels, and learn one linear rule from them.

    Two teachers label the pool: a `LinearProbe` on the vectors, and one on vectors
    that were averaged with their neighbours along the mutual nearest-neighbour graph
    [1]_ [2]_, which err on different images [3]_. The mean of their log probabilities
    spreads along the graph, where the labels stand fixed at the start; the result is
    squared, which sharpens it. A ridge regression learns these soft labels from the
    whole pool. The mean of its logits and those of the plain probe, weighted by how
    many unlabelled vectors there are, is the answer: one linear classifier, which
    needs no image of the pool to classify new ones.

    Unlabelled images that show other things than the labelled ones do harm. So the
    labelled images are classified without their labels, once with the pool and once
    by the plain probe. The pool is used where that gains; where it does not, or the
    labelled images are strangers in the pool and the gain may be luck, the plain probe
    is kept, and ``verdict_`` says so.

    Parameters
    ----------
    n_neighbors : int, default=15
        Two vectors are joined when each is among so many nearest of the other, at
        least 1. Cosine, on the first 128 principal axes of all vectors.
    temperature : float, default=0.1
        Divides cosines, above 0; the weight of an edge is ``exp((cosine - 1) / temperature)``.
    class_prior : mapping of class to share, or array-like of shape (n_classes,), default=None
        Share of every class among all images, above 0, summing to 1: the teachers'
        answers are aligned to it. None: they are taken as they come.
    automatic : bool, default=True
        Keep the plain probe where the pool gains nothing; False always uses the pool.
    max_unlabelled : int, default=50000
        Of more unlabelled vectors, so many are drawn at random.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    verdict_ : Verdict
    pseudo_proba_ : ndarray of shape (n_unlabelled, n_classes), float32, or None
        The soft labels that the pool got; None where the plain probe is kept.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every labelled vector from a fit of everything without its label,
        its own pseudo-label not counting; of more than ten labels, from ten such
        fits, each without a tenth of the labels. Of the plain probe where that is kept.
    n_features_in_ : int

    Notes
    -----
    ``benchmarks/semisupervised_vectors.py`` measures the gain, and time and memory
    against scikit-learn.

    References
    ----------
    .. [1] Zhou, Bousquet, Lal, Weston and Schölkopf, "Learning with Local and Global
       Consistency", NIPS 2003. Deviations: mutual neighbours, a fixed number of steps.
    .. [2] Wu et al., "Simplifying Graph Convolutional Networks", ICML 2019,
       https://arxiv.org/abs/1902.07153: a linear classifier on vectors smoothed along a
       graph. Deviation: every step keeps a share of the vector itself.
    .. [3] Several pseudo-labellers of different kind, as in "Revisiting
       semi-supervised learning in the era of foundation models", NeurIPS 2025,
       https://arxiv.org/abs/2503.09707. Deviations: vectors stay frozen, labels are soft.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat([[9.0, 1.0, 1.0], [1.0, 9.0, 1.0]], 20, axis=0) + rng.random((40, 3))
    >>> head = SpreadingProbe().fit(X[[0, 20]], ["cat", "dog"], X[1:])
    >>> head.predict([[0.5, 3.0, 0.5]])
    array(['dog'], dtype='<U3')
    >>> head.verdict_.kept
    'spreading'
    """

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
        """Fit the spreading probe and compare it with the plain one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Of at least 2 classes.
        X_unlabelled : array-like of shape (n_unlabelled, n_features), default=None
            None: the plain probe.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        check_numbers(
            self, n_neighbors=(0, 10_000), temperature=(0.0, np.inf), max_unlabelled=(0, 10**9)
        )
        X, codes, unlabelled = checked_pool(self, X, y, X_unlabelled)
        prior = checked_prior("SpreadingProbe", self.class_prior, self.classes_)
        probe = LinearProbe().fit(X, codes)
        plain = LinearRule(np.ascontiguousarray(probe.coef_.T), probe.intercept_)
        if not len(unlabelled):
            verdict = Verdict("probe", "There are no unlabelled vectors.")
            return self._keep(plain, verdict, probe.loo_logits_)
        pool = Pool(X, unlabelled)
        teachers = _Teachers(pool, codes, self.n_neighbors, self.temperature, prior)
        share = len(unlabelled) / (len(unlabelled) + _WORTH * len(codes))
        scores, probe_logits = teachers.held_out()
        scale = scale_of(scores, codes)
        logits = share * scale * scores + (1 - share) * probe_logits
        alike = likeness(teachers.axes[: len(codes)], teachers.axes[len(codes) :])
        verdict = _verdict(logits, probe_logits, codes, alike, automatic=self.automatic)
        if verdict.kept == "probe":
            return self._keep(plain, verdict, probe.loo_logits_)
        targets = teachers.targets(np.arange(len(codes)))
        rule = pool.rule(targets, PENALTY, scale).blended(plain, share)
        return self._keep(rule, verdict, logits, targets[len(codes) :])

    def _keep(
        self, rule: LinearRule, verdict: Verdict, loo: Array, pseudo: Float32 | None = None
    ) -> Self:
        self.rule_, self.verdict_ = rule, verdict
        self.loo_logits_, self.pseudo_proba_ = loo.astype(np.float32), pseudo
        return self


class _Teachers:
    """Two probes that label the pool: on its vectors, and on vectors averaged with neighbours."""

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
        self.axes = pool.on_axes(N_AXES)
        self.graph = mutual_graph(self.axes, n_neighbors, temperature=temperature)
        smoothed = spread(self.graph, self.axes, alpha=_VECTOR_ALPHA, n_steps=_VECTOR_STEPS)
        length = np.linalg.norm(smoothed, axis=1, keepdims=True)
        self.smoothed: Float32 = smoothed / np.maximum(length, np.float32(1e-30))

    def targets(self, kept: Int) -> Float32:
        """Return the soft label of every row, from the labels ``kept``."""
        return self._agreed(kept, self._proba(self.pool.rows, kept))

    def held_out(self) -> tuple[Float64, Float64]:
        """Return scores by the pool, and logits by the plain probe, from fits without the label."""
        probe_logits = np.zeros((len(self.codes), self.n_classes))

        def scores(kept: Int, left_out: Int) -> Float64:
            plain = self._proba(self.pool.rows, kept)
            probe_logits[left_out] = np.log(plain[left_out] + _LEAST)
            return self.pool.held_out(self._agreed(kept, plain), PENALTY, left_out)

        return cross_fitted(self.codes, self.n_classes, scores), probe_logits

    def _agreed(self, kept: Int, plain: Float32) -> Float32:
        smooth = self._proba(self.smoothed, kept)
        logits = np.log(plain + _FLOOR) + np.log(smooth + _FLOOR)
        labels = softmax(logits) if self.prior is None else aligned(logits, self.prior)
        labels[kept] = one_hot(self.codes[kept], self.n_classes)
        agreed = spread(self.graph, labels, alpha=_LABEL_ALPHA, n_steps=_LABEL_STEPS)
        agreed /= np.maximum(agreed.sum(axis=1, keepdims=True), np.float32(1e-30))
        agreed **= _SHARPNESS
        return agreed / agreed.sum(axis=1, keepdims=True)

    def _proba(self, rows: Float32, kept: Int) -> Float32:
        probe = LinearProbe(power=1.0, unit_norm=False).fit(rows[kept], self.codes[kept])
        logits = rows @ probe.coef_.T + probe.intercept_
        return in_columns(softmax(logits), probe.classes_, self.n_classes)


def _verdict(
    logits: Float64, probe_logits: Float64, codes: Int, alike: float, *, automatic: bool
) -> Verdict:
    """Compare the probabilities of the true class, image by image."""
    foreign = is_foreign(alike, len(codes))
    rows = np.flatnonzero(informed(codes))
    if len(rows) < 2:
        kept = "probe" if automatic and foreign else "spreading"
        reason = (
            f"There are too few labels to compare{_strangers(alike, foreign)}; {_CHOSEN[kept]}."
        )
        return Verdict(kept, reason, likeness=alike)
    ours, plain = (
        softmax(scale_of(each, codes, centre=1.0) * each)[rows] for each in (logits, probe_logits)
    )
    truth = codes[rows]
    true = np.arange(len(rows)), truth
    difference = ours[true].astype(np.float64) - plain[true]
    error = difference.std(ddof=1) / np.sqrt(len(rows))
    gain, half = float(difference.mean()), float(stats.t.ppf(0.95, len(rows) - 1) * error)
    gains = gain - half > 0 or (gain > 0 and not foreign)
    kept = "spreading" if gains or not automatic else "probe"
    right, probe_right = (float((each.argmax(axis=1) == truth).mean()) for each in (ours, plain))
    effect = "do harm" if gain + half < 0 else "help" if gain - half > 0 else "make no clear change"
    reason = (
        f"Unlabelled images {effect} on {len(rows)} labelled ones held out: {100 * right:.0f} % right with "
        f"them, {100 * probe_right:.0f} % without; probability of the true class {100 * gain:+.1f} points "
        f"(90 % interval {100 * (gain - half):+.1f} to {100 * (gain + half):+.1f})"
        f"{_strangers(alike, foreign)}; {_CHOSEN[kept]}."
    )
    return Verdict(
        kept, reason, gain, gain - half, gain + half, len(rows), right, probe_right, alike
    )


_CHOSEN = {
    "probe": "the plain probe is kept",
    "spreading": "the probe that learns from them is preferred",
}


def _strangers(alike: float, foreign: bool) -> str:
    """Return the words for a pool of another kind."""
    if not foreign:
        return ""
    return (
        "; they seem to be of another kind: the labelled images are nearer to them than they are to "
        f"each other in {alike:.0%} of cases, where half is usual"
    )
