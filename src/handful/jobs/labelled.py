"""The labelled images of a folder as arrays, checked before anything long begins."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from handful.core import Array, Bool, Float32, Int, ProjectError, did_you_mean, listed
from handful.jobs.near_duplicates import find_near_duplicates
from handful.jobs.workspace import Workspace, refuse_unlabelled
from handful.project import Image, group_by_duplicates


@dataclass(frozen=True)
class Labelled:
    """The labelled images as arrays; a row an image.

    Parameters
    ----------
    images : list of Image
    X : ndarray of shape (n, dim), float32
    y : ndarray of shape (n,), str
    groups : ndarray of shape (n,), int
        Duplicates and the user's groups share a number.
    is_test : ndarray of shape (n,), bool
        Rows of the user's own test split: never fitted on.
    """

    images: list[Image]
    X: Float32
    y: Array
    groups: Int
    is_test: Bool

    def only(self, rows: Int) -> Labelled:
        """Return these rows alone."""
        return Labelled(
            [self.images[row] for row in rows], self.X[rows], self.y[rows], self.groups[rows], self.is_test[rows]
        )  # fmt: skip


def no_labels(dim: int) -> Labelled:
    """Return the labelled images of a folder without a label."""
    nothing = np.empty(0, np.int64)
    X = np.empty((0, dim), np.float32)
    return Labelled([], X, np.empty(0, np.str_), nothing, np.empty(0, np.bool_))


def load_labelled(work: Workspace, *, quiet: bool = False) -> Labelled:
    """Return the labelled images with their vectors, labels and duplicate-safe groups.

    A test image that shows the same picture as a training image is left out.

    Raises
    ------
    ProjectError
        If no image has a label.
    """
    images = [image for image in work.images if image.label is not None]
    refuse_unlabelled(work.project, work.scanned, images)
    hashes = [image.hash for image in images]
    pairs = find_near_duplicates(work, images, quiet=quiet)
    groups = group_by_duplicates(hashes, pairs, [image.group for image in images])
    is_test = np.array([image.split == "test" for image in images])
    leaks = (np.isin(groups, groups[~is_test]) | _has_twin(images, pairs)) & is_test
    keep = np.flatnonzero(~leaks)
    return Labelled(
        images=[images[row] for row in keep],
        X=work.store.rows([hashes[row] for row in keep]),
        y=np.array([images[row].label for row in keep]),
        groups=groups[keep],
        is_test=is_test[keep],
    )


def _has_twin(images: list[Image], pairs: Set[tuple[str, str]]) -> Bool:
    """Return which images are a near duplicate of a training image."""
    train = {image.hash for image in images if image.split != "test"}
    twins = {a for a, b in pairs if b in train} | {b for a, b in pairs if a in train}
    return np.array([image.hash in twins for image in images])


def check_labels(data: Labelled, must_find: str | None) -> None:
    """Refuse labels that cannot be fitted on, or cannot show what was asked for.

    Parameters
    ----------
    data : Labelled
    must_find : str or None
        The class of ``--max-miss``.

    Raises
    ------
    ProjectError
        With what to do.
    """
    names, counts = np.unique(data.y[~data.is_test], return_counts=True)
    count = dict(zip(names.tolist(), counts.tolist(), strict=True))
    if not count:
        raise ProjectError(
            "Every labelled image is in the test split. Label some images outside it."
        )
    strange = sorted({str(label) for label in data.y[data.is_test]} - set(count))
    if strange:
        raise ProjectError(
            f"The test split has classes without any other label: {listed(map(repr, strange))}"
            f"{did_you_mean(strange[0], count)}. Label some of them outside the test split, "
            "or take them out of it."
        )
    if must_find is not None:
        _check_class(must_find, count)


def _check_class(name: str, count: dict[str, int]) -> None:
    if name not in count:
        raise ProjectError(
            f"--max-miss names the class {name!r}, which has no label{did_you_mean(name, count)}. "
            f"Classes: {listed(sorted(count))}."
        )
    if len(count) == 1 or count[name] < 2:
        lacking = "there is no other class" if len(count) == 1 else "it has a single label"
        raise ProjectError(f"--max-miss {name!r} cannot be measured: {lacking}. Label more images.")
