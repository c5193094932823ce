"""How much each unlabelled image counts: the first of the three hooks in which consistency methods differ.

A mask is called once a step with the class probabilities of the weak views,
which may have been aligned, and returns a weight in [0, 1] for each unlabelled
image. What it learns on the way lies in buffers, so that a run that was stopped
goes on with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_TINY = 1e-12


class Mask(nn.Module):
    """What all masks are: a weight an image, and perhaps a term of the loss."""

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Return the weights.

        Parameters
        ----------
        p : Tensor of shape (n, n_classes)
            Probabilities of the unlabelled images' weak views; rows sum to 1.
        labelled : Tensor of shape (m, n_classes)
            Those of the labelled images' weak views.
        index : Tensor of shape (n,), int64
            Which image each row of ``p`` is, in the data set.

        Returns
        -------
        Tensor of shape (n,)
            In [0, 1].
        """
        raise NotImplementedError

    def penalty(self, strong: Tensor, weights: Tensor) -> Tensor:
        """Return what is added to the loss, for logits [n, n_classes] of the strong views."""
        return strong.new_zeros(())


class Everyone(Mask):
    """Every image counts, sure or not (Pseudo-Label [1]_, Mean Teacher [2]_).

    References
    ----------
    .. [1] Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method
       for Deep Neural Networks", ICML 2013 workshop. No arXiv.
    .. [2] Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017,
       https://arxiv.org/abs/1703.01780
    """

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Return ones."""
        return p.new_ones(len(p))


class Threshold(Mask):
    """An image counts when ``max(p) >= threshold`` (FixMatch [1]_).

    Parameters
    ----------
    threshold : float
        In (0, 1); 0.95 in the paper.

    References
    ----------
    .. [1] Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency
       and Confidence", NeurIPS 2020, https://arxiv.org/abs/2001.07685
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Return 1 for sure images, 0 for others."""
        return (p.amax(dim=1) >= self.threshold).to(p.dtype)


class Curriculum(Mask):
    """A threshold for each class, low while the class is learnt badly (FlexMatch [1]_).

    How well class ``c`` is learnt is told by ``sigma(c)``, how many images were last
    found to be of it with ``max(p) > threshold``; it becomes
    ``beta(c) = sigma(c) / max(max sigma, N - sum sigma)`` (with the paper's warm-up)
    and the threshold ``beta / (2 - beta) * threshold`` (its convex mapping). An image
    counts when ``max(p)`` is above that of its class, as the images before this
    step have set it.

    Parameters
    ----------
    threshold : float
        In (0, 1); 0.95 in the paper.
    n_classes : int
    n_images : int
        Of the data set, labelled ones included.
    n_unlabelled : int
        ``N``, at least 1.

    References
    ----------
    .. [1] Zhang et al., "FlexMatch: Boosting Semi-Supervised Learning with Curriculum
       Pseudo Labeling", NeurIPS 2021, https://arxiv.org/abs/2110.08263
    """

    status: Tensor

    def __init__(
        self, threshold: float, *, n_classes: int, n_images: int, n_unlabelled: int
    ) -> None:
        super().__init__()
        self.threshold, self.n_classes, self.n_unlabelled = threshold, n_classes, n_unlabelled
        self.register_buffer("status", torch.full((n_images,), -1))  # last sure class, -1 for none

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Return 1 for images above the threshold of their class, 0 for others."""
        confidence, found = p.max(dim=1)
        weights = (confidence > self.thresholds()[found]).to(p.dtype)
        sure = confidence > self.threshold
        self.status[index[sure]] = found[sure]
        return weights

    def thresholds(self) -> Tensor:
        """Return the threshold of each class, of shape (n_classes,)."""
        counts = torch.bincount(self.status[self.status >= 0], minlength=self.n_classes).float()
        beta = counts / torch.maximum(counts.max(), self.n_unlabelled - counts.sum())
        return beta / (2 - beta) * self.threshold


class SelfAdaptive(Mask):
    """Thresholds that follow the network's own confidence, and a push for all classes (FreeMatch [1]_).

    ``tau`` is a moving average of ``max(p)`` over the unlabelled images, ``mean``
    one of ``p`` and ``share`` one of how often each class is the likeliest,
    all beginning at ``1 / n_classes``. The threshold of class ``c`` is
    ``mean(c) / max(mean) * tau``.

    Parameters
    ----------
    n_classes : int
    momentum : float
        Of the moving averages, in [0, 1); 0.999 in the paper.
    fairness : float, default=0.01
        Weight of the fairness term.

    References
    ----------
    .. [1] Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised
       Learning", ICLR 2023, https://arxiv.org/abs/2205.07246
    """

    tau: Tensor
    mean: Tensor
    share: Tensor

    def __init__(self, n_classes: int, momentum: float, *, fairness: float = 0.01) -> None:
        super().__init__()
        self.momentum, self.fairness = momentum, fairness
        self.register_buffer("tau", torch.tensor(1 / n_classes))
        self.register_buffer("mean", torch.full((n_classes,), 1 / n_classes))
        self.register_buffer("share", torch.full((n_classes,), 1 / n_classes))

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Follow the images of this step, then return 1 for those above the threshold of their class."""
        confidence, found = p.max(dim=1)
        rate = 1 - self.momentum
        self.tau.lerp_(confidence.mean(), rate)
        self.mean.lerp_(p.mean(dim=0), rate)
        self.share.lerp_(_histogram(found, p.new_ones(len(p)), p.shape[1]), rate)
        thresholds = self.mean / self.mean.max() * self.tau
        return (confidence > thresholds[found]).to(p.dtype)

    def penalty(self, strong: Tensor, weights: Tensor) -> Tensor:
        """Return the fairness term: minus the cross-entropy of two class distributions.

        They are ``mean / share`` and, of the strong views of images that count,
        the mean probabilities divided by how often each class is the likeliest,
        both summing to 1. A class that is nowhere the likeliest is left out, as
        in the authors' code; without any image the term is 0.
        """
        if not weights.any():
            return strong.new_zeros(())
        q = strong.softmax(dim=1)
        mean = (weights[:, None] * q).sum(dim=0) / weights.sum()
        share = _histogram(q.argmax(dim=1), weights, q.shape[1])
        wanted, found = _sum_normalised(self.mean, self.share), _sum_normalised(mean, share)
        return self.fairness * (wanted * (found + _TINY).log()).sum()


class TruncatedGaussian(Mask):
    """An image counts fully above the mean confidence and less and less below it (SoftMatch [1]_).

    The weight is ``exp(-(max(p) - mu)^2 / (2 sigma^2))`` where ``max(p) < mu``, else 1,
    with moving averages ``mu`` and ``sigma^2`` of the mean and the unbiased variance of
    ``max(p)`` over a step's unlabelled images, which begin at ``1 / n_classes`` and 1.

    Parameters
    ----------
    n_classes : int
    momentum : float
        Of the moving averages, in [0, 1); 0.999 in the paper.

    References
    ----------
    .. [1] Chen et al., "SoftMatch: Addressing the Quantity-Quality Trade-off in
       Semi-supervised Learning", ICLR 2023, https://arxiv.org/abs/2301.10921.
       Their code divides ``sigma`` by 2; the formula here is that of the paper.
    """

    mu: Tensor
    variance: Tensor

    def __init__(self, n_classes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mu", torch.tensor(1 / n_classes))
        self.register_buffer("variance", torch.ones(()))

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Follow the images of this step, then return their weights."""
        confidence = p.amax(dim=1)
        self.mu.lerp_(confidence.mean(), 1 - self.momentum)
        if len(p) > 1:
            self.variance.lerp_(confidence.var(), 1 - self.momentum)
        below = (confidence - self.mu).clamp(max=0)
        return (-below.square() / (2 * self.variance).clamp(min=_TINY)).exp()


class RelativeThreshold(Mask):
    """An image counts when it is nearly as sure as labelled ones are on average (AdaMatch [1]_).

    The threshold is ``share`` times the mean of ``max(p)`` over the labelled
    images of the step.

    Parameters
    ----------
    share : float
        In (0, 1]; 0.9 in the paper.

    References
    ----------
    .. [1] Berthelot et al., "AdaMatch: A Unified Approach to Semi-Supervised Learning
       and Domain Adaptation", ICLR 2022, https://arxiv.org/abs/2106.04732
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, p: Tensor, labelled: Tensor, index: Tensor) -> Tensor:
        """Return 1 for images that are sure enough, 0 for others."""
        threshold = self.share * labelled.amax(dim=1).mean()
        return (p.amax(dim=1) >= threshold).to(p.dtype)


def _histogram(classes: Tensor, weights: Tensor, n_classes: int) -> Tensor:
    """Return the share of each class among weighted images."""
    counts = functional.one_hot(classes, n_classes).to(weights.dtype).T @ weights
    return counts / counts.sum()


def _sum_normalised(mean: Tensor, share: Tensor) -> Tensor:
    """Return ``mean / share`` so that it sums to 1, without the classes whose share is 0."""
    ratio = torch.where(share > 0, mean / share.clamp(min=_TINY), 0.0)
    return ratio / ratio.sum()
