"""The main job on packaged real images, checked against labels it never saw."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from handful.core import Estimate, Float32, Int, ProjectError, stream, write_atomically
from handful.jobs.fitting import FitResult, fit
from handful.jobs.predicting import predict
from handful.measure import test_accuracy

_SIDE = 64


@dataclass(frozen=True)
class DemoOutcome:
    """What the demonstration showed.

    Parameters
    ----------
    result : FitResult
        Of the main job.
    hidden : Estimate
        Accuracy on the images whose labels were hidden.
    seconds : float
        Of everything, writing the images included.
    examples : list of dict
        Three hidden images, what the model says and what they are.
    """

    result: FitResult
    hidden: Estimate
    seconds: float
    examples: list[dict[str, Any]]

    @property
    def is_inside(self) -> bool:
        """Whether the hidden accuracy lies in the stated interval."""
        return self.result.accuracy.low <= self.hidden.value <= self.result.accuracy.high

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        stated = {
            "methods": self.result.report["methods"],
            "accuracy": self.result.report["accuracy"],
        }
        paths = {"model": str(self.result.bundle), "report": str(self.result.report_html)}
        return {**stated, **paths, "hidden": self.hidden.as_dict(), "is_inside": self.is_inside,
                "seconds": self.seconds, "examples": self.examples}  # fmt: skip


def demo(
    directory: Path,
    *,
    n_labels: int = 10,
    n_images: int = 1000,
    random_state: int = 0,
    quiet: bool = False,
) -> DemoOutcome:
    """Write digits as images, keep a few labels, run the main job, compare with the hidden labels.

    Parameters
    ----------
    directory : Path
        Gets ``images/``, ``hidden-labels.json``, ``model.handful`` and ``report.html``.
    n_labels : int, default=10
        Labels kept in each of the ten classes.
    n_images : int, default=1000
        Digits written, of the 1,797 there are.
    random_state : int, default=0
        Seed of the choice of labels and of the main job.
    quiet : bool, default=False
        Show no progress.

    Raises
    ------
    ProjectError
        If the directory holds anything but an earlier demonstration.
    """
    start = time.perf_counter()
    hidden = write_digits(directory, n_labels, random_state, n_images)
    result = fit(
        directory / "images", directory / "model.handful", random_state=random_state, quiet=quiet
    )
    write_atomically(directory / "report.html", result.report_html.read_bytes())
    names = sorted(hidden)
    folder = directory / "images" / "unlabelled"
    rows = list(predict(result.bundle, [folder / name for name in names], quiet=quiet))
    said = [row.prediction for row in rows if row.prediction is not None]
    truth = np.array([hidden[name] for name in names])
    proba = np.array([list(prediction.probabilities.values()) for prediction in said])
    figures = test_accuracy(truth, proba, classes=list(said[0].probabilities))
    examples = [{"path": rows[i].path, "label": said[i].label, "confidence": said[i].confidence, "truth": str(truth[i])}
                for i in stream(random_state, "examples").choice(len(rows), 3, replace=False)]  # fmt: skip
    return DemoOutcome(result, figures.accuracy, round(time.perf_counter() - start, 1), examples)


def write_digits(
    directory: Path, n_labels: int, random_state: int, n_images: int = 1797
) -> dict[str, str]:
    """Write some of scikit-learn's 1,797 handwritten digits as PNG files; return the hidden labels by file name.

    Source: the test part of Alpaydin and Kaynak, "Optical Recognition of
    Handwritten Digits", UCI, 1998, as packaged with scikit-learn; 8 × 8 pixels
    scaled to 64 × 64.
    """
    from sklearn.datasets import load_digits

    images = directory / "images"
    record = directory / "hidden-labels.json"
    if directory.exists() and any(directory.iterdir()) and not record.exists():
        raise ProjectError(
            f"{str(directory)!r} is not empty. Name a new folder: handful demo FOLDER"
        )
    digits = load_digits()
    kept = _kept(digits.target, n_labels, random_state)
    rest = stream(random_state, "images").permutation(np.flatnonzero(~kept))
    left_out = set(rest[max(0, n_images - kept.sum()) :].tolist())
    hidden: dict[str, str] = {}
    for row, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        name = f"digit-{row:04}.png"
        folder = images / (str(label) if kept[row] else "unlabelled")
        other = images / ("unlabelled" if kept[row] else str(label)) / name
        other.unlink(missing_ok=True)
        if row in left_out:
            (folder / name).unlink(missing_ok=True)
            continue
        _write(folder / name, pixels)
        if not kept[row]:
            hidden[name] = str(label)
    write_atomically(record, json.dumps(hidden, indent=1).encode())
    return hidden


def _kept(target: Int, n_labels: int, random_state: int) -> Any:
    kept = np.zeros(len(target), bool)
    random = stream(random_state, "labels")
    for label in np.unique(target):
        kept[random.permutation(np.flatnonzero(target == label))[:n_labels]] = True
    return kept


def _write(path: Path, pixels: Float32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8))
    image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(path)
