"""Watching a run that learns without labels: whether it gets better, whether it has collapsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from handful.adapt.feeding import TrainingData
from handful.adapt.monitor import alignment, collapsed, effective_rank, knn_accuracy, uniformity
from handful.core import AdaptError, Float32, UInt8, stream

_MOST = 512  # images that are looked at
_BATCH = 64


def watch(
    data: TrainingData, size: int, *, random_state: int = 0
) -> Callable[[nn.Sequential], dict[str, float]]:
    """Return the function that a run calls to look at its network.

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
    callable
        Raises AdaptError when the vectors have collapsed.
    """
    order = stream(random_state, "watch").permutation(len(data.names))
    rows = order[np.argsort(data.targets[order] < 0, kind="stable")][:_MOST]
    squares = np.stack([np.asarray(_square(data.images[row], size)) for row in rows])
    y = data.targets[rows]
    labelled = y >= 0
    has_neighbours = len(set(y[labelled].tolist())) > 1 and np.bincount(y[labelled]).max() > 1

    def look(chain: nn.Sequential) -> dict[str, float]:
        X = _vectors(chain, squares, data)
        reason = collapsed(X)
        if reason:
            raise AdaptError(
                f"The network has collapsed: {reason} Take a lower --rate or another method."
            )
        figures = {"effective_rank": effective_rank(X)}
        if has_neighbours:
            return {**figures, "knn_accuracy": knn_accuracy(X[labelled], y[labelled], 5)}
        mirrored = _vectors(chain, squares[:, :, ::-1], data)
        return {**figures, "alignment": alignment(X, mirrored), "uniformity": uniformity(X)}

    return look


def _square(image: Any, size: int) -> Image.Image:
    return image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)


def _vectors(chain: nn.Sequential, squares: UInt8, data: TrainingData) -> Float32:
    device: Any = next(chain.parameters()).device
    mean, std = (np.asarray(value, np.float32) * 255 for value in (data.mean, data.std))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(squares), _BATCH):
            x = torch.from_numpy((squares[start : start + _BATCH] - mean) / std)
            x = (
                x.permute(0, 3, 1, 2)
                .float()
                .to(device)
                .contiguous(memory_format=torch.channels_last)
            )
            parts.append(chain(x).float().cpu().numpy())
    return np.concatenate(parts)
