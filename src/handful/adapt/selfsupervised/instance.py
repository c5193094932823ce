"""Classifying every image as itself (parametric instance discrimination)."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import StrongOptions, contrastive_view, cutmix
from handful.adapt.network import Network
from handful.adapt.selfsupervised.parts import shape_at
from handful.adapt.trainable import parameter_groups

_MOST_IMAGES = 1_000_000  # the classifier has a row of weights for each


class Instance(nn.Module):
    """Learn one class an image, with CutMix and smoothed labels (IDMM [1]_).

    The cheapest way to discriminate images, and a good one for a few thousand:
    no pairs, no teacher, no large batch. Time to learn grows with the images.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    n_images : int
        Of the data set, in ``[2, 1_000_000]``.
    size : int
        Side of the views in pixels.
    smoothing : float, default=0.1
        Share of a label that is spread over all images, in ``[0, 1)``.
    alpha : float, default=1.0
        Of the beta distribution of CutMix's share; 0 for no CutMix.
    **view
        ``scale``, ``jitter``, ``grayscale``, ``blur`` and ``turn`` of
        `handful.adapt.augment.contrastive_view`.

    Raises
    ------
    ValueError
        If a parameter is out of range, there are too many images, or the network
        cannot take such views.

    References
    ----------
    .. [1] Cao and Wu, "Training Vision Transformers with Only 2040 Images", ECCV
       2022, https://arxiv.org/abs/2201.10728 (after "Rethinking Self-Supervised
       Learning: Small is Beautiful", https://arxiv.org/abs/2103.13559, for small
       images). Target: the best published results from scratch on seven small data
       sets, Flowers with 2,040 images among them. Deviation: one stage, no start of the
       classifier at the images' vectors.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_images: int,
        size: int,
        smoothing: float = 0.1,
        alpha: float = 1.0,
        **view: Unpack[StrongOptions],
    ) -> None:
        super().__init__()
        if not 2 <= n_images <= _MOST_IMAGES:
            raise ValueError(
                f"Instance discrimination learns one class an image and takes 2 to {_MOST_IMAGES:,} "
                f"images. Got {n_images:,}: take contrastive learning for more."
            )
        if not (0 <= smoothing < 1 and alpha >= 0):
            raise ValueError(
                "Instance takes 0 <= smoothing < 1 and alpha >= 0. "
                f"Got smoothing={smoothing!r}, alpha={alpha!r}."
            )
        self.chain, self.smoothing, self.alpha = network.chain, smoothing, alpha
        self.head = nn.Linear(shape_at(network, size)[0], n_images)
        self.view = contrastive_view(size, **view)

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one view."""
        return (self.view(image),)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the cross-entropy and the share of images that are recognised."""
        x, other, share = cutmix(views[0], self.alpha) if self.alpha else (views[0], None, 1.0)
        logits = self.head(self.chain(x)).float()
        loss = self._loss(logits, index)
        if other is not None:
            loss = share * loss + (1 - share) * self._loss(logits, index[other])
        accuracy = (logits.argmax(dim=1) == index).float().mean()
        return {"loss": loss, "instance_accuracy": accuracy}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms and biases."""
        return parameter_groups(self, rate, weight_decay)

    def after_step(self, progress: float) -> None:
        """Do nothing."""

    def _loss(self, logits: Tensor, index: Tensor) -> Tensor:
        return functional.cross_entropy(logits, index, label_smoothing=self.smoothing)
