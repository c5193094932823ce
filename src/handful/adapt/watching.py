"""Watching a run that learns without labels: whether it gets better, whether it has collapsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from handful.adapt.feeding import TrainingData
from handful.adapt.monitor import alignment, collapsed, effective_rank, knn_accuracy, uniformity
from handful.core import AdaptError, Float32, Int, UInt8, stream

_MOST = 512  # images that are looked at
_BATCH = 64


def watch(data: TrainingData, size: int, *, random_state: int = 0) -> Watch:
    """Return what a run calls to look at its network.

    It embeds some training images, and mirrored ones. With two labels in each of
    two classes it gives the leave-one-out accuracy of nearest neighbours, else
    alignment and uniformity; the effective rank always.

    Parameters
    ----------
    data : TrainingData
    size : int
        Side in pixels.
    random_state : int, default=0
        Chooses the images, labelled ones first.

    Returns
    -------
    Watch
        To be called; it raises AdaptError when the vectors have collapsed.
    """
    order = stream(random_state, "watch").permutation(len(data.names))
    rows = order[np.argsort(data.targets[order] < 0, kind="stable")][:_MOST]
    squares = np.stack([np.asarray(_square(data.images[row], size)) for row in rows])
    return Watch(squares, data.targets[rows], tuple(data.mean), tuple(data.std))


@dataclass(frozen=True)
class Watch:
    """Looks at a network through some images; see `watch`.

    Parameters
    ----------
    squares : ndarray of shape (n, size, size, 3), uint8
    targets : ndarray of shape (n,), int
        Class numbers, -1 without a label.
    mean, std : tuple of 3 floats
    """

    squares: UInt8
    targets: Int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, method: Any) -> dict[str, float]:
        """Return the figures of a method's chain, in evaluation mode."""
        chain = method.chain
        X = self._vectors(chain, self.squares)
        reason = collapsed(X)
        if reason:
            raise AdaptError(
                f"The network has collapsed: {reason} Take a lower --rate or another method."
            )
        figures = {"effective_rank": effective_rank(X)}
        labelled = self.targets >= 0
        counts = np.bincount(self.targets[labelled], minlength=1)
        if (counts > 0).sum() > 1 and counts.max() > 1:
            accuracy = knn_accuracy(X[labelled], self.targets[labelled], 5)
            return {**figures, "knn_accuracy": accuracy}
        mirrored = self._vectors(chain, self.squares[:, :, ::-1])
        return {**figures, "alignment": alignment(X, mirrored), "uniformity": uniformity(X)}

    def _vectors(self, chain: nn.Sequential, squares: UInt8) -> Float32:
        device: Any = next(chain.parameters()).device
        mean, std = (np.asarray(value, np.float32) * 255 for value in (self.mean, self.std))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(squares), _BATCH):
                x = torch.from_numpy((squares[start : start + _BATCH] - mean) / std)
                x = x.permute(0, 3, 1, 2).float().to(device)
                x = x.contiguous(memory_format=torch.channels_last)
                parts.append(chain(x).float().cpu().numpy())
        return np.concatenate(parts)


def _square(image: Any, size: int) -> Image.Image:
    return image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
