"""Distillation: a small network learns a larger model's probabilities of clean images.

The teacher is read once. A student that sees a changed view of an image is to give the probabilities
that the teacher gave the clean one; images with a label of their own have that label [1]_.

References
----------
.. [1] Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015,
   https://arxiv.org/abs/1503.02531. Deviations: one temperature, which calibrates the teacher and
   is not applied to the student; images are chosen as in Noisy Student (`balanced_rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import View
from handful.adapt.network import Network
from handful.adapt.trainable import parameter_groups
from handful.core import Array, Float32, Int

_TEMPERATURES = (0.25, 4.0)  # the calibrated one is in between
_TINY = 1e-12
_BATCH = 64


@dataclass(frozen=True)
class Distilling:
    """How a student is taught.

    Parameters
    ----------
    threshold : float, default=0.3
        Lowest confidence of a guess that is learnt, in [0, 1).
    temperature : float, optional
        Divides the teacher's logits, above 0. By default `calibrated_temperature`.
    scale : float, default=0.6
        Smallest share of an image's area that a crop keeps: a crop that lacks the object does
        not show what the teacher saw [1]_.
    flip : bool, default=True
        Mirror half of the views.
    randaugment : int, default=0
        Strength of RandAugment, 0 for none.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    .. [1] Beyer et al., "Knowledge distillation: A good teacher is patient and consistent",
       CVPR 2022, https://arxiv.org/abs/2106.05237
    """

    threshold: float = 0.3
    temperature: float | None = None
    scale: float = 0.6
    flip: bool = True
    randaugment: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise ValueError(f"The 'threshold' must be in [0, 1). Got {self.threshold!r}.")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"The 'temperature' must be above 0. Got {self.temperature!r}.")


def calibrated_temperature(p: Array, accuracy: float) -> float:
    """Return the temperature at which the mean confidence is the measured accuracy.

    It needs no label of these images, only that they are like those the accuracy was measured on.

    Parameters
    ----------
    p : ndarray of shape (n, n_classes)
        Probabilities; rows sum to 1.
    accuracy : float
        In [0, 1]. NaN, where it is not known, leaves the probabilities as they are.

    Returns
    -------
    float
        In [0.25, 4]; above 1 where the probabilities were too sure.

    Examples
    --------
    >>> p = np.array([[0.99, 0.01], [0.02, 0.98]])
    >>> t = calibrated_temperature(p, 0.9)
    >>> round(float(softened(p, t).max(axis=1).mean()), 3)
    0.9
    """
    if np.isnan(accuracy) or not len(p):
        return 1.0

    def excess(temperature: float) -> float:
        return float(softened(p, temperature).max(axis=1).mean()) - accuracy

    low, high = _TEMPERATURES
    if excess(low) <= 0:  # never as sure as it is right
        return low
    return high if excess(high) >= 0 else float(brentq(excess, low, high, xtol=1e-4))


def softened(p: Array, temperature: float) -> Float32:
    """Return probabilities whose logits are divided by a temperature, float32."""
    logits = np.log(np.maximum(np.asarray(p, np.float64), _TINY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class Distil(nn.Module):
    """A `Method` that learns given probabilities of each image.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    labels : ndarray of shape (n, n_classes), float32
        What each image of the data set is; rows sum to 1.
    size : int
        Side of the views in pixels.
    how : Distilling, optional
    """

    def __init__(
        self, network: Network, *, labels: Float32, size: int, how: Distilling | None = None
    ) -> None:
        super().__init__()
        self.how, self.chain = how or Distilling(), network.chain
        self.norm = nn.BatchNorm1d(network.dim, affine=False)  # vectors of any scale are learnt
        self.head = nn.Linear(network.dim, labels.shape[1])
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("labels", torch.from_numpy(labels), persistent=False)
        self.view = View(
            size, (self.how.scale, 1.0), self.how.flip, randaugment=self.how.randaugment
        )

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one view."""
        return (self.view(image),)

    def logits(self, x: Tensor) -> Tensor:
        """Return logits [n, n_classes] of normalised images [n, 3, s, s]."""
        return self.head(self.norm(self.chain(x).float()))

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the cross-entropy with the probabilities, and the share of images of the same class."""
        labels, logits = self.labels[index], self.logits(views[0])
        same = (logits.argmax(dim=1) == labels.argmax(dim=1)).float().mean()
        return {"loss": functional.cross_entropy(logits, labels), "train_accuracy": same}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms, biases and the head."""
        head = {"params": list(self.head.parameters()), "lr": rate, "weight_decay": 0.0}
        return [*parameter_groups(self.chain, rate, weight_decay), head]

    def after_step(self, progress: float) -> None:
        """Do nothing."""

    def linear(self) -> tuple[Float32, Float32]:
        """Return weight [n_classes, dim] and bias of the head on the chain's own vectors."""
        mean, var = self.norm.running_mean, self.norm.running_var
        assert mean is not None
        assert var is not None
        with torch.no_grad():
            weight = self.head.weight / (var + self.norm.eps).sqrt()
            bias = self.head.bias - weight @ mean
        return weight.cpu().numpy(), bias.cpu().numpy()


class Held:
    """Looks at a student through images that it does not learn from, for how often it agrees with the teacher.

    Parameters
    ----------
    images : sequence
        As in `TrainingData`, a few hundred.
    classes : ndarray of shape (n,), int
        The teacher's likeliest class of each.
    size : int
        Side in pixels.
    mean, std : sequence of 3 floats
        The student's normalisation.
    """

    def __init__(
        self, images: Sequence[Any], classes: Int, size: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:  # fmt: skip
        resample = Image.Resampling.BICUBIC
        squares = [np.asarray(i.convert("RGB").resize((size, size), resample)) for i in images]
        self.squares, self.classes = np.stack(squares), classes
        self.mean, self.std = (np.asarray(value, np.float32) * 255 for value in (mean, std))

    @torch.inference_mode()
    def __call__(self, method: Any) -> dict[str, float]:
        """Return the ``agreement`` of a student in evaluation mode, in [0, 1]."""
        device = next(method.parameters()).device
        same = 0
        for start in range(0, len(self.squares), _BATCH):
            part = (self.squares[start : start + _BATCH] - self.mean) / self.std
            x = torch.from_numpy(part).permute(0, 3, 1, 2).float().to(device)
            said = method.logits(x).argmax(dim=1).cpu().numpy()
            same += int((said == self.classes[start : start + _BATCH]).sum())
        return {"agreement": same / len(self.squares)}
