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
