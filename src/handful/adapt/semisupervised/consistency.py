"""One trainer for methods that want the same answer to a weak and a strong view of an unlabelled image."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from handful.adapt.augment import View
from handful.adapt.finetune import default_towards, head_group, linear_head, normalised
from handful.adapt.network import Network
from handful.adapt.semisupervised.variants import TEACHER_RAMP, VARIANTS, Sizes
from handful.adapt.trainable import interpolate, parameter_groups
from handful.core import AdaptError, Float32, Int, did_you_mean

CONFIDENT = 0.95  # probability from which a guess is called confident in what is reported
_TEACHER_DECAYS = (0.99, 0.999)  # while the weight of the loss rises, and afterwards
_UNSEEN, _SEEN, _CONFIDENT = 0, 1, 2


@dataclass(frozen=True)
class Marked(Sequence[tuple[Any, bool]]):
    """Images, each with whether it has a label, which decides what views of it `Consistency` takes.

    Parameters
    ----------
    images : sequence
    targets : ndarray of shape (n,), int
        -1 without a label.
    """

    images: Sequence[Any]
    targets: Int

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: Any) -> Any:
        return self.images[row], bool(self.targets[row] >= 0)


@dataclass(frozen=True)
class Agreement:
    """Which variant of consistency training, and its numbers.

    Parameters
    ----------
    variant : str, default="softmatch"
        A key of `VARIANTS`: ``"pseudo-label"``, ``"mean-teacher"``, ``"fixmatch"``,
        ``"flexmatch"``, ``"freematch"``, ``"softmatch"`` or ``"adamatch"``.
    threshold : float, default=0.95
        Of FixMatch and FlexMatch, in (0, 1).
    momentum : float, default=0.99
        Of moving averages of confidence and class shares, in [0, 1). The papers'
        0.999 belongs to hundreds of thousands of steps.
    scale : float, default=0.5
        Smallest share of an image's area that a crop keeps.
    flip : bool, default=True
        Mirror half of the views.
    randaugment : int, default=10
        Strength of RandAugment in strong views, in [1, 30].
    towards : float, optional
        Weight of the trained network in its average with the one it began as, in (0, 1].
        By default as in fine-tuning: 0.5 under 50 labels a class, 1 from there.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    variant: str = "softmatch"
    threshold: float = 0.95
    momentum: float = 0.99
    scale: float = 0.5
    flip: bool = True
    randaugment: int = 10
    towards: float | None = None

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(
                f"No variant {self.variant!r} of consistency training{did_you_mean(self.variant, VARIANTS)}. "
                f"Expected {', '.join(VARIANTS)}."
            )
        rules = {
            "threshold": ("in (0, 1)", 0 < self.threshold < 1),
            "momentum": ("in [0, 1)", 0 <= self.momentum < 1),
            "randaugment": ("in [1, 30]", 1 <= self.randaugment <= 30),
            "towards": ("in (0, 1]", self.towards is None or 0 < self.towards <= 1),
        }
        for name, (expected, is_valid) in rules.items():
            if not is_valid:
                raise ValueError(
                    f"The {name!r} of Agreement must be {expected}. Got {getattr(self, name)!r}."
                )


class Consistency(nn.Module):
    """A `Method` that trains a network and a head on labelled and unlabelled images at once.

    The loss is the cross-entropy of labelled images plus, for unlabelled ones, that
    between what the network says of a strong view (crop, mirror image,
    RandAugment) and what it had said of a weak one (crop, mirror image). All views
    of a step go through the network in one pass. Variants differ in which images
    count, how guesses are aligned, and what the target is; each hook names its
    paper (`handful.adapt.semisupervised.variants`).

    A step needs labelled and unlabelled images (`Recipe` with ``labelled_share``),
    and its images are `Marked`.

    Parameters
    ----------
    network : Network
        Its chain is trained in place.
    targets : ndarray of shape (n,), int
        Of the whole data set: classes from 0, -1 without a label.
    size : int
        Side of the views in pixels.
    how : Agreement, optional
    start : tuple of ndarrays, optional
        Weight and bias of the head, from `probe_head`; without it the head begins at 0.

    Raises
    ------
    ValueError
        If there is no image of one kind.

    Notes
    -----
    Deviations from the papers that all variants share: training begins with
    pretrained weights and a linear probe; AdamW; strong views have no Cutout; norms
    keep the statistics of pretraining, so that AdaMatch's random interpolation of
    logits with and without the unlabelled images in the batch has nothing to do.
    Mean Teacher compares all images, as its paper does; the others only those without a
    label. Trains on one device.
    """

    progress: Tensor
    seen: Tensor

    def __init__(
        self,
        network: Network,
        *,
        targets: Int,
        size: int,
        how: Agreement | None = None,
        start: tuple[Float32, Float32] | None = None,
    ) -> None:
        super().__init__()
        if not ((targets >= 0).any() and (targets < 0).any()):
            raise ValueError("Consistency training needs images with a label and images without.")
        self.how = how or Agreement()
        self.variant = VARIANTS[self.how.variant]
        self.chain = network.chain
        self._start = {key: value.clone() for key, value in self.chain.state_dict().items()}
        n_classes = int(targets.max()) + 1
        self.head = linear_head(network.dim, n_classes, start)
        self.n_unlabelled = int((targets < 0).sum())
        n_labels = len(targets) - self.n_unlabelled
        self.towards = self.how.towards or default_towards(n_labels, n_classes)
        sizes = Sizes(
            n_classes, len(targets), self.n_unlabelled, self.how.threshold, self.how.momentum
        )
        self.mask = self.variant.mask(sizes)
        self.align = self.variant.align(sizes) if self.variant.align else None
        if self.variant.teacher:
            self.teacher = nn.ModuleList(copy.deepcopy([self.chain, self.head]))
            self.teacher.requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("progress", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(len(targets), dtype=torch.uint8))
        self.weak = View(size, (self.how.scale, 1.0), self.how.flip)
        self.strong = replace(self.weak, randaugment=self.how.randaugment)

    def augment(self, image: tuple[Any, bool]) -> tuple[Tensor, ...]:
        """Return the views of a marked image that the variant looks at."""
        pixels, is_labelled = image
        if self.variant.teacher:
            return self.weak(pixels), self.weak(pixels)
        if self.variant.strong == "all" or (
            self.variant.strong == "unlabelled" and not is_labelled
        ):
            return self.weak(pixels), self.strong(pixels)
        return (self.weak(pixels),)

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss, its parts, and how many unlabelled images counted and were confident."""
        known = target >= 0
        if known.all() or not known.any():
            raise AdaptError(
                "A step of consistency training needs an image with a label and one without. "
                "Give a larger --batch-size."
            )
        p, weak, strong = self._answers(views, known)
        labelled = functional.cross_entropy(weak[known], target[known])
        if self.variant.strong == "all":
            labelled = (labelled + functional.cross_entropy(strong[known], target[known])) / 2
            strong = strong[~known]
        with torch.no_grad():
            self._remember(p[~known], index[~known])
        if self.variant.teacher:
            loss, weights = (weak.softmax(dim=1) - p).square().mean(), p.new_ones(len(p))
        else:
            loss, weights = self._consistency(p, strong, known, index)
        right = (weak[known].argmax(dim=1) == target[known]).float().mean()
        return {
            "loss": labelled + self.variant.weight(float(self.progress)) * loss,
            "train_accuracy": right,
            "labelled_loss": labelled,
            "unlabelled_loss": loss,
            "used": weights.mean(),
            "never_confident": (self.seen == _SEEN).sum().float(),
        }

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: no decay on norms, biases and the head."""
        return [*parameter_groups(self.chain, rate, weight_decay), head_group(self.head, rate)]

    def after_step(self, progress: float) -> None:
        """Keep the progress, and move the teacher towards the network."""
        self.progress.fill_(progress)
        self.steps += 1
        if self.variant.teacher:
            highest = _TEACHER_DECAYS[progress >= TEACHER_RAMP]
            decay = min(1 - 1 / (int(self.steps) + 1), highest)
            online = [*self.chain.parameters(), *self.head.parameters()]
            with torch.no_grad():
                torch._foreach_lerp_(list(self.teacher.parameters()), online, 1 - decay)

    def finish(self) -> None:
        """Average the weights with the start, as far as asked for."""
        if self.towards < 1:
            state = interpolate(self._start, self.chain.state_dict(), self.towards)
            self.chain.load_state_dict(state)

    def confidence_counts(self) -> dict[str, int]:
        """Return how many unlabelled images there are, were never seen, and never confident when seen."""
        return {
            "unlabelled": self.n_unlabelled,
            "never_seen": self.n_unlabelled - int((self.seen > _UNSEEN).sum()),
            "never_confident": int((self.seen == _SEEN).sum()),
        }

    def _answers(self, views: tuple[Tensor, ...], known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the guesses of all images, and the logits of weak views and of those to be taught."""
        if self.variant.teacher:
            weak = self._logits(self.chain, self.head, views[0])
            with torch.no_grad():
                p = self._logits(self.teacher[0], self.teacher[1], views[1]).softmax(dim=1)
            return p, weak, weak
        logits = self._logits(self.chain, self.head, torch.cat(views))
        weak, strong = logits[: len(known)], logits[len(known) :]
        if self.variant.strong == "none":
            strong = weak[~known]
        return weak.detach().softmax(dim=1), weak, strong

    def _logits(self, chain: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
        return head(normalised(chain(x))).float()

    def _consistency(
        self, p: Tensor, strong: Tensor, known: Tensor, index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the unlabelled images, and how much each counts."""
        guesses, labelled = p[~known], p[known]
        with torch.no_grad():
            aligned = self.align(guesses, labelled) if self.align else guesses
            weights = self.mask(aligned, labelled, index[~known])
            wanted = self.variant.target(guesses, aligned)
        each = functional.cross_entropy(strong, wanted, reduction="none")
        return (weights * each).mean() + self.mask.penalty(strong, weights), weights

    def _remember(self, p: Tensor, index: Tensor) -> None:
        """Keep which images were seen, and which were ever confident."""
        now = torch.where(p.amax(dim=1) >= CONFIDENT, _CONFIDENT, _SEEN).to(self.seen.dtype)
        self.seen[index] = torch.maximum(self.seen[index], now)
