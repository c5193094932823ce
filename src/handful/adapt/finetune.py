"""Fine-tuning with few labels: probe first, then move the weights a little.

A linear probe is solved to its optimum on frozen vectors and becomes the head;
only then do the weights move (LP-FT [1]_): a random head would first push the
backbone somewhere else. The head sees vectors as `LinearProbe` does, square
roots of unit length, so that what is trained is what is used afterwards.

References
----------
.. [1] Kumar et al., "Fine-tuning can distort pretrained features and underperform
   out-of-distribution", ICLR 2022, https://arxiv.org/abs/2202.10054: against plain
   fine-tuning +1 % in distribution and +10 % out of it, on ten data sets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import cutmix, finetune_view
from handful.adapt.lora import merge_lora
from handful.adapt.network import Network
from handful.adapt.trainable import (
    frozen_prefix,
    interpolate,
    layer_rates,
    parameter_groups,
    select_trainable,
    train_mode,
    unfrozen_at,
)
from handful.core import Array, Float32, Int
from handful.heads import LinearProbe, TemperatureScaled

_SMALL = 1e-3  # added under the square root, whose slope at 0 has no bound
_MANY_LABELS = 50  # a class: the trained weights are kept as they are


@dataclass(frozen=True)
class FineTuning:
    """Which weights move, how fast, and what keeps them from learning the few images by heart.

    Parameters
    ----------
    train : str, default="all"
        ``"all"``, ``"last:K"`` blocks, ``"norm_and_bias"``, ``"lora"`` or
        ``"lora:RANK"``, or ``"head"``.
    probe_first : bool, default=True
        The head begins as the linear probe; otherwise at 0 (naive fine-tuning).
    gradual : bool, default=False
        Blocks begin to move one after the other, the last first.
    rate_decay : float, default=1.0
        Factor of the learning rate from layer to layer towards the input.
    smoothing : float, default=0.1
        Share of a label that is spread over all classes.
    mixup, cutmix : float, default=0.0
        Parameter of the beta distribution from which the share of the other
        image is drawn; 0 for none. With both, steps alternate.
    scale : float, default=0.35
        Smallest share of an image's area that a crop keeps.
    flip : bool, default=True
        Mirror half of the views.
    randaugment : int, default=0
        Strength of RandAugment, 0 for none.
    frozen_norms : bool, default=True
        BatchNorm keeps the statistics of the pretraining.
    towards : float, optional
        Weight of the trained network in its average with the one it began as,
        in (0, 1] (WiSE-FT [2]_). By default half way under 50 labels a class,
        where that keeps most of a gain and undoes most of a loss, and 1 from there.

    References
    ----------
    .. [2] Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022,
       https://arxiv.org/abs/2109.01903
    """

    train: str = "all"
    probe_first: bool = True
    gradual: bool = False
    rate_decay: float = 1.0
    smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    scale: float = 0.35
    flip: bool = True
    randaugment: int = 0
    frozen_norms: bool = True
    towards: float | None = None


class FineTune(nn.Module):
    """A `Method` that trains a network and a linear head on labelled images.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    n_classes : int
        At least 2.
    n_images : int
        Labelled ones.
    size : int
        Side of the views in pixels.
    how : FineTuning, optional
    start : tuple of ndarrays, optional
        Weight [n_classes, dim] and bias [n_classes] of the head, from
        `probe_head`. Without it the head begins at 0.
    cached : bool, default=False
        Images come as activations (`cached_activations`) after the blocks in
        which nothing trains.
    """

    def __init__(
        self,
        network: Network,
        *,
        n_classes: int,
        n_images: int,
        size: int,
        how: FineTuning | None = None,
        start: tuple[Float32, Float32] | None = None,
        cached: bool = False,
    ) -> None:
        super().__init__()
        self.how, self.cached, self.size = how or FineTuning(), cached, size
        self.network, self.chain = network, network.chain
        self._start = {key: value.clone() for key, value in self.chain.state_dict().items()}
        dim = network.dim
        select_trainable(self.chain, self.how.train)
        self.first = frozen_prefix(self.chain)  # block that cached activations go into
        self.head = linear_head(dim, n_classes, start)
        self.towards = self.how.towards or default_towards(n_images, n_classes)
        self.register_buffer("progress", torch.zeros(()))
        self.view = finetune_view(
            size, scale=(self.how.scale, 1.0), flip=self.how.flip, randaugment=self.how.randaugment
        )

    def augment(self, image: Any) -> tuple[Tensor, ...]:
        """Return one view; activations that were computed once are passed on as they are."""
        if isinstance(image, Tensor):
            return (image,)
        if self._is_fixed:
            square = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC)
            return (torch.from_numpy(np.array(square)).permute(2, 0, 1),)
        return (self.view(image),)

    def train(self, mode: bool = True) -> FineTune:
        """Set the mode; frozen BatchNorm stays in evaluation mode."""
        super().train(mode)
        if self.how.gradual:
            unfrozen_at(self.chain, float(self.progress))
        train_mode(self.chain, mode, frozen_norms=self.how.frozen_norms)
        return self

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss, and the share of views that are right."""
        x, wanted = self._mixed(
            views[0], functional.one_hot(target, self.head.out_features).float()
        )
        chain = self.chain[self.first :] if self.cached else self.chain
        logits = self.head(normalised(chain(x)))
        wanted = wanted * (1 - self.how.smoothing) + self.how.smoothing / wanted.shape[1]
        loss = functional.cross_entropy(logits, wanted)
        right = (logits.argmax(1) == target).float().mean()
        return {"loss": loss, "train_accuracy": right}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: slower towards the input, no decay on norms, biases and the head."""
        rates = layer_rates(self.network, self.how.rate_decay)
        groups = parameter_groups(self.chain, rate, weight_decay, rates)
        return [*groups, head_group(self.head, rate)]

    def after_step(self, progress: float) -> None:
        """Keep the progress, which decides how many blocks move in gradual unfreezing."""
        self.progress.fill_(progress)

    @property
    def can_cache(self) -> bool:
        """Whether an image is the same in every epoch as far as the first block that trains."""
        return self._is_fixed and not self.how.gradual and self.first > 0

    @property
    def _is_fixed(self) -> bool:
        return self.how.scale == 1 and not self.how.flip and not self.how.randaugment

    def finish(self) -> None:
        """Put low-rank updates into the weights and average them with the start."""
        merge_lora(self.chain)
        if self.towards < 1:
            state = interpolate(self._start, self.chain.state_dict(), self.towards)
            self.chain.load_state_dict(state)

    def _mixed(self, x: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        if not self.how.mixup and not self.how.cutmix:
            return x, wanted
        use_cutmix = self.how.cutmix > 0 and (not self.how.mixup or bool(torch.rand(()) < 0.5))
        if use_cutmix:
            x, other, share = cutmix(x, self.how.cutmix)
        else:
            share = float(torch.distributions.Beta(self.how.mixup, self.how.mixup).sample())
            other = torch.randperm(len(x), device=x.device)
            x = share * x + (1 - share) * x[other]
        return x, share * wanted + (1 - share) * wanted[other]


def default_towards(n_labels: int, n_classes: int) -> float:
    """Return how far from the pretrained weights to go: half way under 50 labels a class."""
    return 0.5 if n_labels < _MANY_LABELS * n_classes else 1.0


def linear_head(
    dim: int, n_classes: int, start: tuple[Float32, Float32] | None = None
) -> nn.Linear:
    """Return a linear head with the weight [n_classes, dim] and bias of `probe_head`, or all 0."""
    head = nn.Linear(dim, n_classes)
    weight, bias = start or (np.zeros((n_classes, dim)), np.zeros(n_classes))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head


def head_group(head: nn.Linear, rate: float) -> dict[str, Any]:
    """Return the optimizer's group of a head, without decay."""
    return {"params": list(head.parameters()), "lr": rate, "weight_decay": 0.0}


def normalised(vectors: Tensor) -> Tensor:
    """Return signed square roots of unit length, smooth at 0, as the head sees vectors."""
    size = vectors.abs().float()
    roots = vectors.sign() * ((size + _SMALL).sqrt() - math.sqrt(_SMALL))
    return functional.normalize(roots, dim=1)


def probe_head(X: Array, y: Int) -> tuple[Float32, Float32]:
    """Return weight and bias of the calibrated linear probe on frozen vectors.

    Parameters
    ----------
    X : ndarray of shape (n, dim), float32
    y : ndarray of shape (n,), int
        Classes from 0, each with a row.
    """
    smooth = normalised(torch.from_numpy(X)).numpy()
    probe = TemperatureScaled(LinearProbe(power=1.0)).fit(smooth, y)
    scale = np.float32(1 / probe.temperature_)
    return probe.head_.coef_ * scale, probe.head_.intercept_ * scale
