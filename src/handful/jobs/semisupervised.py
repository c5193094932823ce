"""What adapting with unlabelled images adds to fine-tuning: the pool, its checks, the lessons of a student."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.core import AdaptError, Array, Int, listed, write_atomically
from handful.jobs.adaptation import own_options
from handful.jobs.adapted import vectors_of
from handful.jobs.labelled import Labelled
from handful.jobs.methods import POOLED, heads
from handful.jobs.near_duplicates import copies_among
from handful.jobs.workspace import Workspace
from handful.project import Image

if TYPE_CHECKING:
    from handful.adapt import Network, Taught, TrainingData
    from handful.jobs.adapting_part import Part

BEST = POOLED[
    0
]  # of the heads that learn from a pool: the first teacher, and what a network has to beat
IMAGES = "images.json"  # of a training: labels and unlabelled images that it learns from
COUNTS = "unlabelled.json"  # of a training: what came of its unlabelled images


@dataclass(frozen=True)
class TrainingPool:
    """The unlabelled images that a training may learn from: never what tests it, nor a copy of that.

    Parameters
    ----------
    images : list of Image
        Those outside the test split, without copies of labelled and of test images.
    labelled : list of Image
        The labelled images outside the test split.
    n_left_out : int
        Copies, and images of a group with a test image.
    """

    images: list[Image]
    labelled: list[Image]
    n_left_out: int

    def joined(self, rows: Int) -> Int:
        """Return rows of the labelled images and, numbered after all of them, those of the pool.

        Images of a group with a labelled one that is not in ``rows`` stay out.
        """
        chosen = {int(row) for row in rows}
        held = {image.group for row, image in enumerate(self.labelled) if row not in chosen} - {
            None
        }
        free = [row for row, image in enumerate(self.images) if image.group not in held]
        if not free:
            raise AdaptError(
                "Every unlabelled image is of a group with a labelled one that is held out. Add others."
            )
        return np.concatenate([rows, len(self.labelled) + np.array(free, np.int64)])


def training_pool(work: Workspace, data: Labelled, *, quiet: bool = False) -> TrainingPool:
    """Return the pool of a folder.

    Raises
    ------
    AdaptError
        If no unlabelled image is left.
    """
    there = [image for image in work.images if image.label is None and image.split != "test"]
    if not there:
        raise AdaptError(
            "There is no unlabelled image outside the test split. Put some into the folder 'unlabelled', or "
            "learn from the labels alone: handful adapt finetune."
        )
    held = [image for image in work.images if image.label is not None or image.split == "test"]
    copies = copies_among(work, held, there, quiet=quiet)
    groups = {image.group for image in work.images if image.split == "test"} - {None}
    kept = [i for i in there if i.hash not in copies and i.group not in groups]
    if not kept:
        raise AdaptError(
            f"All {len(there)} unlabelled images are copies of labelled or of test images, or of a group with "
            "a test image. Add others."
        )
    labelled = [image for image, test in zip(data.images, data.is_test, strict=True) if not test]
    return TrainingPool(kept, labelled, len(there) - len(kept))


def check_two_labels(y: Array) -> None:
    """Refuse a class with a single label: it takes one to learn from and one to measure on.

    Raises
    ------
    AdaptError
        Naming such classes.
    """
    names, counts = np.unique(y, return_counts=True)
    single = names[counts < 2].tolist()
    if single:
        raise AdaptError(
            "Learning from unlabelled images takes two labels a class, one to learn from and one to measure "
            f"on. With a single one: {listed(map(repr, single))}. Label more of them."
        )


def noted(folder: Path, images: Sequence[Image], codes: Int, rows: Int) -> Int:
    """Write down once what a training learns from, and return what is written down.

    A run that goes on thus never draws its labels or its pool anew.

    Raises
    ------
    AdaptError
        If an image is no longer there.
    """
    path = folder / IMAGES
    if not path.is_file():
        labelled = {images[row].hash: int(codes[row]) for row in rows if codes[row] >= 0}
        others = [images[row].hash for row in rows if codes[row] < 0]
        content = {"format_version": 1, "labelled": labelled, "unlabelled": others}
        write_atomically(path, json.dumps(content).encode())
    there = json.loads(path.read_text(encoding="utf-8"))
    row_of = {image.hash: row for row, image in enumerate(images)}
    try:
        return np.array([row_of[name] for name in (*there["labelled"], *there["unlabelled"])])
    except KeyError as error:
        raise AdaptError(
            f"The image with the hash {error} of the run {str(folder)!r} is gone. Delete the folder to begin again."
        ) from error


def taught(part: Part, folder: Path, rows: Int, data: TrainingData, size: int) -> Taught:
    """Return the student that Noisy Student ends with.

    Raises
    ------
    AdaptError, ValueError
        If an option is out of range, or training fails.
    """
    from handful.adapt import Noise, School, probe_head

    run, y = part.run, part.codes[rows]
    name = run.settings.options.get("student")
    X, known = part.frozen[rows], y >= 0
    X_student = X if name is None else _own_vectors(part, rows, name)

    def teacher(fit: Int) -> Array:
        head = heads(BEST, X[~known])[BEST]
        return head.fit(X[fit], y[fit]).predict_proba(X)

    def student(fit: Int) -> tuple[Network, Any]:
        network = run.network(name)
        start = None if run.settings.scratch else probe_head(X_student[fit], y[fit])
        return network, start

    def plan(method: Any, data: TrainingData) -> Any:
        recipe = run.planned(method, data)
        return replace(recipe, batch_size=min(recipe.batch_size, len(data.names)))

    groups = np.full(len(rows), -1)
    groups[known] = part.groups[rows[known]]
    school = School(
        data, teacher, student, plan, folder, size, part.classes, noise=Noise(**own_options(run.settings)),
        groups=groups, random_state=run.random_state, hardware=run.settings.hardware, quiet=run.quiet,
    )  # fmt: skip
    found = school.teach()
    kept = {"generation": found.generation, "accuracies": found.accuracies}
    write_counts(folder, {**found.counts, **kept})
    return found


def write_counts(folder: Path, counts: dict[str, Any]) -> None:
    """Keep what came of a training's unlabelled images."""
    write_atomically(folder / COUNTS, json.dumps(counts).encode())


def unlabelled_facts(folder: Path, pool: TrainingPool) -> dict[str, Any]:
    """Return what a run's record says of the unlabelled images: those of the last training there was."""
    places = [folder, *sorted(folder.glob("fold-*"), reverse=True)]
    found = next(place / COUNTS for place in places if (place / COUNTS).is_file())
    return {**json.loads(found.read_text(encoding="utf-8")), "left_out": pool.n_left_out}


def doubt(facts: dict[str, Any]) -> str:
    """Return the sentence on images that were never guessed with confidence, empty without any."""
    n, total = facts["never_confident"], facts["unlabelled"]
    if not n:
        return ""
    return (
        f" Of {total} unlabelled images {n} were never guessed with confidence; some may be of none of "
        "these classes."
    )


def _own_vectors(part: Part, rows: Int, name: str) -> Array:
    """Return the vectors of a larger student for the labelled rows, 0 elsewhere."""
    from handful.adapt import export_network

    run = part.run
    network, smaller = run.network(name), run.network()
    sizes = [sum(p.numel() for p in n.chain.parameters()) for n in (network, smaller)]
    if sizes[0] < sizes[1]:
        raise AdaptError(
            f"A student is at least as large as its teacher. {name!r} has {sizes[0]:,} weights, "
            f"{smaller.name!r} {sizes[1]:,}."
        )
    known = np.flatnonzero(part.codes[rows] >= 0)
    images = [part.images[row] for row in rows[known]]
    X = vectors_of(run.work, export_network(network), images, quiet=run.quiet)
    found = np.zeros((len(rows), X.shape[1]), np.float32)
    found[known] = X
    return found
