"""Which images a student learns, with which probabilities, and which it is compared on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handful.core import AdaptError, Float32, Int, did_you_mean, listed, stream
from handful.jobs.labelled import Labelled, load_labelled, no_labels
from handful.jobs.semisupervised import training_pool
from handful.jobs.teacher import Lecture
from handful.project import Image

if TYPE_CHECKING:
    from handful.adapt import Distilling

_HELD_SHARE, _MOST_HELD = 10, 500  # one in ten of the unlabelled images shows whether the two agree


@dataclass(frozen=True)
class Lessons:
    """The images of a distillation by what they are for.

    Parameters
    ----------
    learnt : list of Image
        Labelled ones first, then guessed ones; a guess of a rare class may come several times.
    labels : ndarray of shape (n, n_classes), float32
        What each of ``learnt`` is.
    targets : ndarray of shape (n,), int
        Class of the labelled ones, -1 of the others.
    held : list of Image
        Unlabelled ones that show whether the two agree.
    tested : list of Image
        Of the test split, with labels.
    counts : dict
        What came of the unlabelled images.
    temperature : float
        By which the teacher's logits were divided.
    """

    learnt: list[Image]
    labels: Float32
    targets: Int
    held: list[Image]
    tested: list[Image]
    counts: dict[str, int]
    temperature: float


def choose_lessons(
    lecture: Lecture, how: Distilling, file: Path, *, random_state: int, quiet: bool
) -> Lessons:
    """Choose confident guesses, every class equally often, and write all guesses to a file.

    Raises
    ------
    AdaptError
        If there is no unlabelled image, a label of a class that the teacher lacks, or no guess
        that reaches the threshold.
    """
    from handful.adapt import (
        balanced_rows,
        calibrated_temperature,
        pseudo_label_rows,
        softened,
        write_pseudo_labels,
    )

    data, master = _labelled(lecture, quiet), lecture.teacher
    pool = training_pool(lecture.work, data, quiet=quiet).images
    order = stream(random_state, "distil").permutation(len(pool))
    n_held = min(len(pool) // _HELD_SHARE, _MOST_HELD)
    held, rest = [pool[row] for row in order[:n_held]], [pool[row] for row in order[n_held:]]
    names = [image.hash for image in rest]
    p, known = lecture.said(names)
    temperature = how.temperature or calibrated_temperature(p, master.accuracy)
    p = softened(p, temperature)
    chosen = balanced_rows(p, how.threshold, random_state=random_state)
    if not len(chosen):
        raise AdaptError(
            f"The teacher is sure of none of {len(rest)} unlabelled images: its highest probability is "
            f"{p.max():.2f}, the threshold {how.threshold}. Are they of its classes ({listed(master.classes)})? "
            "Lower --threshold, or fit the teacher on more labels."
        )
    used = np.isin(np.arange(len(rest)), chosen)
    write_pseudo_labels(file, pseudo_label_rows(names, p, master.classes, used, 1))
    mine = [image for image, test in zip(data.images, data.is_test, strict=True) if not test]
    codes = np.array([master.classes.index(str(image.label)) for image in mine], np.int64)
    certain = np.eye(len(master.classes), dtype=np.float32)
    counts = {
        "unlabelled": len(pool), "learnt": int(used.sum()), "held": n_held,
        "never_confident": int((p.max(axis=1) < how.threshold).sum()),
        "unknown": int((known < master.bundle.threshold).sum()),
    }  # fmt: skip
    return Lessons(
        learnt=[*mine, *(rest[row] for row in chosen)],
        labels=np.concatenate([certain[codes], p[chosen]]),
        targets=np.concatenate([codes, np.full(len(chosen), -1)]),
        held=held,
        tested=[image for image, test in zip(data.images, data.is_test, strict=True) if test],
        counts=counts,
        temperature=temperature,
    )


def _labelled(lecture: Lecture, quiet: bool) -> Labelled:
    """Return the labelled images, none of a class that the teacher lacks."""
    work, classes = lecture.work, lecture.teacher.classes
    labels = {image.label for image in work.images} - {None}
    strange = sorted(str(label) for label in labels.difference(classes))
    if strange:
        raise AdaptError(
            f"A student learns its teacher's {len(classes)} classes, and the folder has labels of others: "
            f"{listed(map(repr, strange))}{did_you_mean(strange[0], classes)}. Fit a teacher on them, or "
            "retract these labels."
        )
    if labels:
        return load_labelled(work, quiet=quiet)
    return no_labels(lecture.teacher.dim)
