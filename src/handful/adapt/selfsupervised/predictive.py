"""Predicting one view's projection from the other's, without negatives (BYOL, SimSiam)."""

from __future__ import annotations

import copy
import math
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import StrongOptions, contrastive_view
from handful.adapt.network import Network
from handful.adapt.selfsupervised.parts import check_batch, perceptron, shape_at
from handful.adapt.trainable import parameter_groups


class Predictive(nn.Module):
    """Predict what a slow copy of the network says of the other view (BYOL [1]_).

    Nothing is pushed away; a predictor and the stopped gradient keep the vectors
    from collapsing, which the monitor watches and ``spread`` in the log shows.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    n_images : int
        Of the data set; unused.
    size : int
        Side of the views in pixels.
    momentum : float or None, default=0.99
        Decay of the moving average that is the teacher, in ``[0, 1]``; it rises
        to 1 by a cosine over the run. None: the network is its own teacher
        (SimSiam [2]_).
    hidden, width : int, default=1024, 256
        Of the projection's hidden layer and of its output.
    **view
        ``scale``, ``jitter``, ``grayscale``, ``blur`` and ``turn`` of
        `handful.adapt.augment.contrastive_view`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the network cannot take such views.

    References
    ----------
    .. [1] Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020,
       https://arxiv.org/abs/2006.07733. Target: ImageNet, ResNet-50, 1,000 epochs:
       74.3 % linear. Deviations: smaller layers, both views drawn alike, half the
       loss (the mean cosine), momentum 0.99 for short runs.
    .. [2] Chen and He, "Exploring Simple Siamese Representation Learning", CVPR
       2021, https://arxiv.org/abs/2011.10566. Target: ImageNet, ResNet-50, 800
       epochs: 71.3 % linear.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_images: int,
        size: int,
        momentum: float | None = 0.99,
        hidden: int = 1024,
        width: int = 256,
        **view: Unpack[StrongOptions],
    ) -> None:
        super().__init__()
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(
                f"The 'momentum' of Predictive must be in [0, 1] or None. Got {momentum!r}."
            )
        self.chain, self.momentum = network.chain, momentum
        dim = shape_at(network, size)[0]
        if momentum is None:
            self.project = perceptron([dim, hidden, hidden, width], last_norm=True)
            self.predict = perceptron([width, max(width // 4, 1), width])
        else:
            self.project = perceptron([dim, hidden, width])
            self.predict = perceptron([width, hidden, width])
            self.teacher = copy.deepcopy(nn.Sequential(self.chain, self.project))
            self.teacher.requires_grad_(False)
        self.view = contrastive_view(size, **view)

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return two views."""
        return self.view(image), self.view(image)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss in [-1, 1], and the spread of the projections: 1 is ideal, 0 collapsed."""
        check_batch(views[0], "Predictive learning")
        z0, z1 = (self.project(self.chain(view)) for view in views[:2])
        p0, p1 = self.predict(z0), self.predict(z1)
        if self.momentum is not None:
            with torch.no_grad():
                z0, z1 = (self.teacher(view) for view in views[:2])
        spread = functional.normalize(z0.detach().float(), dim=1).std(dim=0).mean() * math.sqrt(
            z0.shape[1]
        )
        loss = (negative_cosine(p0, z1) + negative_cosine(p1, z0)) / 2
        return {"loss": loss, "spread": spread}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups, the teacher's weights in none; no decay on norms and biases."""
        return parameter_groups(self, rate, weight_decay)

    def after_step(self, progress: float) -> None:
        """Move the teacher towards the network."""
        if self.momentum is None:
            return
        decay = 1 - (1 - self.momentum) * (1 + math.cos(math.pi * progress)) / 2
        online = [*self.chain.parameters(), *self.project.parameters()]
        with torch.no_grad():
            torch._foreach_lerp_(list(self.teacher.parameters()), online, 1 - decay)


def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    """Return the mean of ``-cos(p, z)`` over rows, in [-1, 1]; ``z`` gets no gradient.

    Parameters
    ----------
    p, z : Tensor of shape (n, width)
        Predictions and what they predict.
    """
    return -functional.cosine_similarity(p.float(), z.detach().float(), dim=1).mean()
