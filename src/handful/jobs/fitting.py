"""The main job: a folder of images in, an honest small classifier out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from handful import __version__
from handful.bundle import Bundle, save_bundle
from handful.core import BundleError, Estimate, Float32, ProjectError
from handful.heads import KnownScorer
from handful.jobs.adapted import run_of, without_seen_tests
from handful.jobs.advising import advice_after
from handful.jobs.backbone import BackboneChoice
from handful.jobs.class_texts import ClassTexts
from handful.jobs.labelled import Labelled, check_labels, load_labelled
from handful.jobs.measuring import SETS_ALPHA, Measured, measure
from handful.jobs.methods import POOLED, check_method
from handful.jobs.reporting import as_json, build_report, strip_names, write_run
from handful.jobs.unlabelled import UnlabelledPool, pool_of, unlabelled_facts, with_pool
from handful.jobs.workspace import Workspace, open_workspace, project_number, some_pixels
from handful.jobs.zero_shot import (
    ZERO_SHOT,
    has_labels,
    names_facts,
    refuse_threshold,
    tested_images,
    text_model,
    with_names,
    zero_shot_facts,
)
from handful.measure import Fold
from handful.project import Image, Project

OUTPUT = "model.handful"
_VERIFIED = 16  # real images on which the bundle is compared with Python


@dataclass(frozen=True)
class Thresholds:
    """When to say "unknown", and one class that must not be missed.

    Parameters
    ----------
    max_unknown : float, default=0.05
        Share of images like the labelled ones that may be called unknown.
    max_miss : tuple of (str, float), optional
        A class and the largest share of its images that may be missed.
    """

    max_unknown: float = 0.05
    max_miss: tuple[str, float] | None = None


@dataclass(frozen=True)
class FitResult:
    """What ``fit`` made.

    Parameters
    ----------
    bundle : Path
        The model file.
    report_html, report_json : Path
        The report of this run, in the project's ``runs`` folder.
    report : dict
        The content of ``report_json``.
    """

    bundle: Path
    report_html: Path
    report_json: Path
    report: dict[str, Any] = field(repr=False)

    @property
    def accuracy(self) -> Estimate:
        """Accuracy on new images mixed like the labelled ones."""
        return Estimate.from_dict(self.report["accuracy"])


def fit(  # noqa: PLR0913 - what a person says first: the images and the classes
    images: Path | str,
    output: Path | str | None = None,
    *,
    classes: ClassTexts | None = None,
    method: str = "auto",
    backbone: BackboneChoice | None = None,
    thresholds: Thresholds | None = None,
    random_state: int = 0,
    project_dir: Path | None = None,
    quiet: bool = False,
    advice: dict[str, Any] | None = None,
) -> FitResult:
    """Scan, embed, compare methods, measure, and write one file that classifies new images.

    Parameters
    ----------
    images : Path or str
        A folder. Its class folders, or labels imported before, say what is what.
    output : Path or str, optional
        The model file, replaced when there is one; by default ``model.handful``
        here, which is not replaced when it was made from another folder.
    classes : ClassTexts, optional
        The classes by name (`handful.jobs.read_classes`). Without any label the classifier is made
        from their texts, and its accuracy is predicted, not measured; with some, texts and labels
        are blended.
    method : str, default="auto"
        ``"linear_probe"``, ``"prototypes"``, ``"nearest_neighbours"``, or one that learns
        from unlabelled images too: ``"spreading_probe"``, ``"label_spreading"``,
        ``"self_training"``. Auto compares the first four on the same folds, the fourth
        where unlabelled images promise a gain.
    backbone : BackboneChoice, optional
        The packaged one by default; the folder of a run of `handful.adapt` is
        measured on images whose labels it did not see.
    thresholds : Thresholds, optional
        When to say "unknown"; a class that must not be missed.
    random_state : int, default=0
        Seed: the same seed gives the same result on the same machine.
    project_dir : Path, optional
        Where the state is kept, ``.handful`` in the folder by default.
    quiet : bool, default=False
        Show no progress.
    advice : dict, optional
        The plans among which this one was chosen, for the report (`handful.jobs.fit_within`).

    Returns
    -------
    FitResult

    Raises
    ------
    ProjectError
        If there is no image, or no label and no ``classes``.
    BackboneError, StoreError, BundleError
        As their names say; the message says what to do.
    """
    check_method(method)
    limits = thresholds or Thresholds()
    choice = backbone or BackboneChoice()
    start = time.perf_counter()
    path = Path(output or OUTPUT)
    opened = open_workspace(
        Path(images), choice, needs_labels=classes is None, project_dir=project_dir, quiet=quiet
    )  # fmt: skip
    with opened as work:
        if output is None:
            refuse_foreign(path, work.project)
        if classes is not None and not has_labels(work):
            return _by_names(work, path, classes, choice, limits, random_state, start, advice)
        with work.timed("near-duplicates"):
            labelled = load_labelled(work, quiet=quiet)
        check_labels(labelled, limits.max_miss[0] if limits.max_miss else None)
        with work.timed("measure"):
            run = run_of(choice, work, labelled)
            labelled = without_seen_tests(work, labelled)
            folds = run.splits(work, labelled, quiet=quiet) if run else None
        with work.timed("unlabelled"):
            pool = _pool(work, labelled, method, folds, random_state, quiet)
            candidates, verdict = with_pool(method, pool, labelled)
        with work.timed("texts"):
            names, candidates = with_names(
                work, candidates, labelled, classes, choice, random_state
            )
        with work.timed("measure"):
            measured = measure(candidates, labelled, limits.max_miss, folds, random_state, quiet)
            if run and measured.validation:
                compared = run.compare(
                    work, labelled, folds, random_state=random_state, quiet=quiet
                )
                measured = replace(measured, adapted=compared)
        name = measured.validation.chosen if measured.validation else next(iter(candidates))
        train = ~labelled.is_test
        with work.timed("fit"):
            head = candidates[name].fit(labelled.X[train], labelled.y[train])
            known = KnownScorer(limits.max_unknown).fit(labelled.X[train])
        report = build_report(
            work, labelled, head, known, measured, method=name, random_state=random_state
        )
        facts = unlabelled_facts(pool, verdict, labelled, measured, head, name)
        report["unlabelled"] = as_json(facts)
        report["advice"] = advice or advice_after(work, labelled, pool, measured, verdict, choice)
        report["names"] = as_json(names_facts(names, head, measured.validation, candidates))
        made = _Made(head, known, name, labelled.X[train], labelled.images)
        return _written(work, path, made, report, measured, start)


@dataclass(frozen=True)
class _Made:
    """A fitted model, the vectors that are usual for it, and images to verify its file on."""

    head: Any
    known: KnownScorer
    method: str
    X: Float32
    images: list[Image]


def _by_names(
    work: Workspace,
    path: Path,
    classes: ClassTexts,
    choice: BackboneChoice,
    limits: Thresholds,
    random_state: int,
    start: float,
    advice: dict[str, Any] | None,
) -> FitResult:
    """Make the classifier of the classes' texts; labels of the test split alone measure it."""
    refuse_threshold(limits.max_miss)
    with work.timed("texts"):
        model = text_model(work, classes, choice, random_state)
    with work.timed("fit"):
        known = KnownScorer(limits.max_unknown).fit(model.pool)
    nothing = Measured()
    tested = tested_images(work, classes)
    report = build_report(
        work, tested, model.head, known, nothing, method=ZERO_SHOT, random_state=random_state
    )
    report |= as_json(zero_shot_facts(model)) | {"advice": advice}
    made = _Made(model.head, known, ZERO_SHOT, model.pool, work.images)
    return _written(work, path, made, report, nothing, start)


def _written(
    work: Workspace,
    path: Path,
    made: _Made,
    report: dict[str, Any],
    measured: Measured,
    start: float,
) -> FitResult:
    """Write the model file and the report."""
    work.seconds["total"] = round(time.perf_counter() - start, 3)
    report["seconds"] = dict(work.seconds)
    save_bundle(
        path, backbone=work.backbone, head=made.head, known=made.known,
        info=_facts(work, report, made, measured), report=strip_names(report),
        images=some_pixels(
            made.images, work.backbone.spec.preprocess, _VERIFIED, report["random_state"]
        ),
    )  # fmt: skip
    page, data = write_run(work, report)
    return FitResult(path, page, data, report)


def _pool(
    work: Workspace,
    labelled: Labelled,
    method: str,
    folds: list[Fold] | None,
    random_state: int,
    quiet: bool,
) -> UnlabelledPool:
    """Return the unlabelled images to learn from.

    None for a backbone that saw labels: the vectors of its folds are not those of the pool.
    """
    if folds is not None:
        why = "The backbone was trained on labels; unlabelled images are left aside."
        there = sum(image.label is None and image.split != "test" for image in work.images)
        return UnlabelledPool(there=there, why_not=why)
    asked = method in POOLED
    return pool_of(work, labelled, asked=asked, random_state=random_state, quiet=quiet)


def refuse_foreign(path: Path, project: Project) -> None:
    """Keep a model of another folder that lies where this one would be written by default."""
    if not path.exists():
        return
    try:
        made_from = Bundle.load(path).info.get("project")
    except BundleError:
        made_from = None
    if made_from != project_number(project):
        raise ProjectError(
            f"{str(path)!r} is there already and was not made from {str(project.root)!r}. "
            "Name another file, or this one to replace it, with -o FILE."
        )


def _facts(
    work: Workspace, report: dict[str, Any], made: _Made, measured: Measured
) -> dict[str, Any]:
    X = made.X.astype(np.float64)
    rounded = {"mean": X.mean(axis=0), "std": X.std(axis=0)}
    thresholds: dict[str, Any] = {}
    if measured.point:
        thresholds["operating_point"] = {
            "class": measured.point.class_name,
            "threshold": measured.point.threshold,
        }
    if measured.sets:
        thresholds["prediction_sets"] = {
            "alpha": SETS_ALPHA,
            "probability": float(measured.sets.threshold_),
        }
    return {
        "handful": __version__,
        "project": project_number(work.project),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "method": made.method,
        "accuracy": report["accuracy"],
        "thresholds": thresholds,
        "reference": {
            **{key: [float(f"{v:.6g}") for v in value] for key, value in rounded.items()},
            "n": len(X),
        },
    }
