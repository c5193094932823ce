"""Splits that keep what belongs together on one side.

Near duplicates are grouped as stars around the best-connected image, not as
chains: in a burst where each frame resembles only the next, the first and the
last frame are different pictures, and a chain would swallow the whole burst.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from handful.core import Bool, Float64, Int, stream
from handful.project.database import Database
from handful.project.folders import strongest_split
from handful.project.steps import undone_steps


def group_by_duplicates(
    hashes: Sequence[str],
    pairs: Iterable[tuple[str, str]] = (),
    groups: Sequence[str | None] | None = None,
) -> Int:
    """Return a group number for every image, so that what belongs together shares one.

    Images share a group when they have the same hash, the same named group, or
    are near duplicates in one star: the image with most near duplicates takes
    those that are still free, then the next. A near duplicate of a near
    duplicate is thus not drawn in, unless named groups tie them.

    Parameters
    ----------
    hashes : sequence of str
        Content hashes, of length n.
    pairs : iterable of (str, str)
        Confirmed near duplicates; those with an image not in ``hashes`` are ignored.
    groups : sequence of str or None, optional
        Named groups, of length n, such as a patient or a camera trap.

    Returns
    -------
    ndarray of shape (n,), int64
        Numbers from 0 in order of first appearance; they do not depend on the
        order of ``pairs``.

    Examples
    --------
    >>> group_by_duplicates(["a", "b", "c", "d"], [("a", "b")], [None, None, "cam1", "cam1"])
    array([0, 0, 1, 1])
    >>> group_by_duplicates(list("abcde"), [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")])
    array([0, 0, 0, 1, 1])
    """
    leader = _stars(set(hashes), pairs)
    joined = _Joined()
    for position, content in enumerate(hashes):
        joined.join(("image", position), ("star", leader[content]))
        name = groups[position] if groups is not None else None
        if name is not None:
            joined.join(("image", position), ("group", name))
    roots = [joined.root(("image", position)) for position in range(len(hashes))]
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[root] for root in roots], dtype=np.int64)


def _stars(hashes: set[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the centre of every image's star."""
    near: dict[str, set[str]] = defaultdict(set)
    for a, b in pairs:
        if a in hashes and b in hashes and a != b:
            near[a].add(b)
            near[b].add(a)
    leader: dict[str, str] = {}
    for centre in sorted(hashes, key=lambda content: (-len(near[content]), content)):
        if centre not in leader:
            free = [other for other in near[centre] if other not in leader]
            leader |= dict.fromkeys([centre, *free], centre)
    return leader


class _Joined:
    """Sets that are joined step by step (union-find with path halving)."""

    def __init__(self) -> None:
        self._above: dict[tuple[str, object], tuple[str, object]] = {}

    def root(self, item: tuple[str, object]) -> tuple[str, object]:
        above = self._above
        above.setdefault(item, item)
        while above[item] != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    def join(self, a: tuple[str, object], b: tuple[str, object]) -> None:
        self._above[self.root(a)] = self.root(b)


def assign_splits(
    y: Sequence[str | None],
    groups: Int,
    fractions: Mapping[str, float],
    *,
    fixed: Sequence[str | None] | None = None,
    random_state: int = 0,
) -> list[str]:
    """Deal images into splits, each class in proportion, every group on one side.

    Groups are dealt from the largest to the smallest, ties at random, each to
    the split that lacks most of its classes.

    Parameters
    ----------
    y : sequence of str or None
        Labels, of length n; None counts as a class of its own.
    groups : ndarray of shape (n,)
        Group numbers, as from `group_by_duplicates`.
    fractions : mapping of str to float
        Share of each split, all ≥ 0, scaled to sum to 1. The first named wins
        ties, and so gets the only image of a class: name ``"train"`` first.
    fixed : sequence of str or None, optional
        Splits that are decided already. The rest of their group follows them:
        to test before validation before train.
    random_state : int, default=0

    Returns
    -------
    list of str
        The split of every image.

    Raises
    ------
    ValueError
        If the lengths differ or the fractions are not positive.

    Examples
    --------
    >>> y = ["cat"] * 4 + ["dog"] * 4
    >>> splits = assign_splits(y, np.array([0, 0, 1, 2, 3, 4, 5, 5]), {"train": 0.5, "test": 0.5})
    >>> sorted(zip(y, splits)).count(("cat", "test"))
    2
    """
    names, shares = _shares(fractions)
    fixed = [None] * len(y) if fixed is None else fixed
    if not len(y) == len(groups) == len(fixed):
        raise ValueError(
            f"y, groups and fixed must have one length. "
            f"Got {len(y)}, {len(groups)} and {len(fixed)}."
        )
    counts, group_of = _count_classes(y, groups)
    wanted = shares[:, None] * counts.sum(axis=0)
    dealt = _fixed_groups(group_of, fixed)
    for group, split in dealt.items():
        if split in names:
            wanted[names.index(split)] -= counts[group]
    weight = 1 / counts.sum(axis=0)
    for group in _order(counts, random_state):
        if group not in dealt:
            best = int(np.argmax(wanted @ (counts[group] * weight)))
            wanted[best] -= counts[group]
            dealt[group] = names[best]
    return [own or dealt[group] for own, group in zip(fixed, group_of.tolist(), strict=True)]


def stratified_holdout(
    y: Sequence[str | None], groups: Int, *, fraction: float = 0.2, random_state: int = 0
) -> Bool:
    """Return which images to hold out: a share of each class, every group on one side.

    A class with a single group is never held out.

    Parameters
    ----------
    y : sequence of str or None
        Labels, of length n.
    groups : ndarray of shape (n,)
        Group numbers.
    fraction : float, default=0.2
        Share to hold out, in ``(0, 1)``.
    random_state : int, default=0

    Returns
    -------
    ndarray of shape (n,), bool
        True where held out.

    Raises
    ------
    ValueError
        If ``fraction`` is not between 0 and 1.

    Examples
    --------
    >>> stratified_holdout(["a"] * 5 + ["b"] * 5, np.arange(10)).sum()
    np.int64(2)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1. Got {fraction!r}.")
    shares = {"train": 1 - fraction, "test": fraction}
    splits = np.array(assign_splits(y, groups, shares, random_state=random_state))
    held: Bool = splits == "test"
    _, classes = np.unique([str(label) for label in y], return_inverse=True)
    for number in range(classes.max(initial=-1) + 1):
        if held[classes == number].all():  # no group of this class is left to learn from
            held[np.isin(groups, groups[classes == number])] = False
    return held


def crosses_into_test(splits: Sequence[str | None], groups: Int) -> Bool:
    """Return which images outside the test split share a group with one inside it.

    Training on them would make a test look better than it is; leave them out.

    Parameters
    ----------
    splits : sequence of str or None
        Split of every image, of length n.
    groups : ndarray of shape (n,)
        Group numbers.

    Returns
    -------
    ndarray of shape (n,), bool

    Examples
    --------
    >>> crosses_into_test(["train", "test", "train"], np.array([0, 0, 1]))
    array([ True, False, False])
    """
    is_test = np.array([split == "test" for split in splits], dtype=bool)
    crossing: Bool = ~is_test & np.isin(groups, groups[is_test])
    return crossing


def append_splits(
    connection: sqlite3.Connection,
    step: int,
    splits: Iterable[tuple[str, str | None, str | None]],
) -> None:
    """Append (image, split, group) to a step inside the running transaction.

    None says nothing and leaves what was; an empty text takes it away.
    """
    connection.executemany(
        "INSERT INTO split_events (step, image, split, grouping) VALUES (?, ?, ?, ?)",
        [(step, *row) for row in splits],
    )


def current_splits(database: Database) -> dict[str, tuple[str | None, str | None]]:
    """Return the split and the group of images, by hash, where something was said of them."""
    gone = undone_steps(database)
    current: dict[str, tuple[str | None, str | None]] = {}
    rows = database.rows("SELECT step, image, split, grouping FROM split_events ORDER BY id")
    for step, image, split, group in rows:
        if step not in gone:
            before = current.get(image, (None, None))
            current[image] = (_newer(split, before[0]), _newer(group, before[1]))
    return current


def _newer(said: str | None, before: str | None) -> str | None:
    return before if said is None else said or None


def _shares(fractions: Mapping[str, float]) -> tuple[list[str], Float64]:
    shares = np.array(list(fractions.values()), dtype=float)
    if not len(shares) or (shares < 0).any() or not shares.sum() > 0:
        raise ValueError(
            f"fractions must be at least 0 with a positive sum. Got {dict(fractions)}."
        )
    return list(fractions), shares / shares.sum()


def _count_classes(y: Sequence[str | None], groups: Int) -> tuple[Float64, Int]:
    """Return images by group and class, and the row of every image."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(y))}
    classes = np.array([numbers[label] for label in y], dtype=np.int64)
    _, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((group_of.max(initial=-1) + 1, len(numbers)))
    np.add.at(counts, (group_of, classes), 1)
    return counts, group_of


def _fixed_groups(group_of: Int, fixed: Sequence[str | None]) -> dict[int, str]:
    said: dict[int, set[str]] = defaultdict(set)
    for group, split in zip(group_of.tolist(), fixed, strict=True):
        if split:
            said[group].add(split)
    return {group: strongest_split(splits) or min(splits) for group, splits in said.items()}


def _order(counts: Float64, random_state: int) -> list[int]:
    shuffled = stream(random_state, "splits").permutation(len(counts))
    sizes = counts.sum(axis=1)[shuffled]
    return [int(group) for group in shuffled[np.argsort(-sizes, kind="stable")]]
