"""Which images of a folder to label next, elsewhere: a list, or tasks for Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.core import ProjectError
from handful.jobs.backbone import BackboneChoice
from handful.jobs.near_duplicates import copies_among, repeats_in
from handful.jobs.workspace import Workspace, open_workspace
from handful.project import Image, label_studio_tasks
from handful.select import Batch, Loop, check_strategy

_CLOSED = ("unsure", "none_of_these")  # kinds of an answer that is no label


@dataclass(frozen=True)
class Question:
    """An image to label.

    Parameters
    ----------
    image : Image
    suggestion : str or None
        The likeliest class; None while labels of fewer than two classes are known.
    probability : float or None
        Of that class, in ``[0, 1]``.
    q : float or None
        Probability with which the image was drawn; None where the strategy is deterministic.
    why : str
        Why it was picked.
    """

    image: Image
    suggestion: str | None
    probability: float | None
    q: float | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return the row of ``--json``."""
        return {
            "path": self.image.name,
            "suggestion": self.suggestion,
            "probability": None if self.probability is None else round(self.probability, 6),
            "q": None if self.q is None else float(f"{self.q:.6g}"),
            "why": self.why,
        }


def next_images(
    images: Path,
    n: int = 20,
    *,
    strategy: str = "default",
    backbone: BackboneChoice | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> list[Question]:
    """Return the images of a folder whose labels would help most.

    Images with a label, of the test split, and those a person could not tell are not asked
    for, nor a copy of a labelled image or of another pick: it teaches nothing new. It works from
    no label on. Pixels decide what a copy is, vectors propose the pairs. The strategy ``"random"``
    leaves copies in, so that its picks are a random sample.

    Parameters
    ----------
    images : Path
        The folder.
    n : int, default=20
        Images wanted, at least 1; fewer where fewer have no label.
    strategy : str, default="default"
        A name in `handful.select.STRATEGIES`.
    backbone : BackboneChoice, optional
        The packaged one by default.
    random_state : int, default=0
    project_dir, quiet
        As in `handful.fit`.

    Raises
    ------
    ProjectError
        If there is no such strategy, no image, or none without a label.
    """
    try:
        check_strategy(strategy)
    except ValueError as error:
        raise ProjectError(str(error)) from error
    opened = open_workspace(
        Path(images), backbone or BackboneChoice(), project_dir=project_dir, quiet=quiet
    )
    with opened as work:
        loop = _loop(work, strategy, random_state)
        batch = loop.ask(n) if strategy == "random" else _without_copies(work, loop, n, quiet)
        if not len(batch.indices):
            raise ProjectError(
                f"Every image in {str(work.project.root)!r} that may be asked for has a label. "
                "Add images, or fit: handful fit IMAGES."
            )
        return _questions(work, loop, batch)


def as_label_studio(questions: Sequence[Question], strategy: str) -> list[dict[str, Any]]:
    """Return questions as Label Studio tasks; suggestions become predictions."""
    predictions = {
        question.image.hash: (question.suggestion, round(question.probability, 6))
        for question in questions
        if question.suggestion is not None and question.probability is not None
    }
    chosen = [question.image for question in questions]
    return label_studio_tasks(chosen, predictions, model_version=f"handful {strategy}")


def _loop(work: Workspace, strategy: str, random_state: int) -> Loop:
    """Return the loop of a folder, told what is known."""
    X = work.store.rows([image.hash for image in work.images])
    is_test = np.array([image.split == "test" for image in work.images])
    is_closed = is_test | np.array([image.kind in _CLOSED for image in work.images])
    is_labelled = ~is_test & np.array([image.label is not None for image in work.images])
    loop = Loop(
        X, strategy=strategy, audits=0, closed=np.flatnonzero(is_closed), random_state=random_state
    )
    rows = np.flatnonzero(is_labelled)
    if len(rows):
        loop.tell(rows, [work.images[row].label for row in rows])
    return loop


def _without_copies(work: Workspace, loop: Loop, n: int, quiet: bool) -> Batch:
    """Ask again in place of each copy of a labelled image or of an earlier pick."""
    labelled = [work.images[row] for row in loop.labelled]
    while True:
        batch = loop.ask(n)
        picked = [work.images[row] for row in batch.indices]
        copies = copies_among(work, labelled, picked, quiet=quiet)
        copies |= repeats_in(work, picked, quiet=quiet)
        if not copies:
            return batch
        loop.close([row for row in batch.indices if work.images[row].hash in copies])


def _questions(work: Workspace, loop: Loop, batch: Batch) -> list[Question]:
    proba, found = loop.proba(), []
    for row, q, why in zip(batch.indices, batch.q, batch.why, strict=True):
        suggestion, probability = None, None
        if proba is not None:
            suggestion = str(loop.head_.classes_[proba[row].argmax()])
            probability = float(proba[row].max())
        known = None if np.isnan(q) else float(q)
        found.append(Question(work.images[row], suggestion, probability, known, why))
    return found
