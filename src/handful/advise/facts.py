"""What is known of the data and of the machine before a plan is chosen."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np

from handful.backbones import Classifier
from handful.core import Array, Estimate, Float32, usable_cores
from handful.embeddings import nearest
from handful.heads import softmax
from handful.measure import share

_NEIGHBOURS = 5
_GIGABYTE = 1e9


@dataclass(frozen=True)
class Data:
    """What is in a folder.

    Parameters
    ----------
    images, unlabelled : int
        Usable images, and those of them without a label, outside the test split.
    classes : dict of str to int
        Labels of each class outside the test split.
    named : tuple of str
        The classes by name: those of the labels, or those that were given.
    near_duplicates : int
        Pairs of labelled images that show the same picture.
    side : int or None
        Median of the images' shorter sides in pixels.
    smallest_side : int or None
        Shorter side of the smallest image looked at.
    distance : float or None
        See `domain_distance`; None for a backbone without its classifier.
    purity : Estimate
        See `purity`.
    doubted : Estimate
        Share of labels that are probably wrong.
    likeness : float or None
        Of the labelled images to the unlabelled ones, near one half where they are of one kind.
    """

    images: int
    unlabelled: int
    classes: dict[str, int] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    near_duplicates: int = 0
    side: int | None = None
    smallest_side: int | None = None
    distance: float | None = None
    purity: Estimate = field(
        default_factory=lambda: Estimate.not_measurable("neighbours of the same class", "no label")
    )
    doubted: Estimate = field(
        default_factory=lambda: Estimate.not_measurable("labels probably wrong", "no label")
    )
    likeness: float | None = None

    @property
    def labelled(self) -> int:
        """Labels outside the test split."""
        return sum(self.classes.values())

    @property
    def labels_a_class(self) -> float:
        """Mean number of labels of the classes that have one, 0 without any."""
        return self.labelled / len(self.classes) if self.classes else 0.0

    @property
    def imbalance(self) -> float:
        """Labels of the most common class over those of the rarest, 1 without any."""
        counts = self.classes.values()
        return max(counts) / min(counts) if counts else 1.0


@dataclass(frozen=True)
class Machine:
    """What this machine offers.

    Parameters
    ----------
    cores : int
        That this process may use.
    memory : float
        In gigabytes; NaN where the system does not tell.
    torch : bool
        Whether the extra ``train`` is installed.
    gpu : bool
        Whether there is an NVIDIA GPU.
    """

    cores: int
    memory: float
    torch: bool
    gpu: bool


def this_machine() -> Machine:
    """Return what this machine offers, without importing torch.

    Examples
    --------
    >>> this_machine().cores >= 1
    True
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIGABYTE
    except (AttributeError, OSError, ValueError):  # not on Windows
        memory = float("nan")
    packages = ("torch", "torchvision", "timm", "lightning_fabric", "onnxscript")
    return Machine(
        cores=usable_cores(),
        memory=round(memory, 1),
        torch=all(find_spec(name) is not None for name in packages),
        gpu=shutil.which("nvidia-smi") is not None,
    )


def domain_distance(X: Float32, classifier: Classifier) -> float:
    """Return how little a backbone recognises in images: the entropy of its own classifier's answers.

    The mean entropy over the logarithm of the number of its classes: 0 where it is certain of one of
    them in every image, 1 where all are alike to it. It orders the image sets of
    ``benchmarks/advise.py`` as one would: clothing, rubbish, satellite tiles, digits.

    Parameters
    ----------
    X : ndarray of shape (n, dim), float32
        Vectors.
    classifier : Classifier
        That the backbone was trained with.

    Examples
    --------
    >>> classifier = Classifier(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    >>> round(domain_distance(np.array([[9.0, 9.0]], np.float32), classifier), 3)
    1.0
    """
    proba = softmax(X @ classifier.weight.T + classifier.bias).astype(np.float64)
    entropy = -(proba * np.log(np.maximum(proba, 1e-12))).sum(axis=1)
    return float(entropy.mean() / np.log(len(classifier.weight)))


def purity(X: Float32, y: Array) -> Estimate:
    """Return how many of the nearest labelled neighbours of an image have its class.

    The five nearest by cosine between square roots, or as many as the other images of the class
    where those are fewer; images whose class has no other label do not count.

    Parameters
    ----------
    X : ndarray of shape (n, dim), float32
    y : array of shape (n,)

    Examples
    --------
    >>> X = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]]
    >>> purity(X, np.array(["a", "a", "b", "b"])).value
    1.0
    """
    what = "neighbours of the same class"
    codes = np.unique(y, return_inverse=True)[1]
    others = np.bincount(codes, minlength=1)[codes] - 1 if len(codes) else np.empty(0, np.int64)
    if not (others > 0).any():
        return Estimate.not_measurable(what, "no class has a second label")
    rows = np.sign(X) * np.sqrt(np.abs(X))
    found = nearest(rows, rows, _NEIGHBOURS + 1)[0]
    own = found == np.arange(len(X))[:, None]
    own[:, -1] |= ~own.any(axis=1)  # copies may come before the image itself
    same = codes[found[~own].reshape(len(X), -1)] == codes[:, None]
    asked = np.minimum(others, same.shape[1])
    counted = np.arange(same.shape[1]) < asked[:, None]
    some = asked > 0
    agree = (same & counted).sum(axis=1)[some] / asked[some]
    return _mean_share(agree, what)


def _mean_share(values: Array, what: str) -> Estimate:
    n = len(values)
    found = share(round(float(values.sum())), n, what, f"nearest {_NEIGHBOURS} labelled images")
    value = float(values.mean())
    low, high = min(found.low, value), max(found.high, value)
    return Estimate(value, low, high, n, what, found.how)
