"""Which weights of a chain move, how fast, and how far they end from where they began."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase as RunningNorm

from handful.adapt.lora import LowRank, add_lora, has_lora
from handful.adapt.network import Network
from handful.core import listed

HOW = "'all', 'last:K', 'norm_and_bias', 'lora', 'lora:RANK' or 'head'"
_PATTERN = re.compile(r"all|head|norm_and_bias|last:(\d+)|lora(?::(\d+))?")
_UNDECAYED = ("cls_token", "reg_token", "pos_embed")
_RANK = 8  # of LoRA
_ALL_UNFROZEN = 0.5  # progress at which gradual unfreezing has reached the input


def select_trainable(chain: nn.Sequential, how: str) -> None:
    """Freeze all parameters but the chosen ones.

    Parameters
    ----------
    chain : torch.nn.Sequential
        Changed in place.
    how : str
        ``"all"``; ``"last:K"``, the last K blocks and what weights the pool has;
        ``"norm_and_bias"``, as BitFit [1]_ and its counterpart for BatchNorm
        [2]_; ``"lora"`` or ``"lora:RANK"`` (`add_lora`); ``"head"``, none.

    Raises
    ------
    ValueError
        If ``how`` is none of these, or K is over the number of blocks.

    References
    ----------
    .. [1] Ben Zaken et al., "BitFit", ACL 2022, https://arxiv.org/abs/2106.10199
    .. [2] Frankle et al., "Training BatchNorm and Only BatchNorm", ICLR 2021,
       https://arxiv.org/abs/2003.00152
    """
    match = _PATTERN.fullmatch(how)
    if match is None:
        raise ValueError(f"What trains must be {HOW}. Got {how!r} instead.")
    number = match[1] or match[2]
    chosen = set(_chosen(chain, how, _RANK if number is None else int(number)))
    for parameter in chain.parameters():
        parameter.requires_grad_(parameter in chosen)
    names = (name for name, parameter in chain.named_parameters() if parameter in chosen)
    chain.selected = frozenset(names)  # what gradual unfreezing may unfreeze


def train_mode(chain: nn.Sequential, mode: bool = True, *, frozen_norms: bool = True) -> None:
    """Set the mode of a chain as its frozen weights demand.

    Blocks in which nothing trains compute as in evaluation (no dropped paths,
    no moving statistics), so that they can be computed once. Elsewhere a norm
    with running statistics follows the batch only when ``frozen_norms`` is
    false and its own weights train.

    Parameters
    ----------
    chain : torch.nn.Sequential
    mode : bool, default=True
        Of training.
    frozen_norms : bool, default=True
        Keep the running statistics of every norm, whether or not its weights train.
    """
    for block in chain:
        block.train(mode and _trains(block))
        for part in block.modules():
            if isinstance(part, RunningNorm) and (frozen_norms or not _trains(part)):
                part.eval()


def freeze_norms(method: nn.Module) -> None:
    """Put the norms with running statistics of a method's chain into evaluation mode.

    And those of a teacher's copy of it, ``teacher[0]``; heads follow the batch.
    """
    copies = [method.teacher[0]] if hasattr(method, "teacher") else []
    for chain in (method.chain, *copies):
        for part in chain.modules():
            if isinstance(part, RunningNorm):
                part.eval()


def frozen_prefix(chain: nn.Sequential) -> int:
    """Return how many blocks from the input on have nothing that trains."""
    for number, block in enumerate(chain):
        if _trains(block):
            return number
    return len(chain)


def first_unfrozen(n_blocks: int, progress: float) -> int:
    """Return the first block that trains at a progress, in gradual unfreezing.

    The last block trains from the start, and one more each time, until all do
    at half of the run (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146,
    unfreeze one layer an epoch).

    Parameters
    ----------
    n_blocks : int
        At least 1.
    progress : float
        Of the run, in [0, 1].

    Examples
    --------
    >>> [first_unfrozen(5, progress) for progress in (0, 0.1, 0.25, 0.49, 0.5, 1)]
    [4, 3, 2, 0, 0, 0]
    """
    return max(n_blocks - 1 - int(n_blocks * progress / _ALL_UNFROZEN), 0)


def unfrozen_at(chain: nn.Sequential, progress: float) -> None:
    """Freeze and unfreeze blocks as gradual unfreezing has them at a progress.

    Only parameters that `select_trainable` chose are ever unfrozen. It depends
    on the progress alone, so a run that goes on begins as it would have gone on.
    """
    first = first_unfrozen(len(chain) - 1, progress)
    selected = dict(_selected(chain))
    for name, parameter in chain.named_parameters():
        number = int(name.partition(".")[0])
        parameter.requires_grad_(number >= first and name in selected)


def layer_rates(network: Network, decay: float) -> dict[str, float]:
    """Return the factor of the learning rate of each parameter, ``decay`` from layer to layer.

    The last layer has 1. Layers are those of timm's ``group_matcher`` where the
    model has one. Usual for transformers: 0.65 to 0.75 (He et al. 2021,
    https://arxiv.org/abs/2111.06377, appendix A.1: 0.75).
    """
    layers = network.layer_ids()
    last = max(layers.values(), default=0)
    return {name: decay ** (last - layer) for name, layer in layers.items()}


def parameter_groups(
    chain: nn.Sequential,
    rate: float,
    weight_decay: float,
    rates: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Return an optimizer's groups: the chosen parameters by their rate and decay.

    Norms, biases, other vectors (LayerScale) and the tokens and positions of a
    transformer do not decay.

    Parameters
    ----------
    chain : torch.nn.Sequential
    rate, weight_decay : float
    rates : mapping of str to float, optional
        Factor of the rate of each parameter (`layer_rates`). Default: 1.

    Returns
    -------
    list of dict
        ``params``, ``lr`` and ``weight_decay``; from the input to the output.
    """
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in _selected(chain):
        factor = 1.0 if rates is None else rates[name]
        key = (rate * factor, weight_decay if _decays(name, parameter) else 0.0)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr": group_rate, "weight_decay": decay}
        for (group_rate, decay), parameters in groups.items()
    ]


def interpolate(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor], weight: float
) -> dict[str, Tensor]:
    """Return a state between the pretrained and the trained one (WiSE-FT [1]_).

    Running means and variances of BatchNorm are averaged like weights. That is
    right where they did not move (frozen norms, the default); after training
    with moving statistics it is an approximation, and
    `torch.optim.swa_utils.update_bn` finds them anew. Counters are the end's.

    Parameters
    ----------
    start, end : mapping of str to Tensor
        State dicts of one architecture, LoRA merged.
    weight : float
        Of the end, in [0, 1]; 0 and 1 give the states themselves.

    Raises
    ------
    ValueError
        If the weight is out of range, or the states hold other tensors.

    References
    ----------
    .. [1] Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022,
       https://arxiv.org/abs/2109.01903
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"The 'weight' of an average must be in [0, 1]. Got {weight!r} instead.")
    if start.keys() != end.keys():
        raise ValueError(
            f"The states are of two architectures: {listed(sorted(start.keys() ^ end.keys()))}. "
            "Merge LoRA before averaging."
        )
    return {name: _between(start[name], value, weight) for name, value in end.items()}


def _between(start: Tensor, end: Tensor, weight: float) -> Tensor:
    if not end.is_floating_point():
        return end.clone()
    return torch.lerp(start.to(end), end, weight) if weight < 1 else end.clone()


def _chosen(chain: nn.Sequential, how: str, number: int) -> Iterator[Tensor]:
    if how == "all":
        yield from chain.parameters()
    elif how == "norm_and_bias":
        yield from _norms_and_biases(chain)
    elif how.startswith("last"):
        if not 1 <= number < len(chain):
            raise ValueError(
                f"'last:K' needs a K from 1 to {len(chain) - 1}, the number of blocks. Got {how!r} instead."
            )
        yield from chain[-1 - number :].parameters()
    elif how.startswith("lora"):
        if not has_lora(chain):
            add_lora(chain, rank=number)
        for part in chain.modules():
            if isinstance(part, LowRank):
                yield from part.parameters()


def _norms_and_biases(chain: nn.Sequential) -> Iterator[Tensor]:
    for part in chain.modules():
        is_norm = isinstance(part, RunningNorm) or "norm" in type(part).__name__.lower()
        for name, parameter in part.named_parameters(recurse=False):
            if name == "bias" or is_norm:
                yield parameter


def _selected(chain: nn.Sequential) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters that were chosen to train, be they frozen for now or not."""
    names = getattr(chain, "selected", None)
    for name, parameter in chain.named_parameters():
        if parameter.requires_grad if names is None else name in names:
            yield name, parameter


def _trains(part: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in part.parameters())


def _decays(name: str, parameter: Tensor) -> bool:
    last = name.rpartition(".")[2]
    return parameter.ndim > 1 and last != "bias" and last not in _UNDECAYED
