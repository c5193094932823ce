"""The model behind the page: fitted on what is labelled, asked for suggestions and doubts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handful.core import Array, Bool, Float32, Int
from handful.heads import LinearProbe, TemperatureScaled, softmax
from handful.jobs.labelling.ledger import Ledger, is_answer
from handful.jobs.labelling.pool import Pool
from handful.jobs.labelling.suggesting import Suggested
from handful.measure import LabelErrors, label_errors
from handful.select import default

PLAN = 256  # images that a training plans ahead


@dataclass(frozen=True)
class Lesson:
    """What is labelled at one moment, as rows of a pool.

    Parameters
    ----------
    rows : ndarray of shape (n,), int64
        Learnt from.
    y : ndarray of shape (n,), str
    audits : ndarray of shape (n_audits,), int64
        Labelled blind, and never learnt from.
    y_audits : ndarray of shape (n_audits,), str
    closed : ndarray of shape (n_closed,), int64
        Not to be asked for: answered otherwise.
    """

    rows: Int
    y: Array
    audits: Int
    y_audits: Array
    closed: Int


@dataclass(frozen=True)
class Model:
    """One state of the page's model; the page shows it until the next is there.

    Parameters
    ----------
    number : int
        1, 2, 3, …; 0 while there is none.
    source : str
        The model file whose suggestions these are; empty for the page's own model.
    classes : tuple of str
    proba : ndarray of shape (n_pool, n_classes), float32, or None
        Of the rows that the pool had.
    plan : tuple of int
        Rows to ask for next, the most wanted first.
    n_labels : int
        Labels learnt from.
    hits : ndarray of shape (n_audits,), bool
        Whether it is right on each audit.
    sure : ndarray of shape (n_audits,), float32
        Probability of the class that it gives each audit.
    errors : LabelErrors or None
        Likely errors among the labels, ``rows`` of the pool.
    time, seconds : float
        When it was done (monotonic), and how long it took.
    """

    number: int = 0
    source: str = ""
    classes: tuple[str, ...] = ()
    proba: Float32 | None = None
    plan: tuple[int, ...] = ()
    n_labels: int = 0
    hits: Bool = field(default_factory=lambda: np.empty(0, np.bool_))
    sure: Float32 = field(default_factory=lambda: np.empty(0, np.float32))
    errors: LabelErrors | None = None
    time: float = 0.0
    seconds: float = 0.0

    @property
    def version(self) -> str | None:
        """How label events name it, None while there is none."""
        return self.source or (f"v{self.number}" if self.number else None)


def lesson(pool: Pool, ledger: Ledger, copies: set[str]) -> Lesson:
    """Return what is labelled.

    Parameters
    ----------
    pool : Pool
    ledger : Ledger
    copies : set of str
        Hashes of images that show the same picture as an audit: not learnt from, since
        every audit is scored by a model that saw neither it nor its copies.
    """
    rows: list[int] = []
    audits: list[int] = []
    closed: list[int] = []
    with ledger.lock:
        said, audited = dict(ledger.current), set(ledger.audits)
    for row, image in enumerate(pool.images):
        holds = said.get(image.hash)
        if holds is None or not is_answer(holds):
            continue
        if holds.label is None or (image.hash in copies and image.hash not in audited):
            closed.append(row)
        elif image.hash in audited:
            audits.append(row)
        else:
            rows.append(row)
    labels = {row: said[pool.images[row].hash].label or "" for row in [*rows, *audits]}
    return Lesson(
        np.array(rows, np.int64), np.array([labels[row] for row in rows], np.str_),
        np.array(audits, np.int64), np.array([labels[row] for row in audits], np.str_),
        np.array(closed, np.int64),
    )  # fmt: skip


def page_head() -> TemperatureScaled:
    """Return the unfitted head, for vectors that are transformed already."""
    return TemperatureScaled(LinearProbe(power=1.0, unit_norm=False))


def train(
    pool: Pool, what: Lesson, number: int, leased: Int, suggested: Suggested | None = None
) -> Model:
    """Fit the head, plan what to ask next and score the audits.

    Suggestions of a model file stand in while the head is not right more often: on the images it
    learnt from, each left out in turn.

    Parameters
    ----------
    pool : Pool
        Not empty.
    what : Lesson
    number : int
        Of the model before.
    leased : ndarray of int
        Rows that are on somebody's screen: not planned again.
    suggested : Suggested, optional
    """
    start = time.monotonic()
    head: Any = None
    if len(set(what.y)) > 1:
        head = page_head().fit(pool.X[what.rows], what.y)
    source, proba = "", None
    classes: tuple[str, ...] = ()
    if suggested is not None and not _is_righter(head, what, suggested):
        source, classes, proba = suggested.source, suggested.classes, suggested.proba
    elif head is not None:
        classes, proba = tuple(map(str, head.classes_)), head.predict_proba(pool.X)
    return Model(
        number=number + (proba is not None),
        source=source,
        classes=classes,
        proba=proba,
        plan=_plan(pool, proba, what, leased),
        n_labels=len(what.rows),
        hits=_hits(classes, proba, what),
        sure=np.empty(0, np.float32) if proba is None else proba[what.audits].max(axis=1),
        errors=None if head is None else _errors(head, what),
        time=time.monotonic(),
        seconds=time.monotonic() - start,
    )


def _plan(pool: Pool, proba: Float32 | None, what: Lesson, leased: Int) -> tuple[int, ...]:
    """Return the rows to ask for next, of all that are neither closed, reserved nor on a screen."""
    is_open = ~pool.is_reserved.copy()
    for rows in (what.closed, what.audits, leased[leased < len(pool)]):
        is_open[rows] = False
    is_open[what.rows] = True
    rows = np.flatnonzero(is_open)
    picks = default(
        proba=None if proba is None else proba[rows], X=pool.space[rows],
        labelled=np.searchsorted(rows, what.rows), n=_batch(len(what.rows)), random_state=len(what.rows),
    )  # fmt: skip
    return tuple(int(row) for row in rows[picks.indices])


def _batch(n_labels: int) -> int:
    """Return how many images to plan: few while each label changes much."""
    return int(np.clip(n_labels, 24, PLAN))


def _is_righter(head: Any, what: Lesson, suggested: Suggested) -> bool:
    """Return whether the head finds the class of more labelled images than the suggestions do."""
    if head is None:
        return False
    own = head.classes_[head.loo_logits_.argmax(axis=1)] == what.y
    theirs = np.array(suggested.classes)[suggested.proba[what.rows].argmax(axis=1)] == what.y
    return bool(own.sum() > theirs.sum())


def _hits(classes: tuple[str, ...], proba: Float32 | None, what: Lesson) -> Bool:
    if proba is None:
        return np.empty(0, np.bool_)
    return np.asarray(
        np.array(classes)[proba[what.audits].argmax(axis=1)] == what.y_audits, np.bool_
    )


def _errors(head: Any, what: Lesson) -> LabelErrors:
    """Return likely label errors among what was learnt, by leave-one-out probabilities."""
    codes = np.searchsorted(head.classes_, what.y)
    proba = softmax(head.loo_logits_).astype(np.float64)
    proba[np.bincount(codes)[codes] < 2] = np.nan  # nothing else shows what their class is like
    found = label_errors(codes, proba)
    return LabelErrors(what.rows[found.rows], found.proposed, found.margin, found.joint)
