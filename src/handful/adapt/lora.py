"""Low-rank updates of weights: few parameters train, and none remain after merging.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR
2022, https://arxiv.org/abs/2106.09685: ``W + alpha / rank * B A`` with ``B`` 0 at
the start; on GPT-3, 0.01 % of the parameters and the accuracy of full
fine-tuning. Deviations: the sum is formed in weight space (a parametrisation of
``weight``), so every kind of convolution keeps its own padding and merging is
exact; ``alpha`` defaults to the rank.

For a k x k convolution the same formula is a k x k convolution to ``rank``
channels followed by a 1 x 1: ``B A`` of shape [out, in * k * k].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.nn.utils import parametrize

Where = Callable[[str, nn.Module], bool]


class LowRank(nn.Module):
    """The parametrisation of one weight: its frozen value plus ``scale * up @ down``.

    Parameters
    ----------
    weight : Tensor of shape (out, ...)
        The weight that is adapted.
    rank : int
    scale : float
    """

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        n_out = len(weight)
        self.down = nn.Parameter(weight.new_empty(rank, weight[0].numel()))
        self.up = nn.Parameter(weight.new_zeros(n_out, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        """Return the updated weight, of the same shape."""
        return weight + self.scale * (self.up @ self.down).reshape(weight.shape)


def add_lora(
    chain: nn.Sequential, *, rank: int = 8, alpha: float | None = None, where: Where | None = None
) -> list[str]:
    """Give linear layers and dense convolutions a low-rank update, and freeze all else.

    Adapted are those whose update has fewer parameters than the weight. Grouped
    and depthwise convolutions are not: rows of different groups multiply
    different channels, so a factor that they share has no meaning, and a 3 x 3
    depthwise kernel has rank 9 at most.

    The network computes the same as before until it is trained. The factor
    ``down`` is random, from torch's global generator.

    Parameters
    ----------
    chain : torch.nn.Sequential
        Changed in place.
    rank : int, default=8
    alpha : float, optional
        The update's scale is ``alpha / rank``. Default: ``rank``.
    where : callable, optional
        Takes a layer's name and module and returns whether to adapt it, among
        those that can be.

    Returns
    -------
    list of str
        The names of the adapted layers.

    Raises
    ------
    ValueError
        If the rank is under 1, a layer has an update already, or no layer is adapted.
    """
    if rank < 1:
        raise ValueError(f"The 'rank' of LoRA must be at least 1. Got {rank!r} instead.")
    if next(_adapted(chain), None) is not None:
        raise ValueError("This chain has LoRA already. Call merge_lora first.")
    chain.requires_grad_(False)
    chosen = [
        (name, layer)
        for name, layer in chain.named_modules()
        if can_adapt(layer, rank) and (where is None or where(name, layer))
    ]
    if not chosen:
        raise ValueError(
            f"No layer can be adapted at rank {rank}: the update would be as large as the weight. "
            "Take a smaller rank."
        )
    for _, layer in chosen:
        update = LowRank(layer.weight, rank, (rank if alpha is None else alpha) / rank)
        parametrize.register_parametrization(layer, "weight", update)
    return [name for name, _ in chosen]


def can_adapt(layer: nn.Module, rank: int) -> bool:
    """Return whether a low-rank update of this layer makes sense (`add_lora`)."""
    if isinstance(layer, nn.Conv2d):
        if layer.groups > 1:
            return False
    elif not isinstance(layer, nn.Linear):
        return False
    weight: Tensor = layer.weight
    n_out, n_in = len(weight), weight[0].numel()
    return rank * (n_out + n_in) < n_out * n_in


def merge_lora(chain: nn.Sequential) -> nn.Sequential:
    """Put every update into its weight; the chain, returned, has its ordinary layers again.

    It computes the same (to rounding), and all its parameters can be trained.
    """
    for layer in list(_adapted(chain)):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        layer.weight.requires_grad_(True)
    if hasattr(chain, "selected"):  # by `select_trainable`: it named the updates
        del chain.selected
    return chain


def has_lora(chain: nn.Module) -> bool:
    """Return whether a layer has a low-rank update."""
    return next(_adapted(chain), None) is not None


def n_lora_parameters(chain: nn.Module) -> int:
    """Return the number of parameters in low-rank updates."""
    return sum(
        parameter.numel()
        for part in chain.modules()
        if isinstance(part, LowRank)
        for parameter in part.parameters()
    )


def _adapted(chain: nn.Module) -> Iterator[nn.Module]:
    for layer in chain.modules():
        if parametrize.is_parametrized(layer, "weight") and isinstance(
            layer.parametrizations["weight"][0], LowRank
        ):
            yield layer
