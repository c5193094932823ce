"""A trained student beside its teacher: accuracy, size and speed, and its model file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from handful import __version__
from handful.backbones import OnnxBackbone
from handful.bundle import Bundle, n_weights, save_bundle
from handful.core import Bool, Estimate
from handful.heads import KnownScorer, LinearClassifier
from handful.jobs.adapted import vectors_of
from handful.jobs.lessons import Lessons
from handful.jobs.teacher import Lecture, images_per_second
from handful.jobs.workspace import project_number, some_pixels
from handful.measure import paired_interval, share

_VERIFIED = 8  # images on which the file is compared with Python


def compare_student(
    lecture: Lecture,
    lessons: Lessons,
    backbone: OnnxBackbone,
    head: LinearClassifier,
    *,
    quiet: bool,
) -> dict[str, Estimate]:
    """Return ``before`` (the teacher's accuracy), ``after`` (the student's), ``gain`` and ``agreement``."""

    def both(images: list[Any]) -> tuple[Any, Any]:
        X = vectors_of(lecture.work, backbone, images, quiet=quiet)
        old = lecture.said([image.hash for image in images])[0].argmax(axis=1)
        return old, head.predict_logits(X).argmax(axis=1)

    agreement = Estimate.not_measurable("agreement", "there are fewer than ten unlabelled images")
    if lessons.held:
        old, new = both(lessons.held)
        how = "unlabelled images that the student did not learn from"
        agreement = share(int((old == new).sum()), len(old), "agreement with the teacher", how)
    why = _why_unmeasured(lecture, lessons)
    if why:
        nothing = {key: Estimate.not_measurable("accuracy", why) for key in ("before", "after", "gain")}  # fmt: skip
        return {**nothing, "agreement": agreement}
    codes = [lecture.teacher.classes.index(str(image.label)) for image in lessons.tested]
    old, new = (said == np.array(codes) for said in both(lessons.tested))
    gain = Estimate(
        *paired_interval(new.astype(np.float64) - old), len(codes), "gain in accuracy",
        "test split, paired by image",
    )  # fmt: skip
    return {"before": _accuracy(old), "after": _accuracy(new), "gain": gain, "agreement": agreement}


def _accuracy(hits: Bool) -> Estimate:
    return share(int(hits.sum()), len(hits), "accuracy", "test split")


def _why_unmeasured(lecture: Lecture, lessons: Lessons) -> str:
    """Return why no label is left that neither learnt from, empty where there are some."""
    if not lessons.tested:
        return (
            "no labelled image is in the test split. Put some that the teacher did not learn from into "
            "test/CLASS"
        )
    master = lecture.teacher.bundle
    tested = (master.report.get("test") or {}).get("n", 0)
    is_own = master.info.get("project") == project_number(lecture.work.project)
    if is_own and tested < len(lessons.tested):
        return (
            "the teacher was fitted before these images were the test split, and may have learnt from "
            "them. Fit it again"
        )
    return ""


def write_student(
    path: Path, lecture: Lecture, lessons: Lessons, backbone: OnnxBackbone, head: LinearClassifier,
    accuracy: Estimate, *, random_state: int, quiet: bool,
) -> Bundle:  # fmt: skip
    """Write the student's model file, and return it loaded."""
    work = lecture.work
    usual = list({image.hash: image for image in lessons.learnt}.values())
    X = vectors_of(work, backbone, usual, quiet=quiet)
    reference = {"mean": X.mean(axis=0), "std": X.std(axis=0)}
    info = {
        "handful": __version__, "project": project_number(work.project),
        "created": datetime.now(UTC).isoformat(timespec="seconds"), "method": "distil",
        "accuracy": accuracy.as_dict(), "thresholds": {},
        "reference": {
            **{key: [float(f"{v:.6g}") for v in value] for key, value in reference.items()}, "n": len(X),
        },
    }  # fmt: skip
    return save_bundle(
        path, backbone=backbone, head=head, known=KnownScorer(lecture.teacher.bundle.threshold).fit(X),
        info=info, report={"format_version": 1, "accuracy": info["accuracy"], "unlabelled": lessons.counts},
        images=some_pixels(usual, backbone.spec.preprocess, _VERIFIED, random_state),
    )  # fmt: skip


def sizes_and_speeds(student: Path, teacher: Path) -> dict[str, dict[str, float]]:
    """Return ``weights``, ``bytes``, ``side`` and ``images_per_second`` of two model files.

    Parameters
    ----------
    student, teacher : Path
    """
    paths = {"student": student, "teacher": teacher}
    bundles = [Bundle.load(path) for path in paths.values()]
    return {
        name: {
            "weights": n_weights(path),
            "bytes": path.stat().st_size,
            "side": bundle.preprocess.side,
            "images_per_second": round(speed, 1),
        }
        for (name, path), bundle, speed in zip(
            paths.items(), bundles, images_per_second(*bundles), strict=True
        )
    }


def student_sentence(
    figures: Mapping[str, Estimate], files: Mapping[str, Mapping[str, float]]
) -> str:
    """Return in words how student and teacher compare."""
    gain, agreement = figures["gain"], figures["agreement"]
    said = [f"Which of the two is better cannot be measured: {gain.how}."]
    if gain.is_measured:
        points = f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        teacher, student = figures["before"].percent, figures["after"].percent
        said = [
            f"The student is right on {student} of {gain.n} test images, the teacher on {teacher}: {points}."
        ]
    if agreement.is_measured:
        said.append(
            f"They agree on {agreement.percent} of {agreement.n} images that the student did not learn from."
        )
    (small, large), name = (files["student"], files["teacher"]), "images_per_second"
    said.append(
        f"The student has {small['weights'] / 1e6:.2f} million weights, the teacher {large['weights'] / 1e6:.2f}; "
        f"its file {small['bytes'] / 1e6:.1f} MB, the teacher's {large['bytes'] / 1e6:.1f}; on one core it "
        f"classifies {small[name]:.0f} images a second, {small[name] / large[name]:.1f} times as many."
    )
    return " ".join(said)
