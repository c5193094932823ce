"""The variants of consistency training, each a choice of hooks: mask, alignment, target, weight."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from handful.adapt.semisupervised.alignment import Alignment
from handful.adapt.semisupervised.masks import (
    Curriculum,
    Everyone,
    Mask,
    RelativeThreshold,
    SelfAdaptive,
    Threshold,
    TruncatedGaussian,
)

_LEE_WEIGHT, _LEE_BEGIN, _LEE_END = 3.0, 0.1, 0.6
_TEACHER_WEIGHT = 100.0
TEACHER_RAMP = 0.4  # progress at which the weight of Mean Teacher's loss has risen


@dataclass(frozen=True)
class Sizes:
    """What hooks need to know.

    Parameters
    ----------
    n_classes, n_images, n_unlabelled : int
        Images of the data set, labelled ones included, and those without a label.
    threshold : float
        Confidence from which an image is sure; only of FixMatch and FlexMatch.
    momentum : float
        Of moving averages of confidence and class shares.
    """

    n_classes: int
    n_images: int
    n_unlabelled: int
    threshold: float
    momentum: float


@dataclass(frozen=True)
class Variant:
    """One method.

    Parameters
    ----------
    mask : callable
        Makes the `Mask` from sizes.
    align : callable, optional
        Makes the `Alignment`; without it guesses stay as they are. The mask sees
        what is aligned.
    target : callable
        From probabilities as they are and aligned, [n, n_classes] each, to what the
        strong view is to say.
    weight : callable
        Weight of the unlabelled loss at a progress in [0, 1].
    strong : {"none", "unlabelled", "all"}
        Which images have a strong view.
    teacher : bool
        Targets come from a moving average of the weights, on another weak view.
    """

    mask: Callable[[Sizes], Mask]
    align: Callable[[Sizes], Alignment] | None
    target: Callable[[Tensor, Tensor], Tensor]
    weight: Callable[[float], float]
    strong: Literal["none", "unlabelled", "all"] = "unlabelled"
    teacher: bool = False


def likeliest(p: Tensor, aligned: Tensor) -> Tensor:
    """Return the likeliest class before alignment, as 0 and 1."""
    return functional.one_hot(p.argmax(dim=1), p.shape[1]).to(p.dtype)


def as_guessed(p: Tensor, aligned: Tensor) -> Tensor:
    """Return the aligned probabilities."""
    return aligned


def constant(progress: float) -> float:
    """Return 1 at every progress."""
    return 1.0


def lee_ramp(progress: float) -> float:
    """Return the weight of Pseudo-Label: 0 to a tenth of the run, then linear to 3 at six tenths.

    The paper's are epochs 100 and 600.

    Examples
    --------
    >>> [round(lee_ramp(progress), 2) for progress in (0.1, 0.35, 0.6, 1.0)]
    [0.0, 1.5, 3.0, 3.0]
    """
    risen = (progress - _LEE_BEGIN) / (_LEE_END - _LEE_BEGIN)
    return _LEE_WEIGHT * min(max(risen, 0.0), 1.0)


def sigmoid_ramp(progress: float) -> float:
    """Return the weight of Mean Teacher: ``100 exp(-5 (1 - x)^2)``, all of it from four tenths of the run.

    The paper's is step 40,000 of 100,000 and more; the error that it multiplies is
    a mean over classes.

    Examples
    --------
    >>> [round(sigmoid_ramp(progress), 2) for progress in (0.0, 0.2, 0.4, 1.0)]
    [0.67, 28.65, 100.0, 100.0]
    """
    return _TEACHER_WEIGHT * math.exp(-5 * (1 - min(progress / TEACHER_RAMP, 1.0)) ** 2)


def cosine_ramp(progress: float) -> float:
    """Return the weight of AdaMatch: ``1/2 - cos(min(pi, 2 pi progress)) / 2``.

    Examples
    --------
    >>> [round(cosine_ramp(progress), 2) for progress in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.5, 1.0, 1.0]
    """
    return 0.5 - math.cos(min(math.pi, 2 * math.pi * progress)) / 2


def _everyone(sizes: Sizes) -> Mask:
    return Everyone()


def _threshold(sizes: Sizes) -> Mask:
    return Threshold(sizes.threshold)


def _curriculum(sizes: Sizes) -> Mask:
    return Curriculum(
        sizes.threshold,
        n_classes=sizes.n_classes,
        n_images=sizes.n_images,
        n_unlabelled=sizes.n_unlabelled,
    )


def _self_adaptive(sizes: Sizes) -> Mask:
    return SelfAdaptive(sizes.n_classes, sizes.momentum)


def _gaussian(sizes: Sizes) -> Mask:
    return TruncatedGaussian(sizes.n_classes, sizes.momentum)


def _relative(sizes: Sizes) -> Mask:
    return RelativeThreshold(0.9)


def _uniform(sizes: Sizes) -> Alignment:
    return Alignment(sizes.n_classes, sizes.momentum, uniform=True)


def _as_labelled(sizes: Sizes) -> Alignment:
    return Alignment(sizes.n_classes, sizes.momentum, uniform=False)


VARIANTS: dict[str, Variant] = {
    "pseudo-label": Variant(_everyone, None, likeliest, lee_ramp, strong="none"),
    "mean-teacher": Variant(_everyone, None, as_guessed, sigmoid_ramp, strong="none", teacher=True),
    "fixmatch": Variant(_threshold, None, likeliest, constant),
    "flexmatch": Variant(_curriculum, None, likeliest, constant),
    "freematch": Variant(_self_adaptive, None, likeliest, constant),
    "softmatch": Variant(_gaussian, _uniform, likeliest, constant),
    "adamatch": Variant(_relative, _as_labelled, as_guessed, cosine_ramp, strong="all"),
}
"""The variants by name."""
