"""Play a session of active learning with an oracle that knows, or almost knows, all labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Array, Int, stream
from handful.select.loop import Loop


class Oracle:
    """Answers with the true label, or with another one now and then.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        True labels.
    noise : float, default=0.0
        Share of images answered with another class, in ``[0, 1]``; an image gets the
        same answer each time.
    random_state : int, default=0

    Examples
    --------
    >>> Oracle(["cat", "dog", "cat"]).label([2, 1]).tolist()
    ['cat', 'dog']
    """

    def __init__(self, y: Array, *, noise: float = 0.0, random_state: int = 0) -> None:
        if not 0 <= noise <= 1:
            raise ValueError(f"The 'noise' of Oracle must be in [0, 1]. Got {noise!r}.")
        random = stream(random_state, "oracle")
        names, codes = np.unique(np.asarray(y), return_inverse=True)
        wrong = (random.random(len(codes)) < noise) & (len(names) > 1)
        others = (codes + random.integers(1, max(len(names), 2), len(codes))) % len(names)
        self._answers: Array = names[np.where(wrong, others, codes)]

    def label(self, rows: Array) -> Array:
        """Return the answers for some images."""
        return self._answers[np.asarray(rows, np.int64)]


@dataclass(frozen=True)
class Curve:
    """Accuracy on images that were never asked for, at rising numbers of labels.

    Parameters
    ----------
    labels : ndarray of shape (n_rounds,), int64
    accuracy : ndarray of shape (n_rounds,)
        Fractions.
    """

    labels: Int
    accuracy: Array


def simulate(
    loop: Loop, oracle: Oracle, X_test: Array, y_test: Array, *, budget: int, batch: int = 20
) -> Curve:
    """Ask, label and tell until the budget is spent, and measure after every batch.

    Parameters
    ----------
    loop : Loop
        Fresh.
    oracle : Oracle
    X_test : ndarray of shape (n_test, n_features)
    y_test : ndarray of shape (n_test,)
    budget : int
        Labels in all, audits among them.
    batch : int, default=20

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["a", "b"], 50)
    >>> X = rng.random((100, 3)) + 2 * (y == "b")[:, None] * [1, 0, 0]
    >>> curve = simulate(Loop(X, audits=0), Oracle(y), X, y, budget=20, batch=10)
    >>> curve.labels.tolist(), bool(curve.accuracy[-1] > 0.9)
    ([10, 20], True)
    """
    labels: list[int] = []
    accuracy: list[float] = []
    while not labels or labels[-1] < budget:
        asked = loop.ask(min(batch, budget - (labels[-1] if labels else 0)))
        if not len(asked.indices):
            break
        loop.tell(asked.indices, oracle.label(asked.indices), blind=asked.blind)
        labels.append(len(loop.labelled) + len(loop.audited))
        accuracy.append(float((_predicted(loop, len(y_test), X_test) == y_test).mean()))
    return Curve(np.array(labels, np.int64), np.array(accuracy))


def _predicted(loop: Loop, n: int, X: Array) -> Array | Any:
    if loop.head_ is not None:
        return loop.head_.predict(X)
    return np.repeat(loop.y[:1], n) if len(loop.y) else np.full(n, None)
