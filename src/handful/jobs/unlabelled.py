"""The unlabelled images that ``fit`` learns from, and what they brought."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from handful.advise import FEWEST_UNLABELLED, MOST_LABELS
from handful.core import Estimate, Float32, Int, ProjectError, stream
from handful.heads import Verdict
from handful.jobs.labelled import Labelled
from handful.jobs.measuring import Measured
from handful.jobs.methods import METHODS, POOLED, heads
from handful.jobs.near_duplicates import copies_among
from handful.jobs.workspace import Workspace
from handful.measure import Validation
from handful.project import Image

MOST = 10_000  # of more images so many are drawn: a linear rule learns no more from the rest
_SHOWN = 12  # pseudo-labels in each sheet


@dataclass(frozen=True)
class UnlabelledPool:
    """Unlabelled images outside the test split, none of which shows a labelled or a tested picture.

    Parameters
    ----------
    images : list of Image
    X : ndarray of shape (n, dim), float32
    there : int
        Unlabelled images in the folder, outside the test split.
    copies : int
        Of those looked at, left out since they show the picture of a labelled or a test image.
    why_not : str
        Why no image is used, else empty.
    """

    images: list[Image] = field(default_factory=list)
    X: Float32 | None = field(default=None, repr=False)
    there: int = 0
    copies: int = 0
    why_not: str = ""


def pool_of(
    work: Workspace, data: Labelled, *, asked: bool, random_state: int, quiet: bool
) -> UnlabelledPool:
    """Return the pool, empty where there are too few images or labels enough.

    Parameters
    ----------
    work : Workspace
    data : Labelled
    asked : bool
        A method that needs the pool was asked for by name: nothing but its absence stops it.
    random_state : int
        Draws the pool from more than 10,000 images.
    quiet : bool
    """
    there = [i for i in work.images if i.label is None and i.split != "test"]
    labels = data.y[~data.is_test]
    n_classes = len(set(labels))
    if n_classes < 2 or not there or (len(there) < FEWEST_UNLABELLED and not asked):
        few = f"{len(there)} unlabelled images are too few to learn from." if there else ""
        return UnlabelledPool(there=len(there), why_not=few)
    if len(labels) > MOST_LABELS * n_classes and not asked:
        enough = f"With {len(labels)} labels the {len(there)} unlabelled images are left aside."
        return UnlabelledPool(there=len(there), why_not=enough)
    some = _drawn(there, random_state)
    held = [i for i in work.images if i.label is not None or i.split == "test"]
    copies = copies_among(work, held, some, quiet=quiet)
    images = [image for image in some if image.hash not in copies]
    if not images:
        copied = "Every unlabelled image shows the picture of a labelled or a test image."
        return UnlabelledPool(there=len(there), copies=len(copies), why_not=copied)
    X = work.store.rows([image.hash for image in images])
    return UnlabelledPool(images, X, len(there), len(copies))


def with_pool(
    method: str, pool: UnlabelledPool, data: Labelled
) -> tuple[dict[str, Any], Verdict | None]:
    """Return the heads to compare, and what the pool promises by its own evidence.

    Where it promises nothing, ``"auto"`` compares those alone that leave it aside.

    Raises
    ------
    ProjectError
        If a method that needs unlabelled images was asked for and there are none.
    """
    if pool.X is None:
        if method in POOLED:
            why = pool.why_not or "There is no unlabelled image outside the test split."
            raise ProjectError(
                f"{why} The method {method!r} learns from them. Put some into the folder "
                "'unlabelled', or leave out --method."
            )
        return heads(method), None
    if method not in ("auto", POOLED[0]):
        return heads(method, pool.X), None
    train = ~data.is_test
    candidates = heads(method, pool.X)
    verdict = clone(candidates[POOLED[0]].head).fit(data.X[train], data.y[train]).rule_.verdict_
    if verdict.kept == "probe" and method == "auto":
        return heads(method), verdict
    return candidates, verdict


def unlabelled_facts(
    pool: UnlabelledPool,
    verdict: Verdict | None,
    data: Labelled,
    measured: Measured,
    head: Any,
    method: str,
) -> dict[str, Any] | None:
    """Return what the report says of the unlabelled images, None without any.

    Parameters
    ----------
    pool : UnlabelledPool
    verdict : Verdict or None
        Of the spreading probe on all labels.
    data : Labelled
    measured : Measured
    head : classifier
        The fitted, calibrated head that is shipped, of this ``method``.
    method : str
    """
    if not pool.there:
        return None
    used = method in POOLED
    validation = measured.validation
    return {
        "there": pool.there,
        "n": len(pool.images),
        "copies": pool.copies,
        "used": used,
        "why_not": pool.why_not,
        "verdict": verdict,
        "gain": _gain(validation, method),
        "per_class": _per_class(validation, data, method) if used else [],
        **_sheets(pool, head if used else None),
    }


def _drawn(images: list[Image], random_state: int) -> list[Image]:
    if len(images) <= MOST:
        return images
    rows = stream(random_state, "unlabelled").choice(len(images), MOST, replace=False)
    return [images[row] for row in np.sort(rows)]


def _gain(validation: Validation | None, method: str) -> Estimate:
    """Return the accuracy with the pool less that without it, on the same folds."""
    what, plain = "gain in accuracy by unlabelled images", METHODS[0]
    if validation is None or validation.chosen != method:
        return Estimate.not_measurable(what, "nothing was measured")
    if method in POOLED and plain in validation.differences:
        return replace(validation.differences[plain], what=what)
    if method == plain and POOLED[0] in validation.differences:
        found = validation.differences[POOLED[0]]
        return replace(found, value=-found.value, low=-found.high, high=-found.low, what=what)
    return Estimate.not_measurable(what, "the two were not compared on the same folds")


def _per_class(validation: Validation | None, data: Labelled, method: str) -> list[dict[str, Any]]:
    """Return by how much the recall of each class changed."""
    if validation is None or METHODS[0] not in validation.methods:
        return []
    change = validation.methods[method].hits - validation.methods[METHODS[0]].hits
    y = data.y[~data.is_test]
    rows = {name: np.flatnonzero((y == name) & ~np.isnan(change)) for name in validation.classes}
    return [
        {"name": str(name), "n": len(own), "gain": float(change[own].mean())}
        for name, own in rows.items()
        if len(own)
    ]


def _sheets(pool: UnlabelledPool, head: Any) -> dict[str, Any]:
    """Return the pseudo-labels that are trusted most, the classes in turn, and least."""
    proba = None if head is None else head.head_.rule_.pseudo_proba_
    if proba is None:
        return {"trusted": [], "doubted": []}
    confidence, best = proba.max(axis=1), head.classes_[proba.argmax(axis=1)]
    order = np.argsort(-confidence, kind="stable")
    alike = best[order][:, None] == head.classes_
    place = alike.cumsum(axis=0)[alike]  # of a row among those of its class
    in_turn = order[np.argsort(place, kind="stable")]

    def shown(rows: Int) -> list[dict[str, Any]]:
        return [
            {
                "name": pool.images[row].name,
                "prediction": str(best[row]),
                "confidence": round(float(confidence[row]), 4),
            }
            for row in rows
        ]

    return {"trusted": shown(in_turn[:_SHOWN]), "doubted": shown(order[::-1][:_SHOWN])}
