"""Which classes of a folder are trained on, which choose the best state, and which measure it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from handful.core import AdaptError, ImageError, Int, Progress, UInt8, stream, usable_cores
from handful.images import Preprocess, decode
from handful.project import Image, Project

_MOST_BYTES = 8 * 2**30
_BLOCK = 64


@dataclass(frozen=True)
class Roles:
    """The classes by what they are for; no class has two roles but the last.

    Parameters
    ----------
    train, choose : tuple of str
        Classes to train on, and those on which the best state is chosen.
    measure : tuple of str
        Classes on which before and after are compared. They are those of ``choose``
        where there are too few to keep both apart.
    """

    train: tuple[str, ...]
    choose: tuple[str, ...]
    measure: tuple[str, ...]


def class_roles(images: Sequence[Image], *, share: float, way: int, random_state: int) -> Roles:
    """Return the classes by what they are for.

    Classes that are in the folder's ``validation`` split alone choose and measure, one in two;
    without such classes a share of all is drawn for it.

    Parameters
    ----------
    images : sequence of Image
        With a label, none of the test split.
    share : float
        Of the classes, in (0, 1).
    way : int
        Classes of a validation task: with twice as many they are kept apart.
    random_state : int

    Raises
    ------
    AdaptError
        If there are fewer than four classes, or fewer than two to train on.
    """
    elsewhere = {image.label for image in images if image.split != "validation"}
    names = sorted({str(image.label) for image in images})
    held = [name for name in names if name not in elsewhere]
    if len(held) < 2:
        if len(names) < 4:
            raise AdaptError(
                f"Training on tasks needs four classes: two to learn from, and two new ones to choose the best "
                f"state by. Got {len(names)}. Add classes, or use `handful adapt finetune`."
            )
        n = min(max(2, round(share * len(names))), len(names) - 2)
        drawn = stream(random_state, "validation classes").permutation(len(names))[:n]
        held = [names[i] for i in np.sort(drawn)]
    rest = tuple(name for name in names if name not in set(held))
    if len(rest) < 2:
        raise AdaptError(
            f"Training on tasks needs two classes outside the validation split. Got {len(rest)}. Move some out of it."
        )
    if len(held) < 2 * way:
        return Roles(rest, tuple(held), tuple(held))
    order = stream(random_state, "measured classes").permutation(len(held))
    halves = [tuple(held[i] for i in np.sort(order[k::2])) for k in (0, 1)]
    return Roles(rest, halves[0], halves[1])


def squares_of(
    project: Project, images: Sequence[Image], preprocess: Preprocess, *, quiet: bool
) -> tuple[list[Image], UInt8]:
    """Return the images that can be read, and their pixels [n, s, s, 3]; the others are noted as unusable.

    Raises
    ------
    AdaptError
        If they would not fit into memory.
    """
    side = preprocess.size
    if len(images) * side * side * 3 > _MOST_BYTES:
        raise AdaptError(
            f"{len(images)} images of {side} pixels do not fit into the 8 GiB that tasks may take. Take a smaller "
            "--size or fewer images."
        )
    squares = np.empty((len(images), side, side, 3), np.uint8)
    failed: dict[int, str] = {}

    def fill(start: int) -> int:
        stop = min(start + _BLOCK, len(images))
        for row in range(start, stop):
            try:
                squares[row] = decode(images[row].path, preprocess)
            except ImageError as error:
                failed[row] = str(error)
        return stop - start

    with (
        ThreadPoolExecutor(usable_cores()) as pool,
        Progress("decode", len(images), quiet=quiet) as progress,
    ):
        for done in pool.map(fill, range(0, len(images), _BLOCK)):
            progress.advance(done)
    project.mark_unusable({images[row].hash: reason for row, reason in failed.items()})
    kept = [row for row in range(len(images)) if row not in failed]
    return [images[row] for row in kept], squares if not failed else squares[kept]


def codes_of(images: Sequence[Image], names: Sequence[str]) -> tuple[Int, Int]:
    """Return the rows of the images of some classes, and the number of each one's class."""
    number = {name: code for code, name in enumerate(names)}
    rows = [row for row, image in enumerate(images) if image.label in number]
    return np.array(rows, np.int64), np.array(
        [number[str(images[r].label)] for r in rows], np.int64
    )
