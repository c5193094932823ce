"""Figures over few-shot tasks, each with an interval that says what it is an interval of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from handful.core import Array, Estimate, Float32, Float64, stream
from handful.measure.shared_images import SharedImages, accuracies
from handful.measure.tasks import Tasks

_N_BINS, _N_RESAMPLES = 15, 200
_MOST_PARTS = 500  # that are resampled: more tasks are taken together
_BLOCK = 256  # tasks


@dataclass(frozen=True)
class Quartile:
    """Tasks of similar coarsity.

    Parameters
    ----------
    low, high : float
        Coarsity of these tasks.
    accuracy : Estimate
    """

    low: float
    high: float
    accuracy: Estimate


def over_tasks(values: Float64, what: str, how: str) -> Estimate:
    """Return the mean of one share a task, with Student's interval over tasks.

    It says how well the mean over all tasks on these images is known, and nothing of other images.

    Examples
    --------
    >>> print(over_tasks(np.array([0.5, 0.7, 0.6]), "accuracy", "3 tasks"))
    accuracy 60.0 % (95 % interval 35.2–84.8, n=3; 3 tasks)
    """
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return Estimate.not_measurable(
            what, f"{how}: fewer than two tasks to measure it on", len(values)
        )
    return _about(values, float(values.std(ddof=1)) / len(values) ** 0.5, what, how)


def on_other_images(hits: Float32, shared: SharedImages, how: str) -> tuple[Estimate, Estimate]:
    """Return the accuracy on other images of the same classes: its mean, and what one task may get.

    To the error over tasks that of the images which the tasks share is added
    (`handful.measure.shared_images`). The second estimate has the same value and the range of 95 of
    100 single tasks: what one person who labels so many images will get. The variance between tasks
    is enlarged there for images that are drawn without being put back.

    Parameters
    ----------
    hits : ndarray of shape (n_tasks, n_query)
    shared : SharedImages
        Of the same tasks.
    how : str
        The tasks in words.
    """
    accuracy, one = accuracies(hits), "accuracy of one task"
    if len(accuracy) < 2:
        why = f"{how}: fewer than two tasks to measure it on"
        return tuple(Estimate.not_measurable(w, why, len(accuracy)) for w in ("accuracy", one))  # type: ignore[return-value]
    between = float(accuracy.var(ddof=1))
    variance = between / len(accuracy) + shared.error(hits) ** 2
    words = f"{how}; interval for other images of these classes, of which the tasks share {shared.n_images}"
    mean = _about(accuracy, variance**0.5, "accuracy", words)
    variance += between / max(1 - shared.most_given, 0.5)
    words = f"{how}; range of 95 of 100 draws of labels, on other images of these classes"
    return mean, _about(accuracy, variance**0.5, one, words)


def difference_over_tasks(ours: Float64, theirs: Float64, what: str) -> Estimate:
    """Return the mean difference of two methods on the same tasks, with Student's interval over tasks.

    Parameters
    ----------
    ours, theirs : ndarray of shape (n_tasks,), float64
        A share a task; a task where one is NaN is left out.
    what : str
        What the difference is of.

    Examples
    --------
    >>> print(difference_over_tasks(np.array([0.5, 0.7, 0.7]), np.array([0.5, 0.6, 0.7]), "gain").value)
    0.0333...
    """
    differences = ours - theirs
    differences = differences[~np.isnan(differences)]
    how = f"paired over {len(differences)} tasks"
    if len(differences) < 2:
        return Estimate.not_measurable(what, "fewer than two tasks", len(differences))
    half = float(stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences))
    mean = float(differences.mean())
    return Estimate(mean, mean - half, mean + half, len(differences), what, how)


def of_classes(tasks: Tasks, hits: Float32) -> dict[str, Estimate]:
    """Return the recall of each class over the tasks that ask for it."""
    known = tasks.query_codes >= 0
    task = np.broadcast_to(np.arange(len(tasks))[:, None], known.shape)[known]
    place = tasks.query_codes[known]
    n_way = tasks.classes.shape[1]
    n = np.bincount(task * n_way + place, minlength=len(tasks) * n_way)
    right = np.bincount(task * n_way + place, hits[known], minlength=len(tasks) * n_way)
    recall = np.where(n > 0, right / np.maximum(n, 1), np.nan)
    owner = tasks.classes.ravel()
    return {
        name: over_tasks(recall[owner == c], f"recall of {name}", "interval over its tasks")
        for c, name in enumerate(tasks.class_names)
    }


def by_quartile(accuracy: Float64, coarsity: Float64) -> list[Quartile]:
    """Return the accuracy of each quarter of the tasks, the finest first: classes most alike."""
    order = np.argsort(coarsity, kind="stable")
    order = order[~np.isnan(coarsity[order])]
    return [
        Quartile(
            float(coarsity[rows[0]]), float(coarsity[rows[-1]]),
            over_tasks(accuracy[rows], "accuracy", f"{len(rows)} tasks of this coarsity; interval over tasks"),
        )
        for rows in np.array_split(order, 4) if len(rows)
    ]  # fmt: skip


def calibration_over_tasks(
    confidence: Float32, hits: Float32, how: str, random_state: int = 0
) -> Estimate:
    """Return the expected calibration error over all tasks, its interval by resampling tasks.

    15 bins of equal width; images of one task are kept together.
    """
    what = "calibration error"
    known = ~np.isnan(hits)
    if len(hits) < 2:
        return Estimate.not_measurable(what, f"{how}: fewer than two tasks")
    place = np.minimum((np.where(known, confidence, 0) * _N_BINS).astype(np.int64), _N_BINS - 1)
    cell = np.arange(len(hits))[:, None] * _N_BINS + place
    size = len(hits) * _N_BINS
    gaps = np.where(known, confidence - hits, 0).astype(np.float64)
    gap = np.bincount(cell.ravel(), gaps.ravel(), minlength=size).reshape(-1, _N_BINS)
    n = known.sum(axis=1)
    value = float(np.abs(gap.sum(axis=0)).sum() / n.sum())
    random = stream(random_state, "calibration over tasks")
    starts = np.linspace(0, len(n), min(len(n), _MOST_PARTS), endpoint=False).astype(np.int64)
    gap, n = np.add.reduceat(gap, starts), np.add.reduceat(n, starts)
    weights = random.multinomial(len(n), np.full(len(n), 1 / len(n)), size=_N_RESAMPLES)
    draws = np.abs(weights @ gap).sum(axis=1) / (weights @ n)
    low, high = np.quantile(draws, [0.025, 0.975])
    words = f"{how}; {_N_BINS} bins, interval by resampling tasks"
    return Estimate(value, min(value, float(low)), max(value, float(high)), len(hits), what, words)


def known_auroc(score: Float32, known: Array, unknown: Array) -> Estimate:
    """Return how well a score tells the classes of a task from others: the mean AUROC over tasks.

    Parameters
    ----------
    score : ndarray of shape (n_tasks, n_query)
        High for known.
    known, unknown : ndarray of shape (n_tasks, n_query), bool
    """
    what, how = "AUROC of known against unknown", "largest logit; interval over tasks"
    if not unknown.any():
        return Estimate.not_measurable(what, "no task asks for images of other classes")
    values = np.concatenate(list(_aurocs(score, known, unknown)))
    return over_tasks(values, what, how)


def _aurocs(score: Float32, known: Array, unknown: Array) -> Iterator[Float64]:
    for start in range(0, len(score), _BLOCK):
        block = slice(start, start + _BLOCK)
        pairs = known[block, :, None] & unknown[block, None, :]
        ours, theirs = score[block, :, None], score[block, None, :]
        wins = np.where(pairs, (ours > theirs) + 0.5 * (ours == theirs), 0).sum(axis=(1, 2))
        n = pairs.sum(axis=(1, 2))
        yield np.where(n > 0, wins / np.maximum(n, 1), np.nan)


def _about(values: Float64, error: float, what: str, how: str) -> Estimate:
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return Estimate(
        mean,
        min(mean, max(0.0, mean - half)),
        max(mean, min(1.0, mean + half)),
        len(values),
        what,
        how,
    )
