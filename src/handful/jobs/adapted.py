"""Fitting on an adapted backbone: what its run kept makes it possible to measure it honestly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from handful.backbones import OnnxBackbone, load_saved
from handful.core import BackboneError, Bool, Float32, listed
from handful.embeddings import VectorStore, embed
from handful.heads import LinearProbe, TemperatureScaled
from handful.jobs.backbone import BackboneChoice
from handful.jobs.labelled import Labelled
from handful.jobs.workspace import Workspace
from handful.measure import BeforeAfter, Fold, before_after
from handful.project import Image

RESULT = "adapt.json"  # in a run's folder


def vectors_of(
    work: Workspace, backbone: OnnxBackbone, images: list[Image], *, quiet: bool = False
) -> Float32:
    """Return the vectors of images by another backbone than the workspace's, cached like all vectors.

    Raises
    ------
    BackboneError
        If an image cannot be read any more.
    """
    spec = backbone.spec
    store = VectorStore(work.project.folder / "embeddings", spec.fingerprint, spec.dim)
    failed = embed(store, backbone, {image.hash: image.path for image in images}, quiet=quiet)
    if failed:
        raise BackboneError(
            f"Images changed while they were read: {listed(failed.values())}. Try again."
        )
    return store.rows([image.hash for image in images])


class AdaptedRun:
    """The run that a backbone comes from.

    Parameters
    ----------
    folder : Path
        It holds ``adapt.json``, and the backbones of the folds of fine-tuning.

    Raises
    ------
    BackboneError
        If its record is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.facts: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            self.origin = _choice(self.facts["origin"])
            self.folds: list[dict[str, Any]] = self.facts.get("folds", [])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackboneError(
                f"The record of the run {str(folder)!r} is missing or damaged ({error}). Run "
                "`handful adapt` again: it goes on where it stopped."
            ) from error

    def splits(self, work: Workspace, data: Labelled, *, quiet: bool = False) -> list[Fold] | None:
        """Return the folds in which a label that the backbone saw is never tested.

        None for a backbone that saw no label: it is measured like any other.
        An image labelled since the run was seen by none of its backbones, and
        is tested with the first.

        Raises
        ------
        BackboneError
            If the backbone saw labels and its run kept nothing to measure it with.
        """
        saw = work.backbone.spec.saw_labels_of
        if not saw:
            return None
        if not self.folds:
            raise BackboneError(
                f"{work.backbone.spec.name!r} has seen labels of these images and its run kept no fold, so "
                "its accuracy cannot be measured. Run `handful adapt finetune` again."
            )
        train = np.flatnonzero(~data.is_test)
        images, groups = [data.images[row] for row in train], data.groups[train]
        free = np.array([image.hash not in saw for image in images])
        found = []
        for number, fold in enumerate(self.folds):
            held = {str(name) for name in fold["held_out"]}
            test = np.array([image.hash in held for image in images]) | (free & (number == 0))
            test &= ~_shares(groups, ~test)
            backbone = load_saved(self.folder / Path(fold["backbone"]).name)
            X = vectors_of(work, backbone, images, quiet=quiet)
            if test.any():
                found.append(Fold(0, np.flatnonzero(~test), np.flatnonzero(test), X))
        return _known_classes(found, data.y[train])

    def compare(
        self, work: Workspace, data: Labelled, folds: list[Fold] | None, *, quiet: bool = False,
        random_state: int = 0,
    ) -> BeforeAfter:  # fmt: skip
        """Return the accuracy of a linear probe before and after, on the same images."""
        train = np.flatnonzero(~data.is_test)
        images = [data.images[row] for row in train]
        white = work.backbone.spec.preprocess.white
        before = vectors_of(work, self.origin.load(white), images, quiet=quiet)
        after = data.X[train] if folds is None else None
        return before_after(
            TemperatureScaled(LinearProbe()), before, after, data.y[train],
            groups=data.groups[train], folds=folds, random_state=random_state,
        )  # fmt: skip


def run_of(choice: BackboneChoice) -> AdaptedRun | None:
    """Return the run that a chosen backbone comes from, None for any other backbone."""
    folder = Path(choice.name)
    return AdaptedRun(folder) if (folder / RESULT).is_file() else None


def origin_facts(choice: BackboneChoice) -> dict[str, Any]:
    """Return a choice as JSON values, to be made again."""
    weights = None if choice.weights is None else str(choice.weights)
    return {
        "name": choice.name, "weights": weights, "size": choice.size,
        "crop": list(choice.crop) if choice.crop else None,
    }  # fmt: skip


def _choice(origin: dict[str, Any]) -> BackboneChoice:
    weights = origin["weights"]
    return BackboneChoice(
        name=origin["name"], weights=Path(weights) if weights else None, size=origin["size"],
        crop=tuple(origin["crop"]) if origin["crop"] else None,
    )  # fmt: skip


def _shares(groups: Any, others: Bool) -> Bool:
    return np.isin(groups, groups[others])


def _known_classes(folds: list[Fold], y: Any) -> list[Fold]:
    """Return the folds without test images of a class that their training sets lack."""
    kept = []
    for fold in folds:
        test = fold.test[np.isin(y[fold.test], y[fold.train])]
        if len(test):
            kept.append(Fold(fold.repeat, fold.train, test, fold.X))
    return kept
