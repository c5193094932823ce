"""What a model file says of the images, until the page's own model is right more often."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handful.bundle import Bundle, BundleHead
from handful.core import Float32
from handful.jobs.labelling.pool import Pool
from handful.jobs.workspace import Workspace
from handful.project import Project


@dataclass(frozen=True)
class Suggested:
    """Probabilities of each image of a pool, and whose they are.

    Parameters
    ----------
    source : str
        The model file's name.
    classes : tuple of str
        As they are called now.
    proba : ndarray of shape (n_pool, n_classes), float32
    """

    source: str
    classes: tuple[str, ...]
    proba: Float32


class Suggestions:
    """Ask a model file about images as a pool grows, each once.

    Where the page embeds with the model's own backbone its vectors are used; else the
    images are decoded again.

    Parameters
    ----------
    path : Path
        Any bundle, such as one that `handful.fit` made from the names of classes.

    Raises
    ------
    BundleError
        If it cannot be loaded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._head = BundleHead(path)
        self.classes = list(self._head.classes)
        self._proba: Float32 = np.empty((0, len(self.classes)), np.float32)
        self._since = 0

    def begin(self, project: Project) -> None:
        """Note which renamings of classes are older than the suggestions."""
        self._since = max((event.step for event in project.classes.events()), default=0)

    def of(self, pool: Pool, work: Workspace, project: Project) -> Suggested:
        """Return what the model says of a pool, which only ever grows at its end."""
        new = pool.images[len(self._proba) :]
        if new and self._head.fingerprint == work.backbone.spec.fingerprint:
            found = self._head.predict_proba(work.store.rows([image.hash for image in new]))
            self._proba = np.concatenate([self._proba, found])
        elif new:
            found = self._decoded([image.path for image in new])
            self._proba = np.concatenate([self._proba, found])
        names = project.classes.names_now((name, self._since) for name in self.classes)
        classes, place = np.unique(names, return_inverse=True)
        proba = np.zeros((len(self._proba), len(classes)), np.float32)
        np.add.at(proba.T, place, self._proba.T)  # classes that were merged are one
        return Suggested(self.path.name, tuple(map(str, classes)), proba)

    def _decoded(self, paths: list[Path]) -> Float32:
        """Return the answers of the whole model; all classes alike for an image that cannot be read."""
        out = np.full((len(paths), len(self.classes)), 1 / len(self.classes), np.float32)
        for row, said in Bundle.load(self.path).predict(paths):
            if not isinstance(said, str):
                out[row] = [said.probabilities[name] for name in self.classes]
        return out
