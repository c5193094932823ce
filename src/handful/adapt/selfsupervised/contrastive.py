"""Telling the two views of an image from the views of all others (SimCLR, DCL)."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather
from torch.nn import functional

from handful.adapt.augment import StrongOptions, contrastive_view
from handful.adapt.network import Network
from handful.adapt.selfsupervised.parts import check_batch, perceptron, shape_at
from handful.adapt.trainable import parameter_groups


class Contrastive(nn.Module):
    """Pull two views of an image together and push all others away (SimCLR [1]_).

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    n_images : int
        Of the data set; unused.
    size : int
        Side of the views in pixels.
    temperature : float, default=0.2
        Divides cosines, above 0.
    decoupled : bool, default=False
        Leave the positive pair out of the denominator (DCL [2]_), which helps
        with small batches.
    width : int, default=128
        Of the projection on which the loss is computed.
    **view
        ``scale``, ``jitter``, ``grayscale``, ``blur`` and ``turn`` of
        `handful.adapt.augment.contrastive_view`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the network cannot take such views.

    References
    ----------
    .. [1] Chen et al., "A Simple Framework for Contrastive Learning of Visual
       Representations", ICML 2020, https://arxiv.org/abs/2002.05709. Target:
       ImageNet, ResNet-50, 1,000 epochs: 69.1 % linear (their repository). Deviation: AdamW in
       place of LARS is the loop's default.
    .. [2] Yeh et al., "Decoupled Contrastive Learning", ECCV 2022,
       https://arxiv.org/abs/2110.06848.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_images: int,
        size: int,
        temperature: float = 0.2,
        decoupled: bool = False,
        width: int = 128,
        **view: Unpack[StrongOptions],
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                f"The 'temperature' of Contrastive must be above 0. Got {temperature!r}."
            )
        self.chain = network.chain
        self.temperature, self.decoupled = temperature, decoupled
        dim = shape_at(network, size)[0]
        self.project = perceptron([dim, dim, width])
        self.view = contrastive_view(size, **view)

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return two views."""
        return self.view(image), self.view(image)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss of the batch."""
        check_batch(views[0], "Contrastive learning")
        z0, z1 = self.project(self.chain(torch.cat(views[:2]))).chunk(2)
        return {"loss": nt_xent(z0, z1, self.temperature, decoupled=self.decoupled)}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms and biases."""
        return parameter_groups(self, rate, weight_decay)

    def after_step(self, progress: float) -> None:
        """Do nothing."""


def nt_xent(z0: Tensor, z1: Tensor, temperature: float, *, decoupled: bool = False) -> Tensor:
    """Return the normalised, temperature-scaled cross-entropy of two views of each image.

    Computed in float32 whatever the precision of the run. Where several
    processes train together, the images of all of them are each other's
    negatives, and gradients flow to all.

    Parameters
    ----------
    z0, z1 : Tensor of shape (n, width)
        Projections of the two views, of any length.
    temperature : float
        Divides cosines, above 0.
    decoupled : bool, default=False
        Leave the positive pair out of the denominator (DCL). Two images are
        then the fewest.

    Returns
    -------
    Tensor
        Scalar, the mean over both views; at least 0 unless decoupled.
    """
    with torch.autocast(z0.device.type, enabled=False):
        z = functional.normalize(torch.stack([z0, z1]).float(), dim=2)
        everyone, first = _gathered(z)
        similarity = z.flatten(0, 1) @ everyone.flatten(0, 1).T / temperature
        rows = torch.arange(z.shape[1], device=z.device) + first
        own = torch.cat([rows, rows + everyone.shape[1]])[:, None]
        other = own.roll(z.shape[1], dims=0)
        positive = similarity.gather(1, other)
        left_out = torch.cat([own, other], dim=1) if decoupled else own
        negatives = similarity.scatter(1, left_out, -torch.inf)
        return (negatives.logsumexp(dim=1) - positive[:, 0]).mean()


def _gathered(z: Tensor) -> tuple[Tensor, int]:
    """Return the projections [2, all n, width] of every process, and where one's own begin."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return z, 0
    if distributed.get_world_size() == 1:
        return z, 0
    return torch.cat(all_gather(z), dim=1), distributed.get_rank() * z.shape[1]
