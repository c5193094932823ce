"""What class shares the guesses should have: the second of the hooks in which consistency methods differ."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_TINY = 1e-12


class Alignment(nn.Module):
    """Scale guesses so that the classes come as often as they should (distribution alignment).

    ``p * target / mean``, each row divided by its sum. ``mean`` is a moving average of
    ``p`` over the unlabelled images. The ``target`` is uniform in SoftMatch [1]_ and a
    moving average over the labelled images in AdaMatch [2]_. Both averages begin as
    ``1 / n_classes``; each step's images are taken in first.

    Parameters
    ----------
    n_classes : int
    momentum : float
        Of the moving averages, in [0, 1).
    uniform : bool
        The target stays uniform.

    References
    ----------
    .. [1] Chen et al., "SoftMatch", ICLR 2023, https://arxiv.org/abs/2301.10921
    .. [2] Berthelot et al., "AdaMatch", ICLR 2022, https://arxiv.org/abs/2106.04732.
       Deviation: the authors' code averages the unlabelled images over the last 128
       steps, not exponentially.
    """

    target: Tensor
    mean: Tensor

    def __init__(self, n_classes: int, momentum: float, *, uniform: bool) -> None:
        super().__init__()
        self.momentum, self.uniform = momentum, uniform
        self.register_buffer("target", torch.full((n_classes,), 1 / n_classes))
        self.register_buffer("mean", torch.full((n_classes,), 1 / n_classes))

    def forward(self, p: Tensor, labelled: Tensor) -> Tensor:
        """Return aligned probabilities.

        Parameters
        ----------
        p : Tensor of shape (n, n_classes)
            Of the unlabelled images; rows sum to 1.
        labelled : Tensor of shape (m, n_classes)
            Of the labelled images.

        Returns
        -------
        Tensor of shape (n, n_classes)
            Rows sum to 1.
        """
        self.mean.lerp_(p.mean(dim=0), 1 - self.momentum)
        if not self.uniform:
            self.target.lerp_(labelled.mean(dim=0), 1 - self.momentum)
        aligned = p * self.target / self.mean.clamp(min=_TINY)
        return aligned / aligned.sum(dim=1, keepdim=True)
