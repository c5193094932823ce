"""Before time is spent: whether what a method learns from means anything in these images.

A frozen backbone looks at the images as they are and changed. Thresholds were
chosen on 200 images each of EuroSAT (35 % of rotations found at 224 pixels, 30 % at
96) and clothing (72 %, 68 %) and held on 200 others (38 %, 28 %; 72 %, 69 %).
Of two sets that had no say in it, digits (68 %) have an upright and waste laid on a
board (TrashNet, 45–49 %) lies at the border: of some draws it is warned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from handful.adapt.augment import View
from handful.backbones import Backbone
from handful.core import Array, Estimate, Float32, Float64, Int, UInt8, stream
from handful.heads import LinearProbe
from handful.measure import paired_interval, wilson_interval

CHECKS = ("rotation", "colour", "crops")
_MOST, _FEWEST = 150, 20  # images; a check needs up to four passes of each
_FOLDS = 5
_BATCH = 16
_UPRIGHT = 0.5  # of rotations found: surely below it, orientation means little
_LOST = 0.05  # of accuracy: jitter that surely costs more destroys the class
_KEPT = 0.8  # of other images that a crop resembles less than its own
_BINS = 6  # of each colour in a histogram


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    Parameters
    ----------
    what : {"rotation", "colour", "crops"}
    value : Estimate
        The evidence: the share of rotations that a linear probe finds; the
        accuracy that jitter costs; or the share of other images that a crop
        resembles less than its own image.
    warn : bool
        Whether the method is likely to fail or to unlearn what matters.
    sentence : str
        The evidence, and where ``warn`` what to do instead.
    """

    what: str
    value: Estimate
    warn: bool
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "value": self.value.as_dict()}


def check_pretext(
    images: UInt8,
    backbone: Backbone,
    y: Int | None = None,
    *,
    checks: Collection[str] = CHECKS,
    scale: float = 0.2,
    jitter: float = 0.5,
    grayscale: float = 0.2,
    random_state: int = 0,
) -> list[Verdict]:
    """Return what a frozen backbone says of rotation, colour and crops in these images.

    Parameters
    ----------
    images : ndarray of shape (n, side, side, 3), uint8
        Preprocessed for the backbone; of many 150 are drawn.
    backbone : Backbone
    y : ndarray of shape (n,), int, optional
        Classes from 0, -1 without a label. Without labels colour cannot be judged.
    checks : collection of str, default=("rotation", "colour", "crops")
        Those that matter for the method.
    scale : float, default=0.2
        Smallest share of an image's area in a crop, as the method will take.
    jitter, grayscale : float, default=0.5, 0.2
        Strength of the change of colours and share of grey views, as the method
        will take.
    random_state : int, default=0

    Returns
    -------
    list of Verdict
        In the order of ``checks``. Under 20 images nothing is measured.

    Raises
    ------
    ValueError
        If a check is unknown.
    """
    known: dict[str, Callable[[_Sample], Verdict]] = {
        "rotation": _rotation,
        "colour": lambda sample: _colour(sample, jitter, grayscale),
        "crops": lambda sample: _crops(sample, scale),
    }
    unknown = [name for name in checks if name not in known]
    if unknown:
        raise ValueError(f"Unknown check {unknown[0]!r}. Expected {', '.join(CHECKS)}.")
    rows = np.sort(stream(random_state, "pretext").permutation(len(images))[:_MOST])
    if len(rows) < _FEWEST:
        return [_too_few(name, len(rows)) for name in checks]
    sample = _Sample(images[rows], backbone, None if y is None else y[rows], random_state)
    return [known[name](sample) for name in checks]


def _too_few(what: str, n: int) -> Verdict:
    why = f"{n} images, fewer than {_FEWEST}"
    return Verdict(what, Estimate.not_measurable(what, why, n), False, f"Not checked: {why}.")


class _Sample:
    """Images, their vectors, and what is seen of them after a change."""

    def __init__(self, images: UInt8, backbone: Backbone, y: Int | None, random_state: int) -> None:
        self.images, self.backbone, self.y = images, backbone, y
        self.random_state = random_state
        self.X = self.embed(images)
        self.fold = stream(random_state, "pretext folds").permutation(len(images)) % _FOLDS

    def embed(self, images: UInt8) -> Float32:
        """Return vectors [n, dim], a few images at once."""
        starts = range(0, len(images), _BATCH)
        return np.concatenate(
            [self.backbone.embed(np.ascontiguousarray(images[i : i + _BATCH])) for i in starts]
        )

    def viewed(self, view: View) -> UInt8:
        """Return one view of each image, uint8 [n, side, side, 3]."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            views = [view(Image.fromarray(image)) for image in self.images]
        seen: UInt8 = torch.stack(views).permute(0, 2, 3, 1).contiguous().numpy()
        return seen

    def hits(self, parts: list[Float32], targets: list[Int], rows: Int) -> Float64:
        """Return for each part and row whether a probe that never saw the image finds its target."""
        found = np.zeros((len(parts), len(rows)))
        fold = self.fold[rows]
        for number in range(_FOLDS):
            train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            if not len(test):
                continue
            probe = LinearProbe().fit(
                np.concatenate([part[rows[train]] for part in parts]),
                np.concatenate([target[train] for target in targets]),
            )
            for i, (part, target) in enumerate(zip(parts, targets, strict=True)):
                found[i, test] = probe.predict(part[rows[test]]) == target[test]
        return found


def _rotation(sample: _Sample) -> Verdict:
    n = len(sample.X)
    turned = [sample.embed(np.rot90(sample.images, quarters, (1, 2))) for quarters in (1, 2, 3)]
    targets = [np.full(n, quarters) for quarters in range(4)]
    found = sample.hits([sample.X, *turned], targets, np.arange(n)).mean(axis=0)
    how = f"linear probe on frozen vectors, {_FOLDS}-fold cross-validation over images"
    value = _share(found, "rotations found", how)
    evidence = f"A linear probe finds how an image was turned in {value.percent} (chance 25 %)."
    if value.high < _UPRIGHT:
        advice = (
            "Orientation means little in these images, so predicting rotations has little to "
            "teach. Take another method, and let its views be turned as well (--turn)."
        )
    elif value.low < _UPRIGHT:
        advice = "Some of these images have an upright; predicting rotations may teach little."
    else:
        advice = "These images have an upright."
    return Verdict("rotation", value, value.high < _UPRIGHT, f"{evidence} {advice}")


def _colour(sample: _Sample, jitter: float, grayscale: float) -> Verdict:
    side = sample.images.shape[1]
    view = View(side, (1.0, 1.0), flip=False, jitter=jitter, grayscale=grayscale)
    seen = sample.viewed(view)
    jittered = sample.embed(seen)
    rows = _labelled(sample.y)
    if sample.y is None or not len(rows):
        return _colour_share(sample.X, jittered)
    y = sample.y[rows]
    looks = {
        "frozen vectors": (sample.X, jittered),
        "colours alone": (_histograms(sample.images), _histograms(seen)),
    }
    hits = {look: [sample.hits([X], [y], rows)[0] for X in pair] for look, pair in looks.items()}
    better = max(hits, key=lambda look: float(hits[look][0].mean()))
    before, after = hits[better]
    lost, low, high = paired_interval(before - after, inflation=1 + 1 / (_FOLDS - 1))
    how = f"{_FOLDS}-fold cross-validation of a linear probe on {better}, paired over images"
    value = Estimate(lost, low, high, len(rows), "accuracy lost by jitter", how)
    alone = hits["colours alone"][0].mean()
    evidence = (
        f"By {better} a linear probe is right in {before.mean():.0%}, with jitter {jitter:g} in "
        f"{after.mean():.0%}: a loss of {value.percent}."
    )
    if better != "colours alone":
        evidence += f" By colours alone it is right in {alone:.0%}."
    warn = low > _LOST
    advice = "Jitter destroys what tells the classes apart. Take --jitter 0.1 or less, and --grayscale 0."
    return Verdict("colour", value, warn, f"{evidence} {advice}" if warn else evidence)


def _colour_share(X: Float32, jittered: Float32) -> Verdict:
    a, b = _unit(X), _unit(jittered)
    n = len(a)
    between = 2 - 2 * (np.square(a.sum(axis=0)).sum() - n) / (n * (n - 1))
    moved = np.square(a - b).sum(axis=1) / max(between, 1e-12)
    half = 1.96 * float(moved.std(ddof=1)) / np.sqrt(n)
    mean = float(moved.mean())
    how = "squared distance that jitter moves a vector, over that of two images, normal interval"
    value = Estimate(mean, max(0.0, mean - half), mean + half, n, "colour's share", how)
    sentence = (
        f"Jitter moves a vector by {value.percent} of the squared distance between two images. "
        "Without labels it cannot be told whether colour makes the class: if it does, take "
        "--jitter 0.1 or less, and --grayscale 0."
    )
    return Verdict("colour", value, False, sentence)


def _crops(sample: _Sample, scale: float) -> Verdict:
    cropped = sample.embed(sample.viewed(View(sample.images.shape[1], (scale, scale), flip=False)))
    similarity = _unit(cropped) @ _unit(sample.X).T
    own = np.diag(similarity)[:, None]
    others = (similarity < own).sum(axis=1) + ((similarity == own).sum(axis=1) - 1) / 2
    how = "cosine of frozen vectors of a random crop and of whole images"
    value = _share(others / (len(own) - 1), "other images resembled less", how)
    evidence = (
        f"A crop of {scale:.0%} of the area resembles its own image more than another one in "
        f"{value.percent} (chance 50 %)."
    )
    warn = value.high < _KEPT
    advice = "Such crops lose what is in the image. Take larger ones, --scale 0.6."
    return Verdict("crops", value, warn, f"{evidence} {advice}" if warn else evidence)


def _share(hits: Float64, what: str, how: str) -> Estimate:
    """Return the mean of shares in [0, 1]; an image counts as one trial, which is on the safe side."""
    low, high = wilson_interval(float(hits.sum()), len(hits))
    how = f"{how}, Wilson interval with an image as one trial"
    return Estimate(float(hits.mean()), low, high, len(hits), what, how)


def _labelled(y: Int | None) -> Int:
    """Return the rows of classes with two labels, none where those are too few to compare."""
    if y is None:
        return np.array([], np.int64)
    counts = np.bincount(y[y >= 0], minlength=1)
    rows = np.flatnonzero((y >= 0) & (counts[np.maximum(y, 0)] > 1))
    return rows if len(rows) >= _FEWEST and (counts > 1).sum() > 1 else rows[:0]


def _histograms(images: UInt8) -> Float32:
    """Return how often each of 216 colours occurs in each image, as shares."""
    bins = (images.astype(np.int64) * _BINS) // 256
    codes = ((bins[..., 0] * _BINS + bins[..., 1]) * _BINS + bins[..., 2]).reshape(len(images), -1)
    counts = [np.bincount(code, minlength=_BINS**3) for code in codes]
    return (np.array(counts) / codes.shape[1]).astype(np.float32)


def _unit(X: Array) -> Float64:
    rows = np.asarray(X, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
