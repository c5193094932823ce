"""The noise of a student inside the network: stochastic depth."""

from __future__ import annotations

from timm.layers import DropPath
from torch import nn

_PLACES = ("drop_path", "drop_path1", "drop_path2")  # what timm's residual blocks call it


def stochastic_depth(chain: nn.Sequential, rate: float) -> int:
    """Let residual branches be left out in training, the deeper the more often [1]_.

    Block ``i`` of ``n`` loses its branch in a share ``rate * i / n`` of the images; in
    evaluation nothing is left out.

    Parameters
    ----------
    chain : torch.nn.Sequential
        Changed in place: blocks of timm's EfficientNet, MobileNet, ResNet, ConvNeXt
        and VisionTransformer have a place for it.
    rate : float
        Of the last block, in [0, 1).

    Returns
    -------
    int
        How many branches can be left out now; 0 for an architecture without a place.

    Raises
    ------
    ValueError
        If the rate is out of range.

    References
    ----------
    .. [1] Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016,
       https://arxiv.org/abs/1603.09382, with its linear decay rule.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"The 'rate' of stochastic depth must be in [0, 1). Got {rate!r}.")
    parts = [part for part in chain.modules() if any(hasattr(part, name) for name in _PLACES)]
    found = 0
    for number, part in enumerate(parts, 1):
        for name in _PLACES:
            if hasattr(part, name):
                setattr(part, name, DropPath(rate * number / len(parts)).train(part.training))
                found += 1
    return found
