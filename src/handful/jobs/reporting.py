"""The report of a run: one JSON file with every figure, one page to read."""

from __future__ import annotations

import json
import math
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handful import __version__
from handful.bundle import spec_facts
from handful.core import Array, Estimate, ImageError, ProjectError, write_atomically
from handful.images import thumbnail
from handful.jobs.labelled import Labelled
from handful.jobs.measuring import Measured, measure_test
from handful.jobs.workspace import Workspace
from handful.project import Project
from handful.report import render

if TYPE_CHECKING:
    from PIL import Image as PillowImage

    from handful.measure import LearningCurve, MethodFigures, Validation

FORMAT_VERSION = 1
_GALLERY = 24
_DOUBTED = 0.5  # a label is doubted when its out-of-fold probability is below this
_ONE_CLASS = "there is one class: nothing to tell it from"
_OPEN_SET = "{:g} % of images like the labelled ones fall below it"
_FIGURES = ("balanced_accuracy", "macro_f1", "ece")
_VERSIONS = ("numpy", "scipy", "scikit-learn", "pillow", "onnxruntime")


def build_report(
    work: Workspace,
    data: Labelled,
    head: Any,
    known: Any,
    measured: Measured,
    *,
    method: str,
    random_state: int,
) -> dict[str, Any]:
    """Return the report as JSON values; see docs/reference/files.md for its fields."""
    validation = measured.validation
    figures = validation.methods[method] if validation else None
    unmeasured = Estimate.not_measurable("accuracy", _ONE_CLASS)
    return as_json(
        {
            "format_version": FORMAT_VERSION,
            "handful": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "random_state": random_state,
            "versions": {name: version(name) for name in _VERSIONS},
            "data": _data(work, data),
            "backbone": spec_facts(work.backbone.spec),
            "adapted": measured.adapted,
            "methods": _methods(validation, method),
            "chosen": {"name": method, "why": validation.why if validation else _ONE_CLASS},
            "accuracy": validation.accuracy if validation else unmeasured,
            **{key: getattr(figures, key, unmeasured) for key in _FIGURES},
            "per_class": figures.per_class if figures else [],
            "confusion": _confusion(validation, figures),
            "reliability": figures.reliability if figures else [],
            "learning_curve": measured.curve.points if measured.curve else [],
            "expected_gain": _gain(measured.curve) if measured.curve else None,
            "test": measure_test(head, data),
            "open_set": {
                "threshold": known.threshold_,
                "what": _OPEN_SET.format(100 * known.max_unknown),
            },
            "operating_point": measured.point,
            "uncertain": _uncertain(work, data, head, known, figures),
            "mislabelled": _mislabelled(data, validation, figures),
        }
    )


def as_json(value: Any) -> Any:
    """Return a value of estimates, dataclasses and arrays as JSON values, NaN as None."""
    if isinstance(value, Estimate):
        return value.as_dict()
    if is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    return None if isinstance(value, float) and math.isnan(value) else value


def _methods(validation: Validation | None, chosen: str) -> list[dict[str, Any]]:
    methods = validation.methods.values() if validation else ()
    return [
        {
            "name": m.name,
            "accuracy": m.accuracy,
            "seconds": round(m.seconds, 3),
            "chosen": m.name == chosen,
        }
        for m in methods
    ]


def _gain(curve: LearningCurve) -> dict[str, Any]:
    return {"labels": curve.more_labels, "gain": curve.gain, "sentence": curve.sentence}


def _confusion(
    validation: Validation | None, figures: MethodFigures | None
) -> dict[str, Any] | None:
    if validation is None or figures is None:
        return None
    return {"classes": validation.classes, "counts": figures.confusion}


def strip_names(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report without any image's name, for the bundle."""
    lists = ("warnings", "unusable", "near_duplicates", "contradictions")
    data = {key: value for key, value in report["data"].items() if key not in lists}
    data["counts"] = {key: len(report["data"][key]) for key in lists}
    named = ("uncertain", "mislabelled", "advice")
    kept = {key: value for key, value in report.items() if key not in named}
    unlabelled = report.get("unlabelled")
    if unlabelled:
        kept["unlabelled"] = {**unlabelled, "trusted": [], "doubted": []}
    return {**kept, "data": data}


def write_run(work: Workspace, report: dict[str, Any]) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.json`` into a new folder of the project's runs."""
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
    folder = work.project.folder / "runs" / name
    page, data = folder / "report.html", folder / "report.json"
    write_atomically(
        data, json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False).encode()
    )
    write_atomically(page, render(report, image_opener(work.project)).encode())
    return page, data


def latest_report(project: Project) -> dict[str, Any]:
    """Return the report of the project's last finished run.

    Raises
    ------
    ProjectError
        If there is none.
    """
    runs = sorted((project.folder / "runs").glob("*/report.json"))
    if not runs:
        raise ProjectError(
            f"There is no finished run in {str(project.folder)!r}. Run: handful fit {project.root}"
        )
    try:
        report = dict(json.loads(runs[-1].read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ProjectError(
            f"The report {str(runs[-1])!r} is damaged: {error}. Run: handful fit {project.root}"
        ) from error
    return report


def image_opener(project: Project) -> Callable[[str], PillowImage.Image | None]:
    """Return the function that opens an image of the report by its name, None where it is gone."""
    paths = {image.name: image.path for image in project.images()}
    white = project.setting("white") or 65535

    def open_image(name: str) -> PillowImage.Image | None:
        try:
            return thumbnail(paths[name], 160, white=white)
        except (KeyError, ImageError):
            return None

    return open_image


def _data(work: Workspace, data: Labelled) -> dict[str, Any]:
    project, labels = work.project, {image.hash: image for image in work.images}
    counts = Counter(image.label for image in work.images if image.label is not None)
    pairs = [
        (labels[a], labels[b])
        for a, b in sorted(project.near_duplicates())
        if a in labels and b in labels
    ]
    return {
        "images": len(work.images),
        "labelled": sum(counts.values()),
        "unlabelled": len(work.images) - sum(counts.values()),
        "classes": [{"name": name, "n": n} for name, n in sorted(counts.items())],
        "splits": dict(Counter(image.split or "none" for image in work.images)),
        "left_out_of_test": sum(counts.values()) - len(data.images),
        "warnings": work.scanned.warnings,
        "unusable": [{"name": bad.name, "reason": bad.reason} for bad in project.unusable()],
        "near_duplicates": [
            {"a": a.name, "b": b.name, "label_a": a.label, "label_b": b.label} for a, b in pairs
        ],
        "contradictions": [
            {"names": list(c.names), "labels": list(c.labels)} for c in project.contradictions()
        ],
    }


def _uncertain(
    work: Workspace, data: Labelled, head: Any, known: Any, figures: MethodFigures | None
) -> list[dict[str, Any]]:
    """Return the least confident unlabelled images, or labelled ones where all have a label.

    With one class, which is always certain, those least like the labelled ones.
    """
    unlabelled = {image.hash: image for image in work.images if image.label is None}
    found: list[tuple[float, str, str | None, str]] = []
    for hashes, X in work.store.blocks(list(unlabelled)):
        proba = head.predict_proba(X)
        confidence = proba.max(axis=1) if proba.shape[1] > 1 else known.score(X)
        best = head.classes_[proba.argmax(axis=1)]
        found += [
            (float(c), unlabelled[h].name, None, str(b))
            for c, h, b in zip(confidence, hashes, best, strict=True)
        ]
        found = sorted(found)[:_GALLERY]
    if not unlabelled and figures is not None:
        found = _least_confident(data, head.classes_, figures.oof_proba)
    return [
        {"name": n, "label": label, "prediction": p, "confidence": round(c, 4)}
        for c, n, label, p in found
    ]


def _least_confident(
    data: Labelled, classes: Array, proba: Array
) -> list[tuple[float, str, str | None, str]]:
    images = [
        image for image, is_test in zip(data.images, data.is_test, strict=True) if not is_test
    ]
    confidence = np.where(np.isnan(proba).any(axis=1), np.inf, proba.max(axis=1))
    rows = [
        row
        for row in np.argsort(confidence, kind="stable")[:_GALLERY]
        if np.isfinite(confidence[row])
    ]
    return [
        (float(confidence[r]), images[r].name, images[r].label, str(classes[proba[r].argmax()]))
        for r in rows
    ]


def _mislabelled(
    data: Labelled, validation: Validation | None, figures: MethodFigures | None
) -> list[dict[str, Any]]:
    """Return the images whose label the out-of-fold prediction doubts most."""
    if validation is None or figures is None:
        return []
    images = [
        image for image, is_test in zip(data.images, data.is_test, strict=True) if not is_test
    ]
    own = np.array([validation.classes.index(image.label) for image in images])
    in_label = np.nan_to_num(figures.oof_proba[np.arange(len(own)), own], nan=np.inf)
    best = np.nan_to_num(figures.oof_proba, nan=-1).argmax(axis=1)
    order = np.argsort(in_label, kind="stable")
    doubtful = [row for row in order if best[row] != own[row] and in_label[row] < _DOUBTED]
    return [
        {
            "name": images[row].name,
            "label": images[row].label,
            "prediction": validation.classes[best[row]],
            "confidence_in_label": round(float(in_label[row]), 4),
        }
        for row in doubtful[:_GALLERY]
    ]
