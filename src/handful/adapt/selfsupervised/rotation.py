"""Predicting by which quarter turn an image was rotated (RotNet)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import light_view
from handful.adapt.network import Network
from handful.adapt.selfsupervised.parts import shape_at
from handful.adapt.trainable import parameter_groups


class Rotation(nn.Module):
    """Tell apart the four rotations of each image [1]_.

    Only what has an upright can be learnt from: satellite images, microscopy and
    parts on a belt have none, which `handful.adapt.check_pretext` finds out
    before time is spent. As in the paper all four rotations of an image are in
    one batch, so a step costs four times its images.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    n_images : int
        Of the data set; unused.
    size : int
        Side of the views in pixels.
    scale : float, default=0.5
        Smallest share of an image's area in a view, in ``(0, 1]``.
    flip : bool, default=True
        Mirror half of the views.

    Raises
    ------
    ValueError
        If the network cannot take views of that size.

    References
    ----------
    .. [1] Gidaris, Singh and Komodakis, "Unsupervised Representation Learning by
       Predicting Image Rotations", ICLR 2018, https://arxiv.org/abs/1803.07728.
       Target: CIFAR-10, network in network of 4 blocks, features of the second:
       91.16 % with a classifier of convolutions, supervised 92.80 %.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_images: int,
        size: int,
        scale: float = 0.5,
        flip: bool = True,
    ) -> None:
        super().__init__()
        self.chain = network.chain
        self.head = nn.Linear(shape_at(network, size)[0], 4)
        self.view = light_view(size, scale=scale, flip=flip)

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one view; it is rotated later, where that is cheap."""
        return (self.view(image),)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the cross-entropy and the share of rotations that are found."""
        x = torch.cat([torch.rot90(views[0], quarters, (2, 3)) for quarters in range(4)])
        turned = torch.arange(4, device=x.device).repeat_interleave(len(views[0]))
        logits = self.head(self.chain(x)).float()
        accuracy = (logits.argmax(dim=1) == turned).float().mean()
        return {"loss": functional.cross_entropy(logits, turned), "rotation_accuracy": accuracy}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms and biases."""
        return parameter_groups(self, rate, weight_decay)

    def after_step(self, progress: float) -> None:
        """Do nothing."""
