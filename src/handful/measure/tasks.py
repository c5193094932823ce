"""An exact list of few-shot tasks: which images support, which are asked, of which classes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from handful.core import Array, Float64, Int, MeasureError, listed, write_atomically

_FORMAT_VERSION = 1
_ARRAYS = ("support", "query", "query_codes", "classes", "units")


@dataclass(frozen=True, eq=False)
class Tasks:
    """Few-shot tasks as row numbers of one list of images.

    Two lists are equal, and hash alike, when their fingerprints are: the same tasks can be given
    to several methods, saved, and shared.

    Parameters
    ----------
    support : ndarray of shape (n_tasks, n_way, n_shot), int
        Rows of the labelled images, -1 where a class or a task has fewer.
    query : ndarray of shape (n_tasks, n_query), int
        Rows of the images that are asked, in an order that tells nothing of their class; -1 where
        a task has fewer.
    query_codes : ndarray of shape (n_tasks, n_query), int
        Place of the class among the task's classes; -1 for images of none of them, and where
        there is no image.
    classes : ndarray of shape (n_tasks, n_way), int
        Position of each class in ``class_names``, -1 where a task has fewer.
    class_names : tuple of str
        All classes of the labels, sorted.
    units : ndarray of shape (n_images,), int
        Number of the group of each image; without groups its own.
    left_out : tuple of str, default=()
        Classes that have too few images.
    how : str, default=""
        How they were drawn, in words.
    """

    support: Int = field(repr=False)
    query: Int = field(repr=False)
    query_codes: Int = field(repr=False)
    classes: Int = field(repr=False)
    class_names: tuple[str, ...] = field(repr=False)
    units: Int = field(repr=False)
    left_out: tuple[str, ...] = ()
    how: str = ""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.int64))
        self._check()

    def __len__(self) -> int:
        return len(self.support)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tasks) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """Hex digest of the tasks, the same for the same tasks anywhere."""
        digest = hashlib.blake2b(digest_size=16)
        for name in _ARRAYS:
            array = getattr(self, name).astype("<i8")
            digest.update(f"{name} {array.shape} ".encode())
            digest.update(array.tobytes())
        digest.update("\n".join(self.class_names).encode())
        return digest.hexdigest()

    @property
    def n_way(self) -> Int:
        """Classes of each task, of shape (n_tasks,)."""
        return np.asarray((self.classes >= 0).sum(axis=1))

    def part(self, start: int, stop: int) -> Tasks:
        """Return the tasks from ``start`` up to ``stop``."""
        arrays: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in _ARRAYS[:-1]}
        return Tasks(
            **arrays, class_names=self.class_names, units=self.units, left_out=self.left_out, how=self.how
        )  # fmt: skip

    def coarsity(self, distances: Array) -> Float64:
        """Return the mean squared distance between the classes of each task.

        Parameters
        ----------
        distances : ndarray of shape (n_classes, n_classes)
            In the order of ``class_names``.

        Returns
        -------
        ndarray of shape (n_tasks,)
            Low for tasks among similar classes; NaN for a task of one class.

        References
        ----------
        .. [1] Bennequin, Tami, Toubhans and Hudelot, "Few-Shot Image Classification Benchmarks
           are Too Far From Reality: Build Back Better with Semantic Task Sampling", CVPRW 2022,
           equation 2, https://arxiv.org/abs/2205.05155.
        """
        squares = np.square(np.asarray(distances, np.float64))
        here = self.classes >= 0
        pairs = here[:, :, None] & here[:, None, :] & ~np.eye(self.classes.shape[1], dtype=bool)
        found = squares[self.classes[:, :, None], self.classes[:, None, :]]
        n = pairs.sum(axis=(1, 2))
        sums = np.where(pairs, found, 0.0).sum(axis=(1, 2))
        return np.where(n > 0, sums / np.maximum(n, 1), np.nan)

    def check_images(self, y: Array) -> None:
        """Raise unless these are the labels that the tasks were drawn from.

        Raises
        ------
        MeasureError
            If there are fewer images, or one has another class.
        """
        y = np.asarray(y)
        if len(y) != len(self.units):
            raise MeasureError(
                f"The tasks were drawn from {len(self.units)} images. Got the labels of {len(y)}. "
                "Give the same images in the same order, or draw tasks from these."
            )
        names = np.array(self.class_names)[self.classes]
        given = self.support >= 0
        expected = np.broadcast_to(names[:, :, None], given.shape)[given]
        wrong = np.flatnonzero(y[self.support[given]].astype(str) != expected)
        if len(wrong):
            row = int(self.support[given][wrong[0]])
            raise MeasureError(
                f"The tasks were drawn from other labels: image {row} was {str(expected[wrong[0]])!r} and "
                f"is {str(y[row])!r}. Give the same images in the same order, or draw tasks from these."
            )

    def save(self, path: Path | str) -> None:
        """Write the list as ``.npz`` without pickle, its fingerprint with it."""
        content: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        content["class_names"] = np.array(self.class_names, dtype=np.str_)
        content["left_out"] = np.array(self.left_out, dtype=np.str_)
        content["how"] = np.array(self.how)
        content["fingerprint"] = np.array(self.fingerprint)
        content["format_version"] = np.array(_FORMAT_VERSION)
        write_atomically(Path(path), lambda file: np.savez_compressed(file, **content))

    @classmethod
    def load(cls, path: Path | str) -> Tasks:
        """Return the list that `save` wrote.

        Raises
        ------
        MeasureError
            If the file is none of ours, is damaged, or of a later version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
            version = int(content.pop("format_version"))
            fingerprint = str(content.pop("fingerprint"))
            texts: dict[str, Any] = {
                name: tuple(content.pop(name).tolist()) for name in ("class_names", "left_out")
            }
            how = str(content.pop("how"))
            arrays: dict[str, Any] = {name: content.pop(name) for name in _ARRAYS}
        except OSError:
            raise
        except Exception as error:
            raise MeasureError(
                f"{str(path)!r} is not a list of tasks. Give a file that Tasks.save wrote."
            ) from error
        if version > _FORMAT_VERSION:
            raise MeasureError(
                f"{str(path)!r} has format {version}; this handful reads up to {_FORMAT_VERSION}. Update handful."
            )
        tasks = cls(**arrays, **texts, how=how)
        if tasks.fingerprint != fingerprint:
            raise MeasureError(
                f"{str(path)!r} is damaged: its fingerprint is not that of its tasks. Copy it again."
            )
        return tasks

    def _check(self) -> None:
        t, w = self.classes.shape
        if self.support.shape[:2] != (t, w) or self.query.shape != self.query_codes.shape:
            shapes = {
                f.name: getattr(self, f.name).shape for f in fields(self) if f.name in _ARRAYS
            }
            raise MeasureError(f"The arrays of tasks do not fit each other. Got {shapes}.")
        rows = np.concatenate([self.support.reshape(t, -1), self.query], axis=1)
        if rows.size and (rows.max() >= len(self.units) or rows.min() < -1):
            raise MeasureError(
                f"Tasks name rows of {len(self.units)} images from 0, or -1. "
                f"Got {int(rows.max())} and {int(rows.min())}."
            )
        self._refuse_twice(rows)

    def _refuse_twice(self, rows: Int) -> None:
        """Raise when a task has one image twice, or two of one group in support and query."""
        t, s = len(self.support), self.support[0].size if len(self.support) else 0
        order = np.sort(np.where(rows >= 0, rows, -np.arange(rows.shape[1]) - 1), axis=1)
        twice = (order[:, 1:] == order[:, :-1]).any(axis=1)
        if twice.any():
            task = int(np.flatnonzero(twice)[0])
            names, counts = np.unique(rows[task][rows[task] >= 0], return_counts=True)
            raise MeasureError(
                f"{int(twice.sum())} of {t} tasks have an image twice: task {task} has image(s) "
                f"{listed(names[counts > 1])}. An image must not be both given and asked. Draw the tasks again."
            )
        if len(np.unique(self.units)) == len(self.units):
            return  # no groups
        torn = shared_units(self.units, rows[:, :s], rows[:, s:])
        if torn.any():
            raise MeasureError(
                f"{int(torn.sum())} of {t} tasks ask for an image whose duplicate or group is in the support "
                f"(the first is task {int(np.flatnonzero(torn)[0])}). Draw the tasks with these groups."
            )


def shared_units(units: Int, support: Int, query: Int) -> Array:
    """Return which tasks have a unit both in the support [t, s] and in the query [t, q]."""
    own = np.where(support >= 0, units[support], -1)
    asked = np.where(query >= 0, units[query], -2)
    both = np.sort(np.concatenate([own * 2, asked * 2 + 1], axis=1), axis=1)
    same = both[:, 1:] // 2 == both[:, :-1] // 2
    return np.asarray((same & (both[:, 1:] % 2 != both[:, :-1] % 2)).any(axis=1))
