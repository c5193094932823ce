"""Ask, label, tell: the state of one session of active learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from handful.core import Array, Bool, Float32, Float64, Int, did_you_mean, listed, stream
from handful.heads import BootstrapEnsemble, LinearProbe, TemperatureScaled
from handful.select.drawing import random as drawn_at_random
from handful.select.hybrid import is_cold
from handful.select.picks import Picks
from handful.select.space import prepared
from handful.select.strategies import STRATEGIES

AUDITS = 0.1
"""Share of the images that is set apart for audits, and of the picks that come from it."""
_TYPICAL, _AUDIT = STRATEGIES["typiclust"].why, "audit: drawn at random"


@dataclass(frozen=True)
class Batch:
    """What to label now.

    Parameters
    ----------
    indices : ndarray of shape (n,), int64
        Rows of the pool, distinct, the most wanted first.
    q : ndarray of shape (n,), float64
        See `Picks`.
    blind : ndarray of shape (n,), bool
        Audits: to be labelled without a suggestion, and not to be learnt from.
    why : tuple of str
        One sentence an image.
    """

    indices: Int
    q: Float64
    blind: Bool
    why: tuple[str, ...]


class Loop:
    """Ask for images, tell their labels, and look at the model in between.

    Audits are drawn from a tenth of the pool that is set apart at the start, so
    that they are a uniform sample of it whatever the rule picks; the model never
    learns from them, so each of its states can be scored on all of them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Vectors of all images, by a backbone.
    strategy : str, default="default"
        A name in `STRATEGIES`.
    head : classifier, default=None
        Unfitted; None: a calibrated `LinearProbe`.
    audits : float, default=0.1
        Share of the images set apart, and of every batch that comes from them, in
        ``[0, 1)``; 0: no audits.
    closed : array of int, default=()
        Rows that are never asked for, such as images a person could not tell.
    random_state : int, default=0

    Attributes
    ----------
    labelled : ndarray of shape (n_labelled,), int64
        Rows that the model learns from, as they were told.
    y : ndarray of shape (n_labelled,)
        Their labels.
    audited : ndarray of shape (n_audited,), int64
    y_audited : ndarray of shape (n_audited,)
    head_ : classifier or None
        Fitted on the labels told; None while there are fewer than two classes.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((50, 4))
    >>> loop = Loop(X, audits=0)
    >>> batch = loop.ask(4)
    >>> loop.tell(batch.indices, ["cat", "dog", "cat", "dog"])
    >>> loop.proba().shape, len(loop.ask(100).indices)
    ((50, 2), 46)
    """

    def __init__(
        self,
        X: Array,
        *,
        strategy: str = "default",
        head: Any = None,
        audits: float = AUDITS,
        closed: Array | tuple[int, ...] = (),
        random_state: int = 0,
    ) -> None:
        check_strategy(strategy)
        if not 0 <= audits < 1:
            raise ValueError(f"The 'audits' of Loop must be in [0, 1). Got {audits!r}.")
        self.X, self.space = np.asarray(X, np.float32), prepared(X, random_state=random_state)
        self.strategy, self.random_state, self.audits = strategy, random_state, audits
        self._head = TemperatureScaled(LinearProbe()) if head is None else head
        self._closed = np.asarray(closed, np.int64)
        order = stream(random_state, "audits").permutation(len(self.X))
        self._reserved = order[: round(audits * len(self.X))]
        self._due = 0.0
        self.labelled, self.audited = np.empty(0, np.int64), np.empty(0, np.int64)
        self.y: Array = np.empty(0, np.str_)
        self.y_audited: Array = np.empty(0, np.str_)
        self.head_: Any = None
        self._rows, self._space = np.empty(0, np.int64), self.space[:0]
        self._proba: Float32 | None = None

    def tell(self, rows: Array, labels: Array | list[Any], *, blind: Array | bool = False) -> None:
        """Add labels, and fit the model again.

        Parameters
        ----------
        rows : array of int
            Told the second time, a label replaces the first.
        labels : array
            One a row.
        blind : bool, or array of them, default=False
            Audits, which the model does not learn from.
        """
        rows, labels = np.asarray(rows, np.int64), np.asarray(labels)
        is_audit = np.broadcast_to(np.asarray(blind, np.bool_), rows.shape)
        self.labelled, self.y = _told(self.labelled, self.y, rows, labels, ~is_audit)
        self.audited, self.y_audited = _told(self.audited, self.y_audited, rows, labels, is_audit)
        self._proba, self.head_ = None, None
        if len(np.unique(self.y)) > 1:
            self.head_ = clone(self._head).fit(self.X[self.labelled], self.y)

    def close(self, rows: Array | list[int]) -> None:
        """Never ask for these rows again."""
        self._closed = np.union1d(self._closed, np.asarray(rows, np.int64))

    def proba(self) -> Float32 | None:
        """Return the model's probabilities of all images; None while there is no model."""
        if self._proba is None and self.head_ is not None:
            self._proba = self.head_.predict_proba(self.X)
        return self._proba

    def ask(self, n: int) -> Batch:
        """Return the images to label next, audits among them.

        Parameters
        ----------
        n : int
            Images wanted; clipped to those there are.
        """
        audits = self._audits(n)
        picks = self._picks(n - len(audits))
        indices, q = (
            np.concatenate([picks.indices, audits.indices]),
            np.concatenate([picks.q, audits.q]),
        )
        blind = np.arange(len(indices)) >= len(picks)
        why = [self.why] * len(picks) + [_AUDIT] * len(audits)
        order = np.arange(len(indices))
        if len(audits):  # their place must not give them away
            order = stream(self.random_state + len(self.labelled), "order").permutation(order)
        return Batch(indices[order], q[order], blind[order], tuple(why[row] for row in order))

    @property
    def why(self) -> str:
        """Why the rule picks an image now."""
        if self.strategy == "default" and is_cold(self.proba(), len(self.labelled)):
            return _TYPICAL
        return STRATEGIES[self.strategy].why

    def _audits(self, n: int) -> Picks:
        """Return the audits of a batch; what a share leaves of an image is owed to the next."""
        left = np.setdiff1d(
            self._reserved, np.concatenate([self.audited, self.labelled, self._closed])
        )
        self._due += self.audits * n
        due = int(self._due + 1e-9)
        self._due -= due
        wanted = min(due, n, len(left))
        state = self.random_state + len(self.audited)
        found = drawn_at_random(X=self.space[left], n=wanted, random_state=state)
        return Picks(left[found.indices], found.q)

    def _picks(self, n: int) -> Picks:
        strategy, proba = STRATEGIES[self.strategy], self.proba()
        rows, space = self._open()
        known: dict[str, Any] = {"labelled": np.searchsorted(rows, self.labelled), "n": n}
        if strategy.needs == "members":
            proba = self._members()
        elif strategy.needs == "predictor":
            known["predict_proba"] = None if self.head_ is None else self.head_.predict_proba
            known["vectors"] = self.X[rows]
        elif strategy.needs == "counts" and self.head_ is not None:
            known["y"] = np.searchsorted(self.head_.classes_, self.y)
        part = proba if proba is None or len(rows) == len(self.X) else proba[..., rows, :]
        state = self.random_state + len(self.labelled)
        picks = strategy.rule(proba=part, X=space, random_state=state, **known)
        return Picks(rows[picks.indices], picks.q)

    def _open(self) -> tuple[Int, Float32]:
        """Return the rows that a rule may see, and their space, which seldom change."""
        is_open = np.ones(len(self.X), np.bool_)
        for closed in (self._reserved, self._closed, self.audited):
            is_open[closed] = False
        is_open[self.labelled] = True
        rows = np.flatnonzero(is_open)
        if not np.array_equal(rows, self._rows):
            self._rows = rows
            self._space = self.space if is_open.all() else self.space[rows]
        return self._rows, self._space

    def _members(self) -> Float32 | None:
        if self.head_ is None:
            return None
        ensemble = BootstrapEnsemble(LinearProbe(), random_state=self.random_state)
        return ensemble.fit(self.X[self.labelled], self.y).sample_proba(self.X)


def check_strategy(name: str) -> None:
    """Raise ValueError unless there is a strategy of this name."""
    if name not in STRATEGIES:
        hint = did_you_mean(name, STRATEGIES)
        raise ValueError(
            f"No strategy {name!r}{hint}. Expected one of {listed(STRATEGIES, most=99)}."
        )


def _told(rows: Int, y: Array, new_rows: Int, new_y: Array, keep: Bool) -> tuple[Int, Array]:
    """Return rows and labels with the new ones that are kept, the latest of each row."""
    stays = ~np.isin(rows, new_rows)
    labels = new_y[keep] if not len(y) else np.concatenate([y[stays], new_y[keep]])
    return np.concatenate([rows[stays], new_rows[keep]]), labels
