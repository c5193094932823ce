"""Self-training: a teacher labels the pool, a student learns from it and teaches the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone

from handful.core import Array, Bool, Float32, Float64, Int
from handful.heads.linear_probe import LinearProbe
from handful.heads.logits import one_hot, softmax
from handful.heads.pool import PENALTY, USUAL_SCALE, Pool, cross_fitted, scale_of
from handful.heads.unlabelled import (
    Prior,
    RuleMixin,
    aligned,
    check_numbers,
    checked_pool,
    checked_prior,
    in_columns,
)

_AGREEMENT = 0.99  # of teacher and student, at which there is nothing more to learn
_FLOOR = 1e-6
_SHARPNESS = 2


@dataclass(frozen=True)
class Round:
    """What one student saw, and how far it agrees with its teacher.

    Parameters
    ----------
    n_selected : int
        Unlabelled vectors whose pseudo-label counted.
    agreement : float
        Share of the unlabelled vectors that both give the same class, in ``[0, 1]``.
    """

    n_selected: int
    agreement: float


class SelfTraining(RuleMixin, MetaEstimatorMixin, BaseEstimator):
    """Train students on the pool as a teacher labels it.

    The teacher is fitted on the labelled vectors. Each round it gives every
    unlabelled one a pseudo-label, the surest of them count, and a student is fitted
    on these and the labels; it is the next teacher [1]_. The rounds take a growing
    share of every class, the surest first [2]_ [3]_, so that no class starves because the
    teacher is less sure of it. Rounds end early when student and teacher agree on
    99 % of the pool.

    Parameters
    ----------
    teacher : classifier, default=None
        Any head; it is cloned. None: `LinearProbe`.
    student : classifier, default=None
        Any head; it is cloned and fitted on hard labels. None: the ridge regression
        of the pseudo-labels on the whole pool, where a vector that is not selected
        keeps the teacher's probabilities, which changes nothing of what is believed of it.
        It is one linear rule.
    n_rounds : int, default=5
        At least 1. Round r of n takes the share r / n of every class.
    threshold : float, default=None
        Take the pseudo-labels of at least this probability instead, in ``(0, 1)``.
    labels : {"soft", "hard"}, default="soft"
        Whether the student learns from those selected their probabilities, squared, which sharpens
        them, or their classes. A given ``student`` needs "hard".
    class_prior : mapping of class to share, or array-like of shape (n_classes,), default=None
        Share of every class among all images, above 0, summing to 1: the
        pseudo-labels are aligned to it. None: they are taken as they come.
    max_unlabelled : int, default=50000
        Of more unlabelled vectors, so many are drawn at random.
    random_state : int, default=0
        Seed of that draw; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    rounds_ : list of Round
    pseudo_proba_ : ndarray of shape (n_unlabelled, n_classes), float32
        The last teacher's probabilities.
    loo_logits_ : ndarray of shape (n_samples, n_classes), float32
        Logits of every labelled vector from a run of all rounds without its label;
        of more than ten labels, from ten such runs, each without a tenth of them.
    n_features_in_ : int

    References
    ----------
    .. [1] Scudder, "Probability of error of some adaptive pattern-recognition
       machines", IEEE Transactions on Information Theory 11(3), 1965; as teacher and
       student in Xie et al., "Self-training with Noisy Student", CVPR 2020,
       https://arxiv.org/abs/1911.04252, whose noise has no place on fixed vectors.
    .. [2] Zou et al., "Unsupervised Domain Adaptation for Semantic Segmentation via
       Class-Balanced Self-Training", ECCV 2018, https://arxiv.org/abs/1810.07911.
    .. [3] Cascante-Bonilla et al., "Curriculum Labeling", AAAI 2021,
       https://arxiv.org/abs/2001.06001: a growing share in place of a threshold.
       Deviation: the share is taken class by class.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.repeat([[9.0, 1.0, 1.0], [1.0, 9.0, 1.0]], 20, axis=0) + rng.random((40, 3))
    >>> head = SelfTraining().fit(X[[0, 20]], ["cat", "dog"], X[1:])
    >>> head.predict([[0.5, 3.0, 0.5]])
    array(['dog'], dtype='<U3')
    """

    def __init__(
        self,
        teacher: Any = None,
        *,
        student: Any = None,
        n_rounds: int = 5,
        threshold: float | None = None,
        labels: str = "soft",
        class_prior: Prior | None = None,
        max_unlabelled: int = 50_000,
        random_state: int = 0,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.n_rounds = n_rounds
        self.threshold = threshold
        self.labels = labels
        self.class_prior = class_prior
        self.max_unlabelled = max_unlabelled
        self.random_state = random_state

    def fit(self, X: Array, y: Array, X_unlabelled: Array | None = None) -> Self:
        """Run the rounds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Of at least 2 classes.
        X_unlabelled : array-like of shape (n_unlabelled, n_features), default=None
            None: the student learns from the labelled vectors alone.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or the data cannot be used.
        """
        self._check()
        X, codes, unlabelled = checked_pool(self, X, y, X_unlabelled)
        prior = checked_prior("SelfTraining", self.class_prior, self.classes_)
        pool = Pool(X, unlabelled)
        given = self.teacher is not None or self.student is not None
        vectors = np.concatenate([X, unlabelled]) if given else pool.rows
        training = _Training(self, pool, vectors, codes, prior)
        held_out = training.held_out()
        scale = scale_of(held_out, codes) if self.student is None else 1.0
        self.loo_logits_ = (scale * held_out).astype(np.float32)
        *_, last = training.rounds(np.arange(len(codes)))
        self.rounds_, self.pseudo_proba_ = last.history, last.proba[len(codes) :]
        linear = last.head is None
        self.rule_ = pool.rule(last.targets, PENALTY, scale) if linear else last.head
        return self

    def _check(self) -> None:
        check_numbers(self, n_rounds=(0, 1001), max_unlabelled=(0, 10**9))
        if self.threshold is not None:
            check_numbers(self, threshold=(0.0, 1.0))
        if self.labels not in ("soft", "hard"):
            raise ValueError(
                "The 'labels' parameter of SelfTraining must be 'soft' or 'hard'. "
                f"Got {self.labels!r} instead."
            )
        if self.student is not None and self.labels == "soft":
            raise ValueError(
                f"The 'student' of SelfTraining, {self.student!r}, cannot learn soft labels. "
                "Set labels='hard', or leave the student out."
            )


@dataclass(frozen=True)
class _Taught:
    """The state after a round: its student is ``head``, or the ridge regression on ``targets``."""

    proba: Float32
    targets: Float32
    head: Any
    history: list[Round]


class _Training:
    """The rounds, on any part of the labels."""

    def __init__(
        self, asked: SelfTraining, pool: Pool, vectors: Float32, codes: Int, prior: Float64 | None
    ) -> None:
        self.asked, self.pool, self.vectors = asked, pool, vectors
        self.codes, self.prior = codes, prior
        self.n_classes = len(asked.classes_)

    def held_out(self) -> Float64:
        """Return scores of the labelled rows from runs without their labels."""

        def scores(kept: Int, left_out: Int) -> Float64:
            *_, last = self.rounds(kept, left_out)
            if last.head is None:
                return self.pool.held_out(last.targets, PENALTY, left_out)
            logits = np.full((len(left_out), self.n_classes), np.log(_FLOOR))
            proba = last.head.predict_proba(self.vectors[left_out])
            present = self._present(last.head)
            logits[:, present] = np.log(proba + _FLOOR)
            return logits

        return cross_fitted(self.codes, self.n_classes, scores)

    def rounds(self, kept: Int, left_out: Int | tuple[()] = ()) -> Iterator[_Taught]:
        """Yield the state after every round; rows left out never teach by a pseudo-label."""
        proba = self._first(kept)
        history: list[Round] = []
        fixed = one_hot(self.codes[kept], self.n_classes)
        for number in range(1, self.asked.n_rounds + 1):
            labels = proba if self.prior is None else aligned(np.log(proba + _FLOOR), self.prior)
            selected = self._selected(labels, number / self.asked.n_rounds)
            selected[np.asarray(left_out, np.int64)], selected[kept] = False, True
            taken = self._taken(labels)
            labels[kept] = taken[kept] = fixed
            targets, head = self._student(np.where(selected[:, None], taken, labels), selected)
            taught = self._proba(targets, head)
            new = slice(self.pool.n_labelled, None)
            same = taught[new].argmax(axis=1) == proba[new].argmax(axis=1)
            agreement = float(same.mean()) if len(same) else 1.0
            history = [*history, Round(int(selected[new].sum()), agreement)]
            yield _Taught(proba, targets, head, history)
            if agreement >= _AGREEMENT:
                return
            proba = taught

    def _first(self, kept: Int) -> Float32:
        linear = LinearProbe(power=1.0, unit_norm=False)
        rows = self.pool.rows if self.asked.teacher is None else self.vectors
        head = linear if self.asked.teacher is None else clone(self.asked.teacher)
        head.fit(rows[kept], self.codes[kept])
        return in_columns(head.predict_proba(rows), head.classes_, self.n_classes)

    def _selected(self, proba: Float32, share: float) -> Bool:
        sure = proba.max(axis=1)
        if self.asked.threshold is not None:
            return sure >= self.asked.threshold
        selected = np.zeros(len(proba), bool)
        for rows in _by_class(proba):
            least = np.quantile(sure[rows], 1 - share, method="lower")
            selected[rows] = sure[rows] >= least
        return selected

    def _taken(self, labels: Float32) -> Float32:
        """Return the pseudo-labels as they are learnt from: as classes, or sharper."""
        if self.asked.labels == "hard":
            return one_hot(labels.argmax(axis=1), self.n_classes)
        sharp = labels**_SHARPNESS
        return sharp / sharp.sum(axis=1, keepdims=True)

    def _student(self, labels: Float32, selected: Bool) -> tuple[Float32, Any]:
        if self.asked.student is not None:
            hard = labels[selected].argmax(axis=1)
            return labels, clone(self.asked.student).fit(
                self.vectors[selected], self.asked.classes_[hard]
            )
        return labels, None

    def _proba(self, targets: Float32, head: Any) -> Float32:
        if head is None:
            weight, bias = self.pool.ridge(targets, PENALTY)
            return softmax(np.float32(USUAL_SCALE) * (self.pool.rows @ weight + bias))
        return in_columns(head.predict_proba(self.vectors), self._present(head), self.n_classes)

    def _present(self, head: Any) -> Int:
        return np.searchsorted(self.asked.classes_, head.classes_)


def _by_class(proba: Float32) -> Iterator[Int]:
    codes = proba.argmax(axis=1)
    for code in np.unique(codes):
        yield np.flatnonzero(codes == code)
