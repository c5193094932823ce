"""Which images a step sees: a function of the seed and the step alone, so that a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from handful.core import Int, stream


def batches(
    targets: Int, batch_size: int, *, balanced: bool, random_state: int, start: int = 0
) -> Iterator[Int]:
    """Yield the rows of every step from ``start`` on, without end.

    No image comes twice in a batch, unless ``balanced`` and a class is rare;
    what is left of an epoch after its last full batch is dropped.

    Parameters
    ----------
    targets : ndarray of shape (n,), int
        Class numbers; -1 where there is none. They matter only if ``balanced``.
    batch_size : int
        In ``[1, n]``.
    balanced : bool
        Classes, not images, come equally often.
    random_state : int
    start : int, default=0
        First step.

    Yields
    ------
    ndarray of shape (batch_size,), int
    """
    per_epoch = len(targets) // batch_size
    epoch, first = divmod(start, per_epoch)
    while True:
        random = stream(random_state, f"order {epoch}")
        rows = _balanced(targets, random) if balanced else random.permutation(len(targets))
        for step in range(first, per_epoch):
            yield rows[step * batch_size : (step + 1) * batch_size]
        epoch, first = epoch + 1, 0


def mixed_batches(
    targets: Int, batch_size: int, *, labelled_share: float, random_state: int, start: int = 0
) -> Iterator[Int]:
    """Yield the rows of every step from ``start`` on, without end: a fixed mix of labelled and unlabelled.

    Each kind is gone through in rounds of its own, one after the other without a
    gap, so that few labelled images come several times before the unlabelled ones
    have all come once.

    Parameters
    ----------
    targets : ndarray of shape (n,), int
        Class numbers; -1 where there is none. There are rows of both kinds.
    batch_size : int
        At least 2.
    labelled_share : float
        Of the batch, in (0, 1); at least one row is of each kind.
    random_state : int
    start : int, default=0
        First step.

    Yields
    ------
    ndarray of shape (batch_size,), int
        Labelled rows first, their classes equally often; then unlabelled ones.
    """
    labelled, others = np.flatnonzero(targets >= 0), np.flatnonzero(targets < 0)
    n_labelled = min(max(round(labelled_share * batch_size), 1), batch_size - 1)
    first = _rounds(targets[labelled], n_labelled, "labelled", random_state, start)
    second = _rounds(targets[others], batch_size - n_labelled, "unlabelled", random_state, start)
    for a, b in zip(first, second, strict=True):
        yield np.concatenate([labelled[a], others[b]])


def _rounds(targets: Int, count: int, name: str, random_state: int, start: int) -> Iterator[Int]:
    """Yield ``count`` rows a step, of rounds that follow each other; classes are balanced if there are any."""
    number, skipped = divmod(start * count, len(targets))
    left = np.empty(0, np.int64)
    while True:
        while len(left) < count:
            random = stream(random_state, f"{name} {number}")
            rows = (
                _balanced(targets, random) if targets[0] >= 0 else random.permutation(len(targets))
            )
            left, number, skipped = np.concatenate([left, rows[skipped:]]), number + 1, 0
        yield left[:count]
        left = left[count:]


def _balanced(targets: Int, random: np.random.Generator) -> Int:
    """Return as many rows as there are, the classes in turn, each class's rows in random order."""
    members = [random.permutation(np.flatnonzero(targets == c)) for c in np.unique(targets)]
    rounds = -(-len(targets) // len(members))
    turns = np.concatenate([random.permutation(len(members)) for _ in range(rounds)])
    turns = turns[: len(targets)]
    rows = np.empty(len(targets), np.int64)
    for number, own in enumerate(members):
        places = np.flatnonzero(turns == number)
        rows[places] = np.resize(own, len(places))
    return rows


def seed_of(random_state: int, *numbers: int) -> int:
    """Return a 63-bit seed for one use of a run's seed, such as (step, position)."""
    state = np.random.SeedSequence([random_state, *numbers]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))
