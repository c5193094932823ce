"""A model file as a teacher: what it says of a folder's images, read once and kept like vectors."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones import BackboneSpec
from handful.bundle import Bundle
from handful.core import Float32, UInt8
from handful.embeddings import VectorStore, embed
from handful.images import may_pass
from handful.jobs.workspace import Workspace
from handful.project import Project

_ROUNDS, _BATCH, _SECONDS = 5, 8, 0.2  # of timing: the best of some rounds, in turn


class Teacher:
    """A bundle whose vectors hold its answers too, so that the store of vectors keeps them.

    Parameters
    ----------
    path : Path
        A model file of `handful.fit`.

    Attributes
    ----------
    spec : BackboneSpec
        Its vectors are the bundle's, then a probability for each class, then the known score.
    dim : int
        Length of the bundle's own vectors.

    Raises
    ------
    BundleError
        If the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.bundle = Bundle.load(path)
        self.classes = self.bundle.classes
        preprocess = self.bundle.preprocess
        side = preprocess.side
        self.dim = self.bundle.infer(np.zeros((1, side, side, 3), np.uint8))[2].shape[1]
        content = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        self.spec = BackboneSpec(
            f"teacher {path.name}", content, preprocess, self.dim + len(self.classes) + 1
        )

    def embed(self, images: UInt8) -> Float32:
        """Return vectors, probabilities and known scores beside each other, float32 [n, spec.dim]."""
        p, known, X = self.bundle.infer(images)
        return np.concatenate([X, p, known[:, None]], axis=1)

    @property
    def accuracy(self) -> float:
        """What the bundle states of its own accuracy, NaN where it was not measured."""
        value = (self.bundle.info.get("accuracy") or {}).get("value")
        return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class _Vectors:
    """The store of a teacher's answers, of which other jobs see the vectors alone."""

    store: VectorStore
    dim: int

    def rows(self, hashes: Sequence[str]) -> Float32:
        return self.store.rows(hashes)[:, : self.dim]


@dataclass(frozen=True)
class Lecture:
    """A folder's images as a teacher sees them.

    Parameters
    ----------
    work : Workspace
        Its vectors are the teacher's.
    store : VectorStore
        All that the teacher says.
    teacher : Teacher
    """

    work: Workspace
    store: VectorStore
    teacher: Teacher

    def said(self, hashes: Sequence[str]) -> tuple[Float32, Float32]:
        """Return probabilities [n, n_classes] and known scores [n]."""
        rows = self.store.rows(hashes)[:, self.teacher.dim :]
        return rows[:, :-1], rows[:, -1]


@contextmanager
def open_lecture(
    folder: Path, teacher: Teacher, *, project_dir: Path | None = None, quiet: bool = False
) -> Iterator[Lecture]:
    """Open a folder's project, scan it, and run the teacher on the clean images that it has not seen.

    Raises
    ------
    ProjectError
        If no image is left.
    """
    with Project.open(folder, project_dir=project_dir) as project:
        scanned = project.scan(quiet=quiet)
        scanned.raise_if_empty()
        project.retry_unusable(may_pass)
        images = project.images()
        store = VectorStore(
            project.folder / "embeddings", teacher.spec.fingerprint, teacher.spec.dim
        )
        failed = embed(store, teacher, {i.hash: i.path for i in images}, quiet=quiet)
        project.mark_unusable(failed)
        usable = [image for image in images if image.hash not in failed]
        stand_in: Any = teacher
        vectors: Any = _Vectors(store, teacher.dim)
        yield Lecture(Workspace(project, scanned, stand_in, vectors, usable), store, teacher)


def images_per_second(*bundles: Bundle) -> list[float]:
    """Return how many preprocessed images a second each model file classifies on one core.

    They take turns, and each one's best turn counts, so that what else the machine does weighs
    on all alike.
    """
    batches = []
    for bundle in bundles:
        side = bundle.preprocess.side
        batches.append(
            np.random.default_rng(0).integers(0, 256, (_BATCH, side, side, 3)).astype(np.uint8)
        )
        bundle.infer(batches[-1])
    best = [0.0] * len(bundles)
    for _ in range(_ROUNDS):
        for row, (bundle, images) in enumerate(zip(bundles, batches, strict=True)):
            best[row] = max(best[row], _rate(bundle, images))
    return best


def _rate(bundle: Bundle, images: UInt8) -> float:
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < _SECONDS:
        bundle.infer(images)
        n += len(images)
    return n / (time.perf_counter() - start)
