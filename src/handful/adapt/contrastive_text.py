"""Images and texts into one space: CLIP's symmetric InfoNCE, SigLIP's sigmoid loss, LiT's frozen texts.

CLIP [1]_ asks which text of the batch belongs to an image, and which image to a text. SigLIP [2]_ asks of
each pair by itself whether it belongs together. With the text tower frozen (LiT [3]_) the image tower alone learns.

References
----------
.. [1] Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
   ICML 2021, https://arxiv.org/abs/2103.00020, figure 3.
.. [2] Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023,
   https://arxiv.org/abs/2303.15343, algorithm 1.
.. [3] Zhai et al., "LiT: Zero-Shot Transfer with Locked-image text Tuning", CVPR 2022,
   https://arxiv.org/abs/2111.07991. Deviation: there the image tower is frozen, here the text tower.
.. [4] Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
   RepL4NLP 2021, https://arxiv.org/abs/2101.06983.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from handful.adapt.augment import View
from handful.adapt.trainable import parameter_groups
from handful.core import Int

Loss = Literal["clip", "siglip"]
START = {"clip": (math.log(1 / 0.07), None), "siglip": (math.log(10), -10.0)}
"""Of each loss: where the logarithm of the scale and the bias begin, as in the papers."""
_MOST_SCALE = math.log(100)


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Return CLIP's loss: the mean of two cross-entropies, of images over texts and of texts over images.

    Parameters
    ----------
    images, texts : Tensor of shape (n, d)
        Unit vectors; row ``i`` of both belongs together.
    scale : Tensor
        Multiplies cosines, above 0.

    Examples
    --------
    >>> same = torch.eye(2)
    >>> round(clip_loss(same, same, torch.tensor(1.0)).item(), 4)
    0.3133
    """
    logits = scale * images @ texts.T
    right = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2


def siglip_loss(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Return SigLIP's loss: of all n² pairs the logistic loss, summed and divided by n.

    Parameters
    ----------
    images, texts : Tensor of shape (n, d)
        Unit vectors; row ``i`` of both belongs together.
    scale, bias : Tensor
        A pair's logit is ``scale · cosine + bias``.

    Examples
    --------
    >>> same = torch.eye(2)
    >>> round(siglip_loss(same, same, torch.tensor(1.0), torch.tensor(0.0)).item(), 4)
    1.0064
    """
    logits = scale * images @ texts.T + bias
    signs = 2 * torch.eye(len(logits), device=logits.device) - 1
    return -functional.logsigmoid(signs * logits).sum() / len(logits)


class ContrastiveText(nn.Module):
    """A `Method` that brings an image and one of its captions together.

    Parameters
    ----------
    image_tower : nn.Module
        float32 [n, 3, s, s] to [n, d].
    text_tower : nn.Module or None
        int64 [n, l] to [n, d]. None where the texts are vectors already (LiT).
    texts : Tensor
        Of every caption its tokens, int64 [m, l], or its vector, float32 [m, d].
    first : ndarray of shape (n + 1,), int
        Captions ``first[i]`` to ``first[i + 1]`` are those of image ``i`` of the data set.
    size : int
        Side of the views in pixels.
    loss : {"clip", "siglip"}, default="clip"
    chunk : int, optional
        Pairs that go through the towers at once. Gradients are those of the whole batch (gradient
        caching [4]_), in the memory of a chunk; BatchNorm takes the statistics of a chunk, not of the batch.
    scale : float, default=0.5
        Smallest share of an image's area that a crop keeps.
    flip : bool, default=True
        Mirror half of the views; wrong where captions say left and right.
    """

    def __init__(  # noqa: PLR0913 - two towers, their data and the loss
        self,
        image_tower: nn.Module,
        text_tower: nn.Module | None,
        *,
        texts: Tensor,
        first: Int,
        size: int,
        loss: Loss = "clip",
        chunk: int | None = None,
        scale: float = 0.5,
        flip: bool = True,
    ) -> None:
        super().__init__()
        self.image_tower, self.text_tower, self.loss, self.chunk = image_tower, text_tower, loss, chunk  # fmt: skip
        start, bias = START[loss]
        self.logit_scale = nn.Parameter(torch.tensor(start))
        self.logit_bias = None if bias is None else nn.Parameter(torch.tensor(bias))
        self.register_buffer("texts", texts, persistent=False)
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.view = View(size, (scale, 1.0), flip)

    @property
    def chain(self) -> nn.Sequential:
        """The image tower."""
        return nn.Sequential(self.image_tower)

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one view."""
        return (self.view(image),)

    def encode_images(self, x: Tensor) -> Tensor:
        """Return unit vectors [n, d] of normalised images."""
        return functional.normalize(self.image_tower(x).float(), dim=1)

    def encode_texts(self, texts: Tensor) -> Tensor:
        """Return unit vectors [n, d] of tokens, or of the frozen encoder's vectors."""
        vectors = texts if self.text_tower is None else self.text_tower(texts)
        return functional.normalize(vectors.float(), dim=1)

    def pair_loss(self, images: Tensor, texts: Tensor) -> Tensor:
        """Return the loss of unit vectors whose rows belong together."""
        scale = self.logit_scale.exp()
        if self.logit_bias is None:
            return clip_loss(images, texts, scale)
        return siglip_loss(images, texts, scale, self.logit_bias)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss over the batches of all devices, and how often an image's nearest text is its own."""
        count = self.first[index + 1] - self.first[index]
        drawn = (torch.rand(len(index), device=index.device) * count).long()
        texts = self.texts[self.first[index] + drawn.clamp(max=count - 1)]
        images = _gathered(self._in_chunks(self.encode_images, views[0]))
        words = _gathered(self._in_chunks(self.encode_texts, texts))
        with torch.no_grad():
            near = (images @ words.T).argmax(dim=1)
            right = (near == torch.arange(len(near), device=near.device)).float().mean()
        return {
            "loss": self.pair_loss(images, words),
            "train_recall": right,
            "logit_scale": self.logit_scale.exp(),
        }

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms, biases, and the loss's own scale and bias."""
        own = [p for p in (self.logit_scale, self.logit_bias) if p is not None]
        groups = parameter_groups(self.image_tower, rate, weight_decay)
        if self.text_tower is not None:
            groups = [*groups, *parameter_groups(self.text_tower, rate, weight_decay)]
        return [*groups, {"params": own, "lr": rate, "weight_decay": 0.0}]

    def after_step(self, progress: float) -> None:
        """Keep the scale at 100 or less, as CLIP does."""
        with torch.no_grad():
            self.logit_scale.clamp_(0, _MOST_SCALE)

    def _in_chunks(self, encode: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Encode a chunk at a time; what a chunk computed in between is forgotten and computed again."""
        if self.chunk is None or len(x) <= self.chunk or not torch.is_grad_enabled():
            return encode(x)

        def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
            return nullcontext(), _statistics_kept(self)

        return torch.cat(
            [
                checkpoint(encode, part, use_reentrant=False, context_fn=contexts)
                for part in x.split(self.chunk)
            ]
        )


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Leave the running statistics of BatchNorm alone, which a chunk has moved already."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def _gathered(vectors: Tensor) -> Tensor:
    """Return the vectors of all devices, through which gradients flow back to each."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return vectors
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(vectors))
