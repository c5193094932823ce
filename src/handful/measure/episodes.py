"""Draw few-shot tasks from labels: any way and shot, balanced or not, easy or semantically hard.

Classes are drawn first, then for every class as many of its images as it needs, without
replacement and in one go for all tasks. A class with fewer images than a task needs is never
drawn and is named in `Tasks.left_out` (or gives fewer, where that is asked for): padding a task with
repeated images would ask for what was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handful.core import Array, Bool, Float64, Int, MeasureError, listed, stream
from handful.measure.drawing import Members, dealt, distinct, packed, shuffled, widened
from handful.measure.folds import unit_ids
from handful.measure.semantic import ALPHA, BETA, semantic_classes
from handful.measure.tasks import Tasks, shared_units
from handful.measure.validation import group_numbers

_ROUNDS = 50  # of drawing tasks again in which a group is on both sides
Range = int | tuple[int, int]


@dataclass(frozen=True)
class Realism:
    """How tasks differ from those of the usual benchmark: balanced, of any classes, nothing unknown.

    Parameters
    ----------
    imbalance : float, optional
        Queries of a task are split among its classes by a draw from a Dirichlet distribution with this
        parameter, above 0: 2 is moderately unbalanced, 0.5 strongly. None: equally many.
    distances : ndarray of shape (n_classes, n_classes), optional
        Between the classes, sorted by name (`taxonomy_distances`, `prototype_distances`): tasks
        are drawn among similar classes. None: any classes.
    alpha, beta : float
        See `semantic_classes`.
    n_unknown : int, default=0
        Images of other classes that every task asks for, too.
    fewer_shots : bool, default=False
        Take in classes with too few images: at most half of theirs support, the rest is asked.

    References
    ----------
    .. [1] Veilleux, Boudiaf, Piantanida and Ben Ayed, "Realistic Evaluation of Transductive
       Few-Shot Learning", NeurIPS 2021, section 3 (Dirichlet, parameter 2),
       https://arxiv.org/abs/2204.11181.
    """

    imbalance: float | None = None
    distances: Float64 | None = field(default=None, repr=False)
    alpha: float = ALPHA
    beta: float = BETA
    n_unknown: int = 0
    fewer_shots: bool = False


def sample_episodes(
    y: Array,
    n_way: Range | None = 5,
    n_shot: Range = 1,
    n_query: int | None = 15,
    n_tasks: int = 1000,
    random_state: int = 0,
    *,
    groups: Array | None = None,
    realism: Realism | None = None,
) -> Tasks:
    """Return few-shot tasks drawn from labelled images.

    Parameters
    ----------
    y : array of shape (n_images,)
        Class of each image; text or numbers, contiguous or not.
    n_way : int or (int, int) or None, default=5
        Classes of a task; of a range, both ends included, each task draws its own. None: all
        classes that have enough images.
    n_shot : int or (int, int), default=1
        Labelled images of a class; of a range, each class of each task draws its own.
    n_query : int or None, default=15
        Images asked, a class. None: every other image of the classes.
    n_tasks : int, default=1000
    random_state : int, default=0
        Seed: the same labels and seed give the same tasks, with the same fingerprint.
    groups : array of shape (n_images,), optional
        Duplicates, or images of one object: never in support and query of one task. As for `validate`.
    realism : Realism, optional
        By default the usual benchmark.

    Returns
    -------
    Tasks

    Raises
    ------
    ValueError
        If a number is out of range or the shapes do not fit.
    MeasureError
        If fewer classes than ``n_way`` have enough images, or groups cannot be kept apart.

    Examples
    --------
    >>> y = np.repeat(["cat", "cow", "dog", "emu"], 10)
    >>> tasks = sample_episodes(y, n_way=3, n_shot=2, n_query=4, n_tasks=100)
    >>> tasks.support.shape, tasks.query.shape
    ((100, 3, 2), (100, 12))
    """
    realism = realism or Realism()
    plan = _Plan(
        np.asarray(y),
        None if n_way is None else _range("n_way", n_way),
        _range("n_shot", n_shot),
        n_query,
        realism,
        groups,
    )
    _check_counts(n_query, n_tasks, realism)
    tasks = plan.drawn(n_tasks, stream(random_state, "episodes"))
    if plan.has_groups:
        _draw_torn_again(plan, tasks, random_state)
    return Tasks(
        **tasks, class_names=plan.names, units=plan.units, left_out=plan.left_out, how=plan.words(n_tasks, random_state)
    )  # fmt: skip


def _draw_torn_again(plan: _Plan, tasks: dict[str, Int], random_state: int) -> None:
    """Draw tasks again, in place, that have a group both in support and query."""
    for number in range(_ROUNDS):
        torn = shared_units(
            plan.units, tasks["support"].reshape(len(tasks["support"]), -1), tasks["query"]
        )
        if not torn.any():
            return
        again = plan.drawn(int(torn.sum()), stream(random_state, f"episodes again {number}"))
        for name, array in again.items():
            room = tuple(np.maximum(array.shape[1:], tasks[name].shape[1:]))
            tasks[name] = widened(tasks[name], room)
            tasks[name][torn] = widened(array, room)
    raise MeasureError(
        f"{int(torn.sum())} of {len(torn)} tasks have a group in both support and query, however often they are "
        "drawn: groups hold images of several classes. Split the groups, or use fewer ways."
    )


class _Plan:
    """What can be drawn, and the drawing of many tasks at once."""

    def __init__(
        self, y: Array, way: tuple[int, int] | None, shot: tuple[int, int], n_query: int | None,
        realism: Realism, groups: Array | None,
    ) -> None:  # fmt: skip
        if y.ndim != 1 or not len(y):
            raise ValueError(
                f"The 'y' of sample_episodes must be one class an image. Got the shape {y.shape}."
            )
        self.shot, self.n_query, self.realism = shot, n_query, realism
        names, codes = np.unique(y, return_inverse=True)
        self.names = tuple(str(name) for name in names.tolist())
        self.codes = codes.astype(np.int64)
        self.units = unit_ids(group_numbers(groups, len(y)), len(y))
        self.has_groups = len(y) > self.units.max() + 1
        self.members = [
            Members(np.flatnonzero(self.codes == c), self.units) for c in range(len(names))
        ]
        self.sizes = np.array([len(m.starts) for m in self.members])
        need = shot[1] + (1 if n_query is None else n_query)
        self.eligible = self.sizes >= (2 if realism.fewer_shots else need)
        self.way = way or (max(2, int(self.eligible.sum())),) * 2
        self._check_classes(need)
        self._check_distances()

    def drawn(self, n_tasks: int, random: np.random.Generator) -> dict[str, Int]:
        """Return the arrays of ``n_tasks`` tasks."""
        classes = self._classes(n_tasks, random)
        here = classes >= 0
        sizes = np.where(here, self.sizes[classes], 0)
        shots = random.integers(self.shot[0], self.shot[1] + 1, classes.shape) * here
        if self.realism.fewer_shots:
            least = 1 if self.n_query is None else self.n_query
            short = here & (sizes < shots + least)
            shots = np.where(short, np.clip(sizes // 2, 1, shots), shots)
        rest = sizes - shots
        asked = self._asked(rest, here, random)
        images = self._images(classes, shots + asked, random)
        places = np.arange(images.shape[2])
        given = places[: shots.max(initial=1)] < shots[:, :, None]
        support = np.where(given, images[:, :, : given.shape[2]], -1)
        if self.n_query is None:
            return self._with_all_others(classes, support, random)
        is_query = (places >= shots[:, :, None]) & (places < (shots + asked)[:, :, None])
        owner = np.broadcast_to(np.arange(classes.shape[1])[None, :, None], images.shape)
        rows, codes = packed(images, owner, is_query)
        rows, codes = self._with_unknown(rows, codes, classes, random)
        return shuffled({"support": support, "classes": classes}, rows, codes, random)

    def words(self, n_tasks: int, random_state: int) -> str:
        """Return in words how the tasks are drawn."""
        kind = [f"{n_tasks} tasks", f"{_said(self.way)}-way", f"{_said(self.shot)}-shot"]
        kind.append(
            "all other images asked" if self.n_query is None else f"{self.n_query} queries a class"
        )
        if self.realism.imbalance is not None:
            kind.append(f"Dirichlet({self.realism.imbalance:g}) among the classes")
        if self.realism.distances is not None:
            kind.append(f"similar classes (alpha {self.realism.alpha:g})")
        if self.realism.n_unknown:
            kind.append(f"{self.realism.n_unknown} images of other classes")
        return ", ".join([*kind, f"seed {random_state}"])

    @property
    def left_out(self) -> tuple[str, ...]:
        """Classes with too few images."""
        return tuple(n for n, fits in zip(self.names, self.eligible, strict=True) if not fits)

    def _check_classes(self, need: int) -> None:
        """Raise where too few classes have enough images."""
        eligible = self.eligible
        if eligible.sum() >= self.way[1]:
            return
        if len(self.names) < self.way[1]:
            raise MeasureError(
                f"{self.way[1]}-way tasks need {self.way[1]} classes. Got {len(self.names)}: "
                f"{listed(map(repr, self.names))}. Use n_way={len(self.names)} or less, or label more classes."
            )
        short = np.argsort(self.sizes, kind="stable")[: int((~eligible).sum())]
        most = max(int(np.sort(self.sizes)[-self.way[1]]) - need + self.shot[1], 0)
        raise MeasureError(
            f"{self.way[1]}-way tasks with {self.shot[1]} labelled and "
            f"{'at least 1' if self.n_query is None else self.n_query} asked images a class need {self.way[1]} classes "
            f"with {need} images each. Got {int(eligible.sum())}; too few have "
            f"{listed(f'{self.names[c]!r} ({self.sizes[c]})' for c in short)}. "
            f"{f'Use n_shot={most} or less, or a' if most else 'A'}sk for fewer queries, or label more."
        )  # fmt: skip

    def _check_distances(self) -> None:
        distances, k = self.realism.distances, len(self.names)
        if distances is None:
            return
        if np.shape(distances) != (k, k) or not np.isfinite(distances).all():
            raise ValueError(
                f"The 'distances' of Realism must be finite, of shape ({k}, {k}): a row a class, sorted by name. "
                f"Got the shape {np.shape(distances)}."
            )

    def _classes(self, n_tasks: int, random: np.random.Generator) -> Int:
        own = np.flatnonzero(self.eligible)
        n_way = random.integers(self.way[0], self.way[1] + 1, n_tasks)
        out = np.full((n_tasks, self.way[1]), -1, np.int64)
        if self.realism.distances is not None:
            distances = np.asarray(self.realism.distances)[np.ix_(own, own)]
            drawn = semantic_classes(
                distances, n_way, random, alpha=self.realism.alpha, beta=self.realism.beta
            )
            for task, classes in enumerate(drawn):
                out[task, : len(classes)] = own[classes]
            return out
        out[:] = own[distinct(n_tasks, len(own), self.way[1], random)]
        out[np.arange(self.way[1]) >= n_way[:, None]] = -1
        return out

    def _asked(self, rest: Int, here: Bool, random: np.random.Generator) -> Int:
        """Return how many images of each class of each task are asked."""
        if self.n_query is None:
            return np.zeros_like(rest)
        if self.realism.imbalance is None:
            return np.minimum(self.n_query, rest) * here
        wanted = self.n_query * here.sum(axis=1)
        share = random.gamma(self.realism.imbalance, size=here.shape) * here + 1e-300 * here
        return dealt(wanted, share / share.sum(axis=1, keepdims=True), rest * here, random)

    def _images(self, classes: Int, n: Int, random: np.random.Generator) -> Int:
        """Return distinct images of every class of every task, of shape (t, w, most asked for)."""
        out = np.full((*classes.shape, max(int(n.max(initial=1)), 1)), -1, np.int64)
        for c in np.unique(classes[classes >= 0]):
            own = classes == c
            most = int(n[own].max())
            out[own, :most] = self.members[c].drawn(int(own.sum()), most, random)
        return out

    def _with_all_others(
        self, classes: Int, support: Int, random: np.random.Generator
    ) -> dict[str, Int]:
        """Ask for every image of a task's classes whose unit is not in the support."""
        rows: list[Int] = []
        codes: list[Int] = []
        for own, given in zip(classes, support, strict=True):
            place = np.full(len(self.names), -1)
            place[own[own >= 0]] = np.arange((own >= 0).sum())
            held = np.zeros(self.units.max() + 1, bool)
            held[self.units[given[given >= 0]]] = True
            free = np.flatnonzero((place[self.codes] >= 0) & ~held[self.units])
            rows.append(free)
            codes.append(place[self.codes[free]])
        width = max(map(len, rows), default=0)
        query, query_codes = (np.full((len(rows), width), -1, np.int64) for _ in range(2))
        for task, (r, c) in enumerate(zip(rows, codes, strict=True)):
            query[task, : len(r)], query_codes[task, : len(r)] = r, c
        return shuffled({"support": support, "classes": classes}, query, query_codes, random)

    def _with_unknown(
        self, rows: Int, codes: Int, classes: Int, random: np.random.Generator
    ) -> tuple[Int, Int]:
        n = self.realism.n_unknown
        if not n:
            return rows, codes
        out = np.empty((len(rows), n), np.int64)
        for task, own in enumerate(classes):
            others = np.flatnonzero(~np.isin(self.codes, own))
            if len(others) < n:
                raise MeasureError(
                    f"Each task asks for {n} images of other classes. Got {len(others)}. "
                    "Use fewer ways, or fewer unknown images."
                )
            out[task] = random.choice(others, n, replace=False)
        return np.concatenate([rows, out], axis=1), np.concatenate(
            [codes, np.full_like(out, -1)], axis=1
        )


def _range(name: str, value: Any) -> tuple[int, int]:
    low, high = value if isinstance(value, tuple) else (value, value)
    least = 2 if name == "n_way" else 1
    if not least <= low <= high:
        raise ValueError(
            f"The {name!r} parameter of sample_episodes must be a whole number of at least {least}, or a range of "
            f"them. Got {value!r} instead."
        )
    return int(low), int(high)


def _check_counts(n_query: int | None, n_tasks: int, realism: Realism) -> None:
    if n_tasks < 1 or (n_query is not None and n_query < 1) or realism.n_unknown < 0:
        raise ValueError(
            "sample_episodes takes at least 1 task, 1 query and 0 unknown images. "
            f"Got {n_tasks!r}, {n_query!r} and {realism.n_unknown!r}."
        )
    if realism.imbalance is not None and not realism.imbalance > 0:
        raise ValueError(f"The 'imbalance' of Realism must be above 0. Got {realism.imbalance!r}.")
    if n_query is None and (realism.n_unknown or realism.imbalance is not None):
        raise ValueError(
            "With n_query=None all other images are asked: there is nothing to draw by imbalance or as unknown. "
            "Give a number of queries."
        )


def _said(value: tuple[int, int]) -> str:
    return str(value[0]) if value[0] == value[1] else f"{value[0]}–{value[1]}"
