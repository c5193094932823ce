"""The images that have a vector, as arrays, and the thread that makes them more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from handful.backbones import OnnxBackbone
from handful.core import Bool, Float32, HandfulError, usable_cores
from handful.embeddings import VectorStore, embed
from handful.heads import transformed
from handful.images import may_pass
from handful.jobs.backbone import BackboneChoice
from handful.jobs.labelling.priority import give_way
from handful.jobs.workspace import Workspace, white_of
from handful.project import Image, Project
from handful.select import prepared

_CHUNK = 128  # images embedded between two looks at whether to stop
_GROWTH, _BLOCK = 1.5, 4096
AUDITS = 10  # one image in so many is set apart for audits


@dataclass(frozen=True)
class Pool:
    """The images that can be asked for; a larger pool begins with the rows of a smaller one.

    Parameters
    ----------
    images : list of Image
    X : ndarray of shape (n, dim), float32
        Signed square roots of unit length, as the heads want them.
    space : ndarray of shape (n, n_axes), float32
        See `handful.select.prepared`.
    is_reserved : ndarray of shape (n,), bool
        Set apart for audits. A share drawn by the content hash, so that it is the
        same in every session, and a uniform sample.
    """

    images: list[Image] = field(default_factory=list)
    X: Float32 = field(default_factory=lambda: np.empty((0, 1), np.float32))
    space: Float32 = field(default_factory=lambda: np.empty((0, 1), np.float32))
    is_reserved: Bool = field(default_factory=lambda: np.empty(0, np.bool_))

    def __post_init__(self) -> None:
        rows = {image.hash: row for row, image in enumerate(self.images)}
        object.__setattr__(self, "row", rows)

    row: dict[str, int] = field(init=False, repr=False)

    def __len__(self) -> int:
        return len(self.images)


def is_reserved(image: str) -> bool:
    """Return whether an image is set apart for audits: one in ten, by its hash."""
    return int(image[:8], 16) % AUDITS == 0


class Gathering:
    """Scan and embed a folder in a thread.

    Images are embedded in the order of their hash, a random one, so that a part
    of them stands for all.

    Parameters
    ----------
    project : Project
        Open.
    choice : BackboneChoice
    grown : callable
        Called with every larger `Pool`, in the thread.

    Attributes
    ----------
    stage : {"scan", "embed", "done", "failed"}
    total, done : int
        Images, and those with a vector.
    message : str
        Why it failed.
    images : dict of str to Image
        Those that can be used, by hash.
    white : int or None
        The value of white in 16-bit images.
    work : Workspace or None
    """

    def __init__(
        self, project: Project, choice: BackboneChoice, grown: Callable[[Pool], None]
    ) -> None:
        self.project, self.choice, self.grown = project, choice, grown
        self.stage, self.message = "scan", ""
        self.total = self.done = 0
        self.images = {image.hash: image for image in project.images()}
        self.pool = Pool()
        self.white: int | None = project.setting("white")
        self.work: Workspace | None = None
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handful-gather", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the images under way, and wait for that."""
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        give_way()
        try:
            self._gather()
        except HandfulError as error:
            self.stage, self.message = "failed", str(error)
        except Exception as error:
            self.stage, self.message = "failed", f"{type(error).__name__}: {error}"
            raise

    def _gather(self) -> None:
        scanned = self.project.scan(quiet=True)
        scanned.raise_if_empty()
        self.project.retry_unusable(may_pass)
        images = self.project.images()
        self.images = {image.hash: image for image in images}
        self.total = len(images)
        self.white = white_of(self.project, images)
        backbone = self.choice.load(self.white)
        store = VectorStore(
            self.project.folder / "embeddings", backbone.spec.fingerprint, backbone.spec.dim
        )
        self.work = Workspace(self.project, scanned, backbone, store, [])
        self.stage = "embed"
        self._embed(backbone, store)
        self.stage = "done"

    def _embed(self, backbone: OnnxBackbone, store: VectorStore) -> None:
        hashes = sorted(self.images)
        store.verify(hashes)
        there = [name for name in hashes if name in store]
        missing = [name for name in hashes if name not in store]
        self.done = len(there)
        self._grow(there, store)
        threads = max(1, usable_cores() - 1)  # the page needs one too
        waiting: list[str] = []
        for start in range(0, len(missing), _CHUNK):
            if self._is_stopping.is_set():
                return
            part = missing[start : start + _CHUNK]
            paths = {name: self.images[name].path for name in part}
            failed = embed(store, backbone, paths, n_jobs=threads, quiet=True)
            self.project.mark_unusable(failed)
            self.images = {k: image for k, image in self.images.items() if k not in failed}
            waiting += [name for name in part if name not in failed]
            self.done += len(part)
            if len(self.pool) + len(waiting) >= _GROWTH * len(self.pool):
                self._grow(waiting, store)
                waiting = []
        self._grow(waiting, store)

    def _grow(self, hashes: list[str], store: VectorStore) -> None:
        found = [self.images[name] for name in hashes]
        new = [image for image in found if image.split != "test"]
        if not new:
            return
        images = [*self.pool.images, *new]
        vectors = store.rows([image.hash for image in images])
        reserved = np.array([is_reserved(image.hash) for image in images])
        space = prepared(vectors)
        for start in range(
            0, len(vectors), _BLOCK
        ):  # in place: the vectors of a large folder are large
            block = slice(start, start + _BLOCK)
            vectors[block] = transformed(vectors[block], power=0.5)
        self.pool = Pool(images, vectors, space, reserved)
        self.grown(self.pool)
