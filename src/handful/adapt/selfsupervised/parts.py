"""What the self-supervised methods share: a look at the network, and the perceptron behind it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from handful.adapt.chain import evaluation
from handful.adapt.network import Network
from handful.core import AdaptError


def shape_at(network: Network, size: int, *, pooled: bool = True) -> torch.Size:
    """Return the shape, without the batch, that the network gives for images of ``size`` pixels.

    Parameters
    ----------
    network : Network
    size : int
        Side of the views in pixels.
    pooled : bool, default=True
        Of the vector; otherwise of the map or the tokens before the pool.

    Raises
    ------
    ValueError
        If the network cannot take images of that size.
    """
    chain = network.chain if pooled else network.chain[:-1]
    like = next(network.chain.parameters())
    try:
        with evaluation(network.chain), torch.no_grad():
            return chain(like.new_zeros(2, 3, size, size)).shape[1:]
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"The network {network.name!r} cannot take views of {size} px: {reason} Train at the "
            f"size that it was built for ({network.preprocess.size} px) or at a larger one."
        ) from error


def perceptron(widths: Sequence[int], *, last_norm: bool = False) -> nn.Sequential:
    """Return linear layers with BatchNorm and ReLU between them.

    Parameters
    ----------
    widths : sequence of int
        Of the input, of each hidden layer and of the output.
    last_norm : bool, default=False
        The output has a BatchNorm (without scale or shift) instead of a bias.
    """
    *hidden, (last_in, last_out) = pairwise(widths)
    layers: list[nn.Module] = []
    for n_in, n_out in hidden:
        layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(inplace=True)]
    layers.append(nn.Linear(last_in, last_out, bias=not last_norm))
    if last_norm:
        layers.append(nn.BatchNorm1d(last_out, affine=False))
    return nn.Sequential(*layers)


def check_batch(view: Tensor, method: str) -> None:
    """Raise AdaptError when a step has one image, which has nothing to be compared with."""
    if len(view) < 2:
        raise AdaptError(
            f"{method} compares the images of a step with each other and needs at least 2 of them. "
            "Give more images, a larger --batch-size, or fewer devices."
        )
