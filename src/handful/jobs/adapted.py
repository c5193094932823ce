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
from handful.jobs.backbone import RUN_RECORD, BackboneChoice
from handful.jobs.labelled import Labelled
from handful.jobs.methods import POOLED, heads
from handful.jobs.workspace import Workspace
from handful.measure import BeforeAfter, Fold, before_after
from handful.project import Image


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
            self.facts: dict[str, Any] = json.loads(
                (folder / RUN_RECORD).read_text(encoding="utf-8")
            )
            self.origin = _choice(self.facts["origin"])
            self.folds: list[dict[str, Any]] = self.facts.get("folds", [])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackboneError(
                f"The record of the run {str(folder)!r} is missing or damaged ({error}). Run "
                "`handful adapt` again: it goes on where it stopped."
            ) from error

    def splits(self, work: Workspace, data: Labelled, *, quiet: bool = False) -> list[Fold] | None:
        """Return the folds in which a label that the backbone saw is never tested.

        None for a backbone that saw no label of this folder: it is measured
        like any other. An image labelled since the run was seen by none of its
        backbones, and is tested with the first, unless the run learnt from it
        unlabelled: then its own guess of the label is in it. Where a class has one label
        nothing was held out; then there is no fold, and nothing is measured.
        """
        saw = work.backbone.spec.saw_labels_of
        if not seen_labels(work, data):
            return None
        train = np.flatnonzero(~data.is_test)
        images, groups = [data.images[row] for row in train], data.groups[train]
        used = saw | learnt_unlabelled(self.folder)
        free = np.array([image.hash not in used for image in images])
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
        """Return the accuracy of a linear probe before and after, on the same images.

        Before, where the backbone learnt from unlabelled images, it learns from them too.
        """
        train = np.flatnonzero(~data.is_test)
        images = [data.images[row] for row in train]
        white = work.backbone.spec.preprocess.white
        origin = self.origin.load(white)
        before = vectors_of(work, origin, images, quiet=quiet)
        after = data.X[train] if folds is None else None
        used = learnt_unlabelled(self.folder)
        pool = [image for image in work.images if image.hash in used and image.label is None]
        name = POOLED[0]
        head_before = (
            heads(name, vectors_of(work, origin, pool, quiet=quiet))[name] if pool else None
        )
        return before_after(
            TemperatureScaled(LinearProbe()), before, after, data.y[train], head_before=head_before,
            groups=data.groups[train], folds=folds, random_state=random_state,
        )  # fmt: skip


def run_of(choice: BackboneChoice, work: Workspace, data: Labelled) -> AdaptedRun | None:
    """Return the run that a chosen backbone comes from, None for any other backbone.

    Raises
    ------
    BackboneError
        If the backbone saw labels of these images and nothing tells which.
    """
    folder = Path(choice.name)
    if (folder / RUN_RECORD).is_file():
        return AdaptedRun(folder)
    if seen_labels(work, data):
        raise BackboneError(
            f"{work.backbone.spec.name!r} has seen labels of these images, and {str(folder)!r} holds no finished "
            "run, so its accuracy could not be measured. Give the folder of the whole run, or finish it: the "
            "same `handful adapt` command goes on where it stopped."
        )
    return None


def learnt_unlabelled(folder: Path) -> frozenset[str]:
    """Return the hashes of the images that a semi-supervised run learnt from without a label."""
    path = folder / "images.json"
    if not path.is_file():
        return frozenset()
    return frozenset(json.loads(path.read_text(encoding="utf-8"))["unlabelled"])


def seen_labels(work: Workspace, data: Labelled) -> bool:
    """Return whether the workspace's backbone saw the label of one of these images."""
    saw = work.backbone.spec.saw_labels_of
    return any(image.hash in saw for image in data.images)


def without_seen_tests(work: Workspace, data: Labelled) -> Labelled:
    """Leave out of the test split what the backbone learnt from before it was put there."""
    saw = work.backbone.spec.saw_labels_of
    seen = np.array([image.hash in saw for image in data.images])
    keep = np.flatnonzero(~(data.is_test & (seen | np.isin(data.groups, data.groups[seen]))))
    return data.only(keep)


def origin_facts(choice: BackboneChoice) -> dict[str, Any]:
    """Return a choice as JSON values, to be made again."""
    weights = None if choice.weights is None else str(choice.weights.resolve())
    is_path = Path(choice.name).is_dir()
    return {
        "name": str(Path(choice.name).resolve()) if is_path else choice.name, "weights": weights, "size": choice.size,
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
