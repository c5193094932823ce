"""Several annotators: how far they agree, how good each is, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handful.core import Array, Float64, Int

_ROUNDS, _TOLERANCE = 200, 1e-7
_STEADY, _ERRING = 2.0, 1.0  # pseudo-counts: an annotator begins as better than chance


@dataclass(frozen=True)
class Consensus:
    """What several annotators say together.

    Parameters
    ----------
    proba : ndarray of shape (n_items, n_classes), float64
        Probability of each class; NaN where nobody answered.
    confusion : ndarray of shape (n_annotators, n_classes, n_classes), float64
        Probability of each answer (last axis) for each true class.
    accuracy : ndarray of shape (n_annotators,), float64
        Expected share of right answers of each on its own items; NaN without any.
    """

    proba: Float64
    confusion: Float64
    accuracy: Float64


def annotator_agreement(votes: Array) -> tuple[float, float, int]:
    """Return how often two annotators of an item agree, and how far beyond chance.

    Parameters
    ----------
    votes : array of shape (n_items, n_annotators), int
        Classes, -1 where an annotator said nothing.

    Returns
    -------
    share : float
        Of the pairs of answers to one item that are the same, every item alike; NaN
        without an item of two answers.
    alpha : float
        Krippendorff's alpha for nominal data: 1 is perfect, 0 is chance [1]_; NaN
        where only one class occurs.
    n : int
        Items with at least two answers.

    References
    ----------
    .. [1] Hayes and Krippendorff, "Answering the Call for a Standard Reliability
       Measure for Coding Data", 2007, https://doi.org/10.1080/19312450709336664

    Examples
    --------
    >>> annotator_agreement([[0, 0], [1, 1], [0, 1], [1, -1]])[::2]
    (0.6666666666666666, 3)
    """
    counts = _counts(np.asarray(votes, np.int64))
    answers = counts.sum(axis=1)
    counts, answers = counts[answers > 1], answers[answers > 1]
    if not len(counts):
        return float("nan"), float("nan"), 0
    same = (counts * (counts - 1)).sum(axis=1) / (answers * (answers - 1))
    total = counts.sum(axis=0)
    observed = 1 - float((same * answers).sum() / answers.sum())
    pairs = float(total.sum() * (total.sum() - 1))
    expected = 1 - float((total * (total - 1)).sum()) / pairs
    alpha = 1 - observed / expected if expected > 0 else float("nan")
    return float(same.mean()), alpha, len(counts)


def dawid_skene(votes: Array, n_classes: int) -> Consensus:
    """Estimate true classes and the errors of every annotator together.

    Expectation and maximisation from the majority vote on [1]_: who is often
    alone in an answer counts less.

    Parameters
    ----------
    votes : array of shape (n_items, n_annotators), int
        Classes, -1 where an annotator said nothing.
    n_classes : int

    Returns
    -------
    Consensus

    Raises
    ------
    ValueError
        If a vote is no class.

    References
    ----------
    .. [1] Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates
       Using the EM Algorithm", JRSS C 28(1), 1979,
       https://doi.org/10.2307/2346806. Deviation: pseudo-counts on the confusion
       (2 for the right answer, 1 spread over the others) and 1 a class on the
       shares, without which few answers drive estimates to 0 and 1.

    Examples
    --------
    >>> votes = [[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 1, 1]]
    >>> dawid_skene(votes, 2).proba.argmax(axis=1).tolist()
    [0, 1, 0, 1, 1]
    """
    votes = np.asarray(votes, np.int64)
    if votes.ndim != 2 or (votes.size and not (votes.min() >= -1 and votes.max() < n_classes)):
        raise ValueError(f"Votes are a table of classes -1 to {n_classes - 1}, a row an item.")
    said = (votes[:, :, None] == np.arange(n_classes)).astype(np.float64)
    answered = said.any(axis=(1, 2))
    proba = said.sum(axis=1)[answered]
    proba /= proba.sum(axis=1, keepdims=True)
    for _ in range(_ROUNDS):
        share, confusion = _maximised(proba, said[answered])
        new = _expected(share, confusion, said[answered])
        change = float(np.abs(new - proba).max(initial=0.0))
        proba = new
        if change < _TOLERANCE:
            break
    share, confusion = _maximised(proba, said[answered])
    right = np.einsum("ik,iak->a", proba, said[answered])
    total = said.sum(axis=(0, 2))
    accuracy = np.where(total > 0, right / np.maximum(total, 1), np.nan)
    everywhere = np.full((len(votes), n_classes), np.nan)
    everywhere[answered] = proba
    return Consensus(everywhere, confusion, accuracy)


def _counts(votes: Int) -> Float64:
    return (votes[:, :, None] == np.arange(votes.max(initial=0) + 1)).sum(axis=1).astype(np.float64)


def _maximised(proba: Float64, said: Float64) -> tuple[Float64, Float64]:
    """Return the shares of the classes and the confusion of every annotator."""
    n_classes = proba.shape[1]
    prior = np.full((n_classes, n_classes), _ERRING / max(n_classes - 1, 1))
    np.fill_diagonal(prior, _STEADY)
    confusion = np.einsum("it,iak->atk", proba, said) + prior
    confusion /= confusion.sum(axis=2, keepdims=True)
    share = proba.sum(axis=0) + 1.0
    return share / share.sum(), confusion


def _expected(share: Float64, confusion: Float64, said: Float64) -> Float64:
    logs = np.log(share) + np.einsum("iak,atk->it", said, np.log(confusion))
    proba = np.exp(logs - logs.max(axis=1, keepdims=True, initial=-np.inf))
    normed: Float64 = proba / proba.sum(axis=1, keepdims=True)
    return normed
