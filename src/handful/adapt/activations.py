"""The activations of images after a frozen prefix of a chain: computed once, then mapped from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from handful.adapt.chain import evaluation
from handful.adapt.network import Network
from handful.core import Float32, Progress

_BATCH = 32


class Activations(Sequence[Tensor]):
    """float32 tensors, `activations[row]` of the shape that the prefix gives one image."""

    def __init__(self, values: Float32) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: Any) -> Any:
        return torch.from_numpy(np.array(self.values[row]))


def cached_activations(
    network: Network,
    images: Sequence[Any],
    first: int,
    size: int,
    path: Path,
    *,
    quiet: bool = False,
) -> Activations:
    """Return the activations of images after the blocks before ``first``.

    Without augmentation below the cut a frozen prefix gives an image the same
    activations in every epoch.

    Parameters
    ----------
    network : Network
    images : sequence of PIL images
        Each is scaled to ``size``.
    first : int
        First block that is not computed here, from 0.
    size : int
        Side in pixels.
    path : Path
        ``.npy``, written here; the file is the only copy.
    quiet : bool, default=False
    """
    prefix, device = network.chain[:first], next(network.chain.parameters()).device
    path.parent.mkdir(parents=True, exist_ok=True)
    values: np.memmap[Any, np.dtype[np.float32]] | None = None
    with Progress("activations", len(images), quiet=quiet) as progress, evaluation(network.chain):
        for start in range(0, len(images), _BATCH):
            rows = range(start, min(start + _BATCH, len(images)))
            block = _block(network, prefix, [images[row] for row in rows], size, device)
            if values is None:
                shape = (len(images), *block.shape[1:])
                values = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            values[start : start + len(block)] = block
            progress.advance(len(block))
    if values is None:
        raise ValueError("There is no image.")
    values.flush()
    return Activations(np.load(path, mmap_mode="r"))


def _block(
    network: Network, prefix: nn.Sequential, images: list[Any], size: int, device: Any
) -> Float32:
    pixels = np.stack([np.asarray(image.resize((size, size), 3)) for image in images])
    mean, std = (np.asarray(value, np.float32) * 255 for value in (network.mean, network.std))
    x = torch.from_numpy((pixels - mean) / std).permute(0, 3, 1, 2).float().to(device)
    with torch.inference_mode():
        result: Float32 = prefix(x.contiguous(memory_format=torch.channels_last)).cpu().numpy()
    return result
