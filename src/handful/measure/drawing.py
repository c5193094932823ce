"""Draw different numbers, or images, for many tasks in one go."""

from __future__ import annotations

import numpy as np

from handful.core import Bool, Float64, Int


class Members:
    """The images of one class, unit by unit."""

    def __init__(self, rows: Int, units: Int) -> None:
        order = np.argsort(units[rows], kind="stable")
        self.rows = rows[order]
        _, self.starts, self.counts = np.unique(
            units[self.rows], return_index=True, return_counts=True
        )

    def drawn(self, n_draws: int, n: int, random: np.random.Generator) -> Int:
        """Return ``n`` images of different units a draw, in random order, -1 where there are no more."""
        out = np.full((n_draws, n), -1, np.int64)
        most = min(n, len(self.starts))
        chosen = distinct(n_draws, len(self.starts), most, random)
        offset = 0 if len(self.rows) == len(self.starts) else (
            random.random(chosen.shape) * self.counts[chosen]
        ).astype(np.int64)  # fmt: skip
        out[:, :most] = self.rows[self.starts[chosen] + offset]
        return out


def distinct(n_draws: int, n: int, k: int, random: np.random.Generator) -> Int:
    """Return draws of ``k`` different numbers below ``n``, in random order, of shape (n_draws, k)."""
    if k * k > n:  # repeats would be too frequent to draw again
        keys = random.random((n_draws, n), dtype=np.float32)
        return np.argsort(keys, axis=1)[:, :k]
    out = random.integers(0, n, (n_draws, k))
    bad = np.arange(n_draws)
    while len(bad):
        ordered = np.sort(out[bad], axis=1)
        bad = bad[(ordered[:, 1:] == ordered[:, :-1]).any(axis=1)]
        out[bad] = random.integers(0, n, (len(bad), k))
    return out


def dealt(wanted: Int, share: Float64, room: Int, random: np.random.Generator) -> Int:
    """Return whole numbers that sum to ``wanted`` [t], split by ``share`` [t, w], none above its room."""
    out = np.zeros_like(room)
    left = np.minimum(wanted, room.sum(axis=1))
    while left.any():
        open_ = share * (out < room) + 1e-12 * (out < room)
        more = random.multinomial(left, open_ / np.maximum(open_.sum(axis=1, keepdims=True), 1e-30))
        out = np.minimum(out + more * (left > 0)[:, None], room)
        left = np.minimum(wanted, room.sum(axis=1)) - out.sum(axis=1)
    return out


def packed(images: Int, owner: Int, wanted: Bool) -> tuple[Int, Int]:
    """Return the wanted images and their owners, a row a task, moved to the front, -1 behind."""
    t = len(images)
    if (wanted == wanted[:1, :1]).all():
        place = wanted[0, 0]
        return images[:, :, place].reshape(t, -1), owner[:, :, place].reshape(t, -1)
    flat, own, ask = images.reshape(t, -1), owner.reshape(t, -1), wanted.reshape(t, -1)
    width = int(ask.sum(axis=1).max(initial=0))
    order = np.argsort(~ask, axis=1, kind="stable")[:, :width]
    here = np.take_along_axis(ask, order, axis=1)
    return tuple(np.where(here, np.take_along_axis(a, order, axis=1), -1) for a in (flat, own))  # type: ignore[return-value]


def shuffled(
    tasks: dict[str, Int], rows: Int, codes: Int, random: np.random.Generator
) -> dict[str, Int]:
    """Add the queries in an order that tells nothing of their class, empty places last."""
    place = random.integers(0, 2**19, rows.shape) << 44  # sorted as one number: place, row, code
    keyed = np.sort(
        np.where(rows >= 0, place | (rows << 12) | (codes + 1), -1 & (2**63 - 1)), axis=1
    )
    empty = keyed == 2**63 - 1
    rows, codes = (keyed >> 12) & (2**32 - 1), (keyed & (2**12 - 1)) - 1
    return {**tasks, "query": np.where(empty, -1, rows), "query_codes": np.where(empty, -1, codes)}


def widened(array: Int, shape: tuple[int, ...]) -> Int:
    """Return an array with -1 behind, as wide as ``shape`` on all axes but the first."""
    out = np.full((len(array), *shape), -1, np.int64)
    out[tuple(slice(0, n) for n in array.shape)] = array
    return out
