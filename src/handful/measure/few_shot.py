"""Evaluate rules and heads on the same few-shot tasks, thousands of them at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import clone
from threadpoolctl import threadpool_limits

from handful.core import (
    Array,
    Estimate,
    Float32,
    Float64,
    MeasureError,
    Progress,
    listed,
    usable_cores,
)
from handful.heads import InnerProducts, Products, Rule, transformed
from handful.measure.episode_figures import (
    Quartile,
    by_quartile,
    calibration_over_tasks,
    difference_over_tasks,
    known_auroc,
    of_classes,
    on_other_images,
    over_tasks,
)
from handful.measure.shared_images import SharedImages, accuracies
from handful.measure.tasks import Tasks

_EVER = 2**40  # calls that products which are kept are expected to serve
_MOST = 2**22  # numbers of a block in all


@dataclass(frozen=True)
class Answers:
    """What one method said on every task.

    Parameters
    ----------
    hits : ndarray of shape (n_tasks, n_query), float32
        1 where right, 0 where wrong, NaN where there is no image or its class is none of the task's.
    confidence : ndarray of shape (n_tasks, n_query), float32
        Largest probability.
    score : ndarray of shape (n_tasks, n_query), float32
        Largest logit: low for images of no class of the task.
    seconds : float
    """

    hits: Float32
    confidence: Float32
    score: Float32
    seconds: float


@dataclass(frozen=True)
class EpisodeFigures:
    """Every figure of one method on a list of tasks.

    Parameters
    ----------
    name : str
    transductive : bool
        Whether it saw the queries of a task together.
    accuracy : Estimate
        Mean over tasks on these images; its interval is that over tasks, as papers give it.
    elsewhere : Estimate
        The same mean, with the interval of other images of these classes: tasks share images.
    one_task : Estimate
        The same mean, with the range of 95 of 100 single tasks on other images.
    per_class : dict of str to Estimate
        Recall of each class over its tasks.
    quartiles : list of Quartile
        Accuracy by coarsity, the finest tasks first; empty without distances.
    ece : Estimate
        Calibration error.
    auroc : Estimate
        Of telling the classes of a task from others by the largest logit.
    accuracies : ndarray of shape (n_tasks,)
    seconds : float
    """

    name: str
    transductive: bool
    accuracy: Estimate
    elsewhere: Estimate
    one_task: Estimate
    per_class: dict[str, Estimate]
    quartiles: list[Quartile]
    ece: Estimate
    auroc: Estimate
    accuracies: Float64 = field(repr=False)
    seconds: float = 0.0


@dataclass(frozen=True)
class EpisodeReport:
    """Several methods on the same tasks.

    Parameters
    ----------
    tasks : str
        The tasks in words.
    fingerprint : str
        Of the list of tasks.
    methods : dict of str to EpisodeFigures
        In the order given.
    differences : dict of str to Estimate
        Accuracy of the best method minus that of each other, paired by task.
    best : str
        The method with the highest mean.
    warnings : list of str
        What makes the figures less than they seem.
    """

    tasks: str
    fingerprint: str
    methods: dict[str, EpisodeFigures]
    differences: dict[str, Estimate]
    best: str
    warnings: list[str]


def evaluate_episodes(
    X: Array,
    y: Array,
    tasks: Tasks,
    methods: Mapping[str, Any],
    *,
    distances: Array | None = None,
    random_state: int = 0,
    quiet: bool = True,
    kept: dict[tuple[float, bool], InnerProducts] | None = None,
) -> EpisodeReport:
    """Measure methods on the same tasks.

    Rules are evaluated on many tasks at once, on products that are looked up in one matrix
    where it fits into 1 GiB and pays; heads are fitted task by task.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_features)
        Vectors, such as `handful.embeddings` caches.
    y : array of shape (n_images,)
        The labels that the tasks were drawn from.
    tasks : Tasks
    methods : mapping of str to Rule or classifier
        Rules of `handful.heads.RULES`, or unfitted scikit-learn classifiers.
    distances : ndarray of shape (n_classes, n_classes), optional
        Between the classes, for accuracy by coarsity.
    random_state : int, default=0
        Seed of the resampling behind the interval of the calibration error.
    quiet : bool, default=True
        Show no progress.
    kept : dict, optional
        Products to use again in later calls with the same vectors: an empty one at first. The
        matrix of all products is then computed wherever it fits, as it pays in the long run.

    Returns
    -------
    EpisodeReport

    Raises
    ------
    MeasureError
        If a vector is not finite, or the tasks are not of these images.
    ValueError
        If there is no method.

    Examples
    --------
    >>> from handful.heads import RULES
    >>> from handful.measure import sample_episodes
    >>> random = np.random.default_rng(0)
    >>> y = np.repeat(["a", "b", "c"], 20)
    >>> X = random.normal(size=(60, 8)) + 3 * np.eye(8)[np.repeat([0, 1, 2], 20)]
    >>> tasks = sample_episodes(y, n_way=3, n_query=5, n_tasks=50)
    >>> report = evaluate_episodes(X, y, tasks, {"prototypes": RULES[2]})
    >>> report.methods["prototypes"].accuracy.value > 0.7
    True
    """
    if not methods:
        raise ValueError("The 'methods' of evaluate_episodes must name at least one. Got none.")
    X = checked_vectors(X)
    tasks.check_images(y)
    shared = SharedImages(tasks)
    found: dict[str, EpisodeFigures] = {}
    sources = {} if kept is None else kept
    times = 1 if kept is None else _EVER
    with Progress("episodes", len(methods) * len(tasks), unit="tasks", quiet=quiet) as progress:
        for name, method in methods.items():
            if isinstance(method, Rule):
                answers = _by_rule(method, X, tasks, sources, times, progress)
            else:
                answers = _by_head(method, X, tasks, progress)
            is_transductive = isinstance(method, Rule) and method.transductive
            found[name] = _figures(
                name, is_transductive, answers, tasks, shared, distances, random_state
            )
    best = max(found, key=lambda name: found[name].accuracy.value)
    return EpisodeReport(
        tasks=tasks.how, fingerprint=tasks.fingerprint, methods=found, best=best,
        differences={
            name: difference_over_tasks(found[best].accuracies, f.accuracies, f"{best} minus {name}")
            for name, f in found.items() if name != best
        },
        warnings=_warnings(tasks, found),
    )  # fmt: skip


def checked_vectors(X: Array) -> Float32:
    """Return vectors as float32.

    Raises
    ------
    MeasureError
        Naming the rows that are not finite.
    """
    X = np.asarray(X, np.float32)
    bad = [] if X.ndim != 2 else np.flatnonzero(~np.isfinite(X).all(axis=1)).tolist()
    if X.ndim != 2 or bad:
        what = f"rows {listed(bad)} are NaN or infinite" if bad else f"the shape {X.shape}"
        raise MeasureError(
            f"Vectors must be one finite row an image. Got: {what}. Embed these images again, or leave them out."
        )
    return X


def _by_rule(
    rule: Rule,
    X: Float32,
    tasks: Tasks,
    sources: dict[tuple[float, bool], InnerProducts],
    times: int,
    progress: Progress,
) -> Answers:
    start = time.perf_counter()
    t, s, q = len(tasks), tasks.support[0].size, tasks.query.shape[1]
    pairs = s * (s + q) + (q * q if rule.transductive else 0)
    key = (rule.power, rule.unit_norm)
    if key not in sources:
        rows = transformed(X, power=rule.power, unit_norm=rule.unit_norm)
        sources[key] = InnerProducts(rows, rows=times * t * (s + q), pairs=times * t * pairs)
    inner = sources[key]

    def logits(begin: int, end: int) -> Float32:
        support, query = tasks.support[begin:end], tasks.query[begin:end]
        return rule.logits(Products.of(inner, support, query, with_pool=rule.transductive))

    size = max(1, min(_MOST // (3 * pairs), -(-t // (2 * usable_cores()))))
    return _collected(logits, tasks, size, start, progress)


def _by_head(head: Any, X: Float32, tasks: Tasks, progress: Progress) -> Answers:
    start = time.perf_counter()
    head, X = _prepared(head, X)

    def logits(begin: int, end: int) -> Float32:
        out = np.full(
            (end - begin, tasks.query.shape[1], tasks.classes.shape[1]), -np.inf, np.float32
        )
        for task in range(begin, end):
            given = tasks.support[task] >= 0
            codes = np.broadcast_to(np.arange(given.shape[0])[:, None], given.shape)[given]
            fitted = clone(head).fit(X[tasks.support[task][given]], codes)
            asked = tasks.query[task] >= 0
            answer = _logits_of(fitted, X[tasks.query[task][asked]])
            out[task - begin][np.ix_(asked, fitted.classes_)] = answer
        return out

    return _collected(logits, tasks, 1, start, progress)


def _prepared(head: Any, X: Float32) -> tuple[Any, Float32]:
    """Do once to all vectors what a head such as `LinearProbe` would do to them in every task."""
    settings = head.get_params(deep=False)
    if not {"power", "unit_norm"} <= settings.keys():
        return head, X
    X = transformed(X, power=settings["power"], unit_norm=settings["unit_norm"])
    return clone(head).set_params(power=1.0, unit_norm=False), X


def _logits_of(fitted: Any, X: Float32) -> Array:
    if hasattr(fitted, "predict_logits"):
        return fitted.predict_logits(X)
    return np.log(np.maximum(fitted.predict_proba(X), 1e-30))


def _collected(
    logits: Callable[[int, int], Float32], tasks: Tasks, size: int, start: float, progress: Progress
) -> Answers:
    """Answer blocks of tasks on every core, and keep what the figures need."""
    hits, confidence, score = (np.empty(tasks.query.shape, np.float32) for _ in range(3))

    def work(begin: int) -> int:
        end = min(begin + size, len(tasks))
        block = slice(begin, end)
        asked, codes = tasks.query[block] >= 0, tasks.query_codes[block]
        found = logits(begin, end)
        if not asked.all():
            found = np.where(asked[:, :, None], found, 0)
        columns = np.ascontiguousarray(found.reshape(-1, found.shape[2]).T)  # reduced much faster
        top = columns.max(axis=0)
        score[block] = top.reshape(asked.shape)
        confidence[block] = (1 / np.exp(columns - top).sum(axis=0)).reshape(asked.shape)
        right = (found.argmax(axis=2) == codes).astype(np.float32)
        hits[block] = np.where(codes >= 0, right, np.nan)
        return end - begin

    # the blocks are the parallel part: threads of BLAS inside them would only wait for each other
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(usable_cores()) as pool:
        for n in pool.map(work, range(0, len(tasks), size)):
            progress.advance(n)
    return Answers(hits, confidence, score, time.perf_counter() - start)


def _figures(
    name: str, transductive: bool, answers: Answers, tasks: Tasks, shared: SharedImages,
    distances: Array | None, random_state: int,
) -> EpisodeFigures:  # fmt: skip
    accuracy = accuracies(answers.hits)
    known = tasks.query_codes >= 0
    elsewhere, one_task = on_other_images(answers.hits, shared, tasks.how)
    return EpisodeFigures(
        name=name,
        transductive=transductive,
        accuracy=over_tasks(accuracy, "accuracy", f"{tasks.how}; interval over tasks"),
        elsewhere=elsewhere,
        one_task=one_task,
        per_class=of_classes(tasks, answers.hits),
        quartiles=by_quartile(accuracy, tasks.coarsity(distances)) if distances is not None else [],
        ece=calibration_over_tasks(answers.confidence, answers.hits, tasks.how, random_state),
        auroc=known_auroc(answers.score, known, (tasks.query >= 0) & ~known),
        accuracies=accuracy,
        seconds=answers.seconds,
    )


def _warnings(tasks: Tasks, found: Mapping[str, EpisodeFigures]) -> list[str]:
    out = []
    if tasks.left_out:
        out.append(f"Left out, as they have too few images: {listed(map(repr, tasks.left_out))}.")
    seeing = [name for name, figures in found.items() if figures.transductive]
    if seeing:
        out.append(f"Saw the images of a task together (transductive): {listed(seeing)}.")
    counts = np.stack(
        [(tasks.query_codes == c).sum(axis=1) for c in range(tasks.classes.shape[1])], axis=1
    )
    uneven = float(
        np.mean(counts.max(axis=1) >= 2 * np.where(counts > 0, counts, 10**9).min(axis=1))
    )
    if seeing and uneven > 0.5:
        out.append(
            "Most tasks ask twice as many images of one class as of another, and transductive rules were "
            "made for equal numbers."
        )
    return out
