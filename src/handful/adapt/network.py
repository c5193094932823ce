"""The network that is adapted: a chain of blocks with all that is known of it, saved, loaded, exported."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from handful.adapt.chain import as_chain, evaluation, layers_of
from handful.adapt.episodic.conv4 import CONV4, conv4, conv4_preprocess
from handful.adapt.lora import merge_lora
from handful.backbones import DEFAULT, OnnxBackbone, from_torch, load_module, resize_input
from handful.core import BackboneError, write_atomically
from handful.images import Preprocess

__all__ = ["Network", "as_chain", "export_network", "load_network", "load_weights", "save_network"]

FILE = "network.safetensors"
_KEY = "handful.network"  # where the record stands in the file's metadata
_CUT = re.compile(r"(.+)#(\d+)")  # the first blocks of another network
Three = tuple[float, float, float]


@dataclass
class Network:
    """A chain of blocks and its record.

    Parameters
    ----------
    chain : torch.nn.Sequential
        Blocks, input first: float32 [n, 3, s, s], normalised, to float32
        [n, dim]. ``chain[0]`` is the stem and ``chain[-1]`` pools (`as_chain`).
    preprocess : Preprocess
        How an image becomes pixels.
    mean, std : tuple of 3 floats
        The normalisation, in units where white is 1.
    name, licence, pretrained_on, saw_labels_of
        As in `BackboneSpec`.
    source : str
        What rebuilds the architecture: a name that `load_network` takes.
        Empty for a module of the user's own.
    layers : tuple of int
        The layer number of each block, 0 nearest the input. Default: the
        block's place.
    """

    chain: nn.Sequential
    preprocess: Preprocess
    mean: Three
    std: Three
    name: str
    licence: str = "unknown"
    pretrained_on: str = "unknown"
    saw_labels_of: frozenset[str] = frozenset()
    source: str = ""
    layers: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self.layers = self.layers or tuple(range(len(self.chain)))

    @property
    def n_blocks(self) -> int:
        """Number of blocks before the pool."""
        return len(self.chain) - 1

    @property
    def dim(self) -> int:
        """Length of a vector, found by one forward pass."""
        like = next(self.chain.parameters())
        side = self.preprocess.size
        with evaluation(self.chain), torch.no_grad():
            return int(self.chain(like.new_zeros(1, 3, side, side)).shape[1])

    def takes(self, size: int) -> bool:
        """Return whether images of ``size`` pixels a side go through."""
        like = next(self.chain.parameters())
        with evaluation(self.chain), torch.no_grad():
            try:
                self.chain(like.new_zeros(1, 3, size, size))
            except (AssertionError, RuntimeError, ValueError):
                return False
        return True

    def layer_ids(self) -> dict[str, int]:
        """Return the layer number of each parameter of the chain, 0 nearest the input."""
        return {
            name: self.layers[int(name.partition(".")[0])]
            for name, _ in self.chain.named_parameters()
        }

    def record(self) -> dict[str, Any]:
        """Return everything but the weights as JSON values."""
        return {
            "name": self.name, "licence": self.licence, "pretrained_on": self.pretrained_on, "source": self.source,
            "preprocess": self.preprocess.to_dict(), "mean": list(self.mean), "std": list(self.std),
            "saw_labels_of": sorted(self.saw_labels_of),
        }  # fmt: skip


def load_network(
    name: str = DEFAULT,
    *,
    weights: Path | None = None,
    download: bool = False,
    scratch: bool = False,
    preprocess: dict[str, Any] | None = None,
    random_state: int = 0,
) -> Network:
    """Return a network by its name, ready to be trained.

    Its weights lie channels last in memory, which is faster for convolutions.

    Parameters
    ----------
    name : str, default="efficientnet_lite0"
        The packaged one, ``"timm:NAME"``, the ``network.safetensors`` of a
        run (the file or its folder), or one of `conv4`'s, which has random weights.
        ``NAME#K`` is the first K blocks of any of them (`first_blocks`).
    weights : Path, optional
        Weights for a timm model.
    download : bool, default=False
        Whether missing timm weights may be fetched.
    scratch : bool, default=False
        Random weights: the architecture alone.
    preprocess : dict, optional
        Fields of `Preprocess` that replace the weights' own, such as ``size``.
    random_state : int, default=0
        Seed of random weights.

    Raises
    ------
    BackboneError
        If the name or its family is unknown, or the weights are missing,
        damaged or another model's.
    """
    cut = _CUT.fullmatch(name)
    if cut is not None:
        whole = load_network(
            cut[1], weights=weights, download=download, scratch=scratch, preprocess=preprocess,
            random_state=random_state,
        )  # fmt: skip
        return first_blocks(whole, int(cut[2]))
    saved = _saved_file(name)
    if saved is not None:
        if weights is not None:
            raise BackboneError(f"Weights go with a timm model. Got the run {name!r}.")
        return _saved(saved, scratch=scratch, preprocess=preprocess, random_state=random_state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        if name in CONV4 and weights is None:
            half = (0.5, 0.5, 0.5)
            return Network(
                conv4(name), conv4_preprocess(preprocess), half, half, name, "none: random weights",
                "nothing", source=name,
            )  # fmt: skip
        found = load_module(
            name, weights=weights, download=download, scratch=scratch, preprocess=preprocess
        )
    chain = as_chain(found.module, size=found.preprocess.size)
    layers = layers_of(found.module, chain)
    chain = chain.to(memory_format=torch.channels_last)
    return Network(
        chain, found.preprocess, found.mean, found.std, name, found.licence, found.pretrained_on,
        source=name, layers=layers,
    )  # fmt: skip


def first_blocks(network: Network, n: int) -> Network:
    """Return a smaller network that shares the first blocks of another, the stem among them, and pools.

    Parameters
    ----------
    network : Network
    n : int
        How many blocks, in ``[1, n_blocks]``.

    Raises
    ------
    BackboneError
        If there are fewer.

    Examples
    --------
    >>> first_blocks(load_network(), 12).dim
    112
    """
    if not 1 <= n <= network.n_blocks:
        raise BackboneError(
            f"{network.name!r} has {network.n_blocks} blocks, the stem among them. Take 1 to {network.n_blocks} "
            f"of them, not {n}."
        )
    blocks, pool = list(network.chain[:n]), network.chain[-1]
    side = network.preprocess.size
    with evaluation(network.chain), torch.no_grad():
        like = next(network.chain.parameters()).new_zeros(1, 3, side, side)
        is_map = nn.Sequential(*blocks)(like).ndim == 4
    if is_map and n < network.n_blocks:  # a head after the pool may want other channels
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return replace(
        network, chain=nn.Sequential(*blocks, pool), name=f"{network.name}#{n}",
        source=network.source and f"{network.source}#{n}", layers=(*network.layers[:n], network.layers[n - 1]),
    )  # fmt: skip


def export_network(network: Network) -> OnnxBackbone:
    """Return the network as an ordinary backbone; its own mode, LoRA and weights stay as they are.

    Raises
    ------
    BackboneError
        If the chain cannot be exported, or ONNX gives other vectors.
    """
    backbone = from_torch(
        _plain(network).eval(), network.preprocess, mean=network.mean, std=network.std,
        name=network.name, licence=network.licence, pretrained_on=network.pretrained_on,
    )  # fmt: skip
    backbone.spec = replace(backbone.spec, saw_labels_of=network.saw_labels_of)
    return backbone


def save_network(network: Network, path: Path) -> None:
    """Write weights and record to a safetensors file, whole or not at all.

    Parameters
    ----------
    network : Network
        LoRA is merged in the file, not in the network.
    path : Path
        A run's is called ``network.safetensors``.
    """
    state = {name: value.contiguous() for name, value in _plain(network).state_dict().items()}
    metadata = {_KEY: json.dumps(network.record())}
    write_atomically(path, safetensors.torch.save(state, metadata))


def load_weights(network: Network, path: Path) -> None:
    """Load the weights that `save_network` wrote into a network of the same architecture.

    Raises
    ------
    BackboneError
        If the file is not readable, or a tensor is missing, unknown or of another shape.
    """
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise BackboneError(f"{str(path)!r} is not a readable weights file: {error}") from error
    try:
        network.chain.load_state_dict(state)
    except RuntimeError as error:
        raise BackboneError(
            f"The weights in {str(path)!r} are not those of {network.name!r}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error


def _plain(network: Network) -> nn.Sequential:
    """Return a copy of the chain on the CPU, LoRA merged."""
    return merge_lora(copy.deepcopy(network.chain).cpu())


def _saved_file(name: str) -> Path | None:
    path = Path(name)
    if path.suffix == ".safetensors":
        return path
    return path / FILE if (path / FILE).is_file() else None


def _saved(
    path: Path, *, scratch: bool, preprocess: dict[str, Any] | None, random_state: int
) -> Network:
    record = _record(path)
    if not record["source"]:
        raise BackboneError(
            f"{str(path)!r} holds a module of your own, which only you can build. Build its "
            "Network, then call load_weights(network, path)."
        )
    network = load_network(
        record["source"], scratch=True, preprocess=record["preprocess"], random_state=random_state
    )
    if not scratch:
        load_weights(network, path)
        kept = {key: record[key] for key in ("name", "licence", "pretrained_on")}
        network = replace(network, **kept, saw_labels_of=frozenset(record["saw_labels_of"]))
    network.mean, network.std = tuple(record["mean"]), tuple(record["std"])
    try:
        network.preprocess = Preprocess.from_dict({**record["preprocess"], **(preprocess or {})})
    except ValueError as error:
        raise BackboneError(str(error)) from error
    resize_input(network.chain[0], network.preprocess.size)
    return network


def _record(path: Path) -> Mapping[str, Any]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            return dict(json.loads((file.metadata() or {})[_KEY]))
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise BackboneError(
            f"{str(path)!r} is not a network that handful saved: {error}. Give the {FILE} of a run."
        ) from error
