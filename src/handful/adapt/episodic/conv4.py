"""The four-block network on which few-shot methods are compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from handful.images import Preprocess

CONV4 = ("conv4", "conv4_maps", "conv4_strides")
_WIDTH = 64
_POOLS = {"conv4": 4, "conv4_maps": 2, "conv4_strides": 0}


def conv4(name: str = "conv4") -> nn.Sequential:
    """Return Conv4-64 [1]_ with random weights from torch's global generator, channels last.

    Four blocks of a 3×3 convolution with 64 filters, BatchNorm, ReLU and 2×2
    max-pooling; the vector is what is left, flattened: 64 numbers at 28 pixels,
    1,600 at 84.

    Parameters
    ----------
    name : {"conv4", "conv4_maps", "conv4_strides"}
        ``"conv4_maps"`` pools in the first two blocks alone, as Relation networks [2]_
        do, which compare maps, not vectors. ``"conv4_strides"`` has strides of 2 and no pooling, as
        MAML [3]_ does on Omniglot: a step takes a fifth of the time. Their vector is the mean of the last maps.

    Notes
    -----
    Max-pooling comes before the ReLU: the result is the same, and a step on a CPU is a tenth faster.

    References
    ----------
    .. [1] Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017,
       https://arxiv.org/abs/1703.05175, section 3.1.
    .. [2] Sung et al., "Learning to Compare: Relation Network for Few-Shot Learning", CVPR 2018,
       https://arxiv.org/abs/1711.06025, section 3.4.
    .. [3] Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
       ICML 2017, https://arxiv.org/abs/1703.03400, section 5.2.

    Examples
    --------
    >>> conv4().eval()(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 64])
    """
    pools = _POOLS[name]
    stride = 2 if name == "conv4_strides" else 1
    blocks = [_block(3 if i == 0 else _WIDTH, pool=i < pools, stride=stride) for i in range(4)]
    last: nn.Module = nn.Flatten()
    if pools < len(blocks):
        last = MapMean()
    return nn.Sequential(*blocks, last).to(memory_format=torch.channels_last)


class MapMean(nn.Module):
    """The mean of each map; as AdaptiveAvgPool2d, and fast under `torch.func.vmap` too."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return vectors [n, c] of maps [n, c, h, w]."""
        return maps.mean(dim=(2, 3))


def conv4_preprocess(changes: dict[str, Any] | None = None) -> Preprocess:
    """Return how an image becomes its pixels: 28 a side by default, nothing cut off."""
    return Preprocess(
        **{"size": 28, "crop_pct": 1.0, "interpolation": "bilinear", **(changes or {})}
    )


def _block(n_in: int, *, pool: bool, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(n_in, _WIDTH, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(_WIDTH),
    ]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.ReLU(inplace=True))
