"""Predicting hidden pixels: MAE for transformers, SimMIM for convolutions."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor, nn

from handful.adapt.augment import LightOptions, light_view
from handful.adapt.chain import TokenPool
from handful.adapt.network import Network
from handful.adapt.selfsupervised.decoders import MapDecoder, TokenDecoder
from handful.adapt.selfsupervised.parts import shape_at
from handful.adapt.trainable import parameter_groups


class Masked(nn.Module):
    """Predict the pixels of hidden patches from the others.

    A chain with tokens before its pool is trained as a masked autoencoder [1]_,
    one with a map as SimMIM [2]_ trains. Its vectors are good to fine-tune and,
    after few images, poor to use frozen.

    Parameters
    ----------
    network : Network
        Its chain is trained in place. Layers behind the pooling take no part and
        are frozen; the final norm of a transformer does take part.
    n_images : int
        Of the data set; unused.
    size : int
        Side of the views in pixels.
    ratio : float, optional
        Share of the patches that are hidden, in ``(0, 1)``. Default: 0.75 of
        tokens, 0.6 of a map.
    patch : int, optional
        Side of a hidden patch in pixels, below ``size``. Default: an eighth of
        ``size``. A transformer has patches of its own.
    depth, width : int, default=2, 128
        Blocks and width of the transformer that decodes tokens; ``width`` is a
        multiple of 4.
    **view
        ``scale``, ``flip`` and ``turn`` of `handful.adapt.augment.light_view`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the network cannot take such views.

    References
    ----------
    .. [1] He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR
       2022, https://arxiv.org/abs/2111.06377. Target: ImageNet, ViT-B/16, 1,600
       epochs: 83.6 % fine-tuned, 68.0 % linear. Deviation: a smaller decoder.
    .. [2] Xie et al., "SimMIM: a Simple Framework for Masked Image Modeling",
       CVPR 2022, https://arxiv.org/abs/2111.09886. Target: ImageNet, ViT-B/16, 800
       epochs: 83.8 % fine-tuned. Deviation: pixels, not patch tokens, are replaced.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_images: int,
        size: int,
        ratio: float | None = None,
        patch: int | None = None,
        depth: int = 2,
        width: int = 128,
        **view: Unpack[LightOptions],
    ) -> None:
        super().__init__()
        if ratio is not None and not 0 < ratio < 1:
            raise ValueError(f"The 'ratio' of Masked must lie between 0 and 1. Got {ratio!r}.")
        self.chain = network.chain
        self.view = light_view(size, **view)
        shape = shape_at(network, size, pooled=False)
        self.decoder: nn.Module
        if len(shape) == 2:
            if patch is not None:
                raise ValueError("A transformer hides its own patches. Leave 'patch' out.")
            self.decoder = TokenDecoder(self.chain, shape, size, ratio or 0.75, depth, width)
        else:
            self.decoder = MapDecoder(shape, size, ratio or 0.6, patch)
        if not isinstance(self.chain[-1], TokenPool):
            self.chain[-1].requires_grad_(False)

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one view."""
        return (self.view(image),)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the error on the hidden pixels."""
        return {"loss": self.decoder(self.chain, views[0])}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms, biases and tokens."""
        return parameter_groups(self, rate, weight_decay)

    def after_step(self, progress: float) -> None:
        """Do nothing."""
