"""Look at a folder and this machine, and rank the plans for a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful.advise import (
    Advice,
    Case,
    Data,
    Trial,
    domain_distance,
    names_accuracy,
    purity,
    this_machine,
    trial_of,
    try_out,
)
from handful.advise import advise as rank
from handful.core import Estimate, Float32, HandfulError, ImageError, MeasureError
from handful.heads import Verdict
from handful.images import shorter_side
from handful.jobs.backbone import BackboneChoice
from handful.jobs.class_texts import ClassTexts, read_classes
from handful.jobs.labelled import Labelled, load_labelled, no_labels
from handful.jobs.measuring import Measured
from handful.jobs.methods import METHODS
from handful.jobs.unlabelled import UnlabelledPool, pool_of
from handful.jobs.workspace import Workspace, open_workspace
from handful.jobs.zero_shot import TextModel, has_labels, known_classifier, text_model
from handful.measure import share
from handful.project import Image, Project

if TYPE_CHECKING:
    from handful.adapt import Budget

_SIZES, _VECTORS = 200, 2000  # images whose size is read, vectors whose distance is measured


def advise(
    images: Path | str,
    *,
    classes: ClassTexts | None = None,
    budget: Budget | None = None,
    backbone: BackboneChoice | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> Advice:
    """Rank the ways to a classifier for a folder, each with what it would give and cost.

    Parameters
    ----------
    images : Path or str
        The folder. Its test split is never seen.
    classes : ClassTexts, optional
        The classes by name, where no label names them.
    budget : Budget, optional
        Time, as in ``Budget.parse("30m")``: what takes longer is ruled out.
    backbone : BackboneChoice, optional
        The packaged one by default.
    random_state : int, default=0
    project_dir, quiet
        As in `handful.fit`.

    Raises
    ------
    MeasureError
        If the backbone saw labels of these images.
    ProjectError
        If there is no image.
    """
    choice = backbone or BackboneChoice()
    opened = open_workspace(Path(images), choice, project_dir=project_dir, quiet=quiet)
    with opened as work:
        seen = _seen(work, classes, choice, random_state, quiet)
        case = _case(work, seen, str(images), choice)
    return rank(replace(case, budget=None if budget is None else budget.amount / 60))


def advice_after(
    work: Workspace, data: Labelled, pool: UnlabelledPool, measured: Measured, verdict: Verdict | None,
    choice: BackboneChoice,
) -> dict[str, Any] | None:  # fmt: skip
    """Return the plans as JSON values by what a fit has measured, None where that says nothing of them.

    Nothing is fitted for it: plans that the fit did not try are forecast from other image sets.
    """
    train = ~data.is_test
    validation = measured.validation
    if (
        validation is None
        or METHODS[0] not in validation.methods
        or work.backbone.spec.saw_labels_of
    ):
        return None
    trial = trial_of(validation, measured.curve, verdict, data.y[train])
    rest = data.only(np.flatnonzero(train))
    why = "this fit did not try the names. See handful advise"
    seen = _Seen(rest, pool, sorted(set(rest.y.tolist())), None, why, trial)
    return rank(_case(work, seen, str(work.project.root), choice)).as_dict()


def _case(work: Workspace, seen: _Seen, folder: str, choice: BackboneChoice) -> Case:
    return Case(
        data=_data(work, seen),
        machine=this_machine(),
        trial=seen.trial,
        names=seen.names,
        why_no_names=seen.why_no_names,
        why_no_pool=seen.pool.why_not,
        folder=folder,
        options=_options(choice),
        project=_project(work.project),
    )


@dataclass(frozen=True)
class _Seen:
    """What was found out of a folder's labels, pool and names."""

    data: Labelled
    pool: UnlabelledPool
    named: list[str]
    names: Estimate | None
    why_no_names: str
    trial: Trial


def _seen(
    work: Workspace,
    classes: ClassTexts | None,
    choice: BackboneChoice,
    random_state: int,
    quiet: bool,
) -> _Seen:
    _refuse_seen(work)
    data = _labelled(work, quiet)
    y = data.y.tolist()
    pool = pool_of(work, data, asked=False, random_state=random_state, quiet=quiet)
    named = classes.names if classes else sorted(set(y))
    model, why = _by_names(work, classes, named, y, choice, random_state)
    texts = {"text": model.head.head_, "skill": model.forecast.skill} if model and y else {}
    trial = try_out(
        data.X, data.y, pool=pool.X, **texts, groups=data.groups, random_state=random_state
    )
    names = _names(model, data) if model else None
    return _Seen(data, pool, named, names, why, trial)


def _refuse_seen(work: Workspace) -> None:
    saw = work.backbone.spec.saw_labels_of
    n = sum(image.hash in saw for image in work.images)
    if n:
        raise MeasureError(
            f"{work.backbone.spec.name!r} saw the labels of {n} of these images, so that nothing tried on them "
            "would be true of new ones. Ask for advice with the backbone it was adapted from."
        )


def _labelled(work: Workspace, quiet: bool) -> Labelled:
    """Return the labelled images outside the test split, maybe none."""
    if not has_labels(work):
        return no_labels(work.backbone.spec.dim)
    data = load_labelled(work, quiet=quiet)
    return data.only(np.flatnonzero(~data.is_test))


def _by_names(
    work: Workspace,
    classes: ClassTexts | None,
    named: list[str],
    y: list[str],
    choice: BackboneChoice,
    random_state: int,
) -> tuple[TextModel | None, str]:
    """Return the classifier of the classes' names, or why there is none."""
    if len(named) < 2:
        return None, "no two classes have a name yet. Give them with --classes"
    strange = sorted(set(y) - set(named))
    if strange:
        return None, f"--classes leaves out {strange[0]!r}, which images are labelled"
    try:
        return text_model(work, classes or read_classes(named), choice, random_state), ""
    except HandfulError as error:
        return None, str(error).rstrip(".")


def _names(model: TextModel, data: Labelled) -> Estimate:
    if not len(data.y):
        return model.forecast.accuracy
    hits = int((model.head.predict(data.X) == data.y).sum())
    return names_accuracy(model.forecast.accuracy, hits, len(data.y))


def _data(work: Workspace, seen: _Seen) -> Data:
    names, counts = np.unique(seen.data.y, return_counts=True)
    there = {image.hash for image in seen.data.images}
    pairs = [pair for pair in work.project.near_duplicates() if there.issuperset(pair)]
    usable = [image for image in work.images if image.split != "test"]
    sides = _sides(usable)
    errors, verdict, n = seen.trial.errors, seen.trial.verdict, len(seen.data.y)
    data = Data(
        images=len(usable),
        unlabelled=sum(image.label is None for image in usable),
        classes=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        named=tuple(seen.named),
        near_duplicates=len(pairs),
        side=int(np.median(sides)) if sides else None,
        smallest_side=min(sides, default=None),
        distance=_distance(work, usable),
        likeness=None if verdict is None or np.isnan(verdict.likeness) else verdict.likeness,
    )
    if errors is None:
        return data
    doubted = share(len(errors.rows), n, "labels probably wrong", "confident learning, out of fold")
    return replace(data, purity=purity(seen.data.X, seen.data.y), doubted=doubted)


def _some(images: Sequence[Image], most: int) -> list[Image]:
    rows = np.unique(np.linspace(0, len(images) - 1, most).astype(np.int64))
    return [images[row] for row in rows if images]


def _sides(images: Sequence[Image]) -> list[int]:
    found = []
    for image in _some(images, _SIZES):
        try:
            found.append(shorter_side(image.path))
        except ImageError:  # changed since it was embedded
            continue
    return found


def _distance(work: Workspace, images: Sequence[Image]) -> float | None:
    try:
        classifier = known_classifier(work.backbone.spec)
    except HandfulError:  # a backbone without the classifier that it was trained with
        return None
    X: Float32 = work.store.rows([image.hash for image in _some(images, _VECTORS)])
    return round(domain_distance(X, classifier), 4)


def _options(choice: BackboneChoice) -> tuple[str, ...]:
    """Return what the commands need to see the images with the same backbone."""
    usual = BackboneChoice()
    crop = ",".join(f"{part:g}" for part in choice.crop) if choice.crop else None
    given: dict[str, tuple[Any, Any]] = {
        "--backbone": (choice.name, usual.name), "--weights": (choice.weights, None),
        "--size": (choice.size, None), "--crop": (crop, None), "--tiles": (choice.tiles, usual.tiles),
    }  # fmt: skip
    changed = {key: str(value) for key, (value, default) in given.items() if value != default}
    words = [word for pair in changed.items() for word in pair]
    return (*words, *(["--download"] if choice.download else []))


def _project(project: Project) -> tuple[str, ...]:
    usual = project.root / ".handful"
    return () if project.folder == usual else ("--project", str(project.folder))
