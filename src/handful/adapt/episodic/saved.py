"""A trained method as a whole, with what its exported backbone lacks: heads, relation modules, initialisations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from handful.adapt.episodic.episodes import Shape
from handful.adapt.episodic.episodic import Episodic
from handful.adapt.episodic.maml import Maml
from handful.adapt.episodic.matching import Matching
from handful.adapt.episodic.prototypical import Prototypical
from handful.adapt.episodic.relation import Relation
from handful.adapt.episodic.reptile import Reptile
from handful.adapt.network import Network, load_network
from handful.core import AdaptError, did_you_mean, write_atomically

_FILE = "method.safetensors"
_KEY = "handful.episodic"
METHODS: Mapping[str, Any] = {
    "prototypical": Prototypical,
    "matching": Matching,
    "relation": Relation,
    "maml": Maml,
    "reptile": Reptile,
}
"""The methods by their names on the command line."""


def new_method(
    name: str, network: Network, shape: Shape, options: Mapping[str, Any], *, random_state: int = 0
) -> Episodic:
    """Return a method on a network, which is trained in place.

    Parameters
    ----------
    name : str
        A key of `METHODS`.
    network : Network
    shape : Shape
        Of the tasks to train on.
    options : mapping
        Arguments of the method.
    random_state : int, default=0
        Seed of weights that are new.

    Raises
    ------
    TypeError, ValueError
        If an option is unknown or out of range, or does not go with the network.
    """
    if name not in METHODS:
        raise ValueError(
            f"No method {name!r}{did_you_mean(name, METHODS)}. Expected {', '.join(METHODS)}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        method: Episodic = METHODS[name](network, shape, **options)
        return method


def save_method(name: str, method: Episodic, options: Mapping[str, Any], folder: Path) -> None:
    """Write a method beside the ``network.safetensors`` of its run."""
    record = {"method": name, "shape": asdict(method.shape), "options": dict(options)}
    state = {key: value.cpu().contiguous() for key, value in method.state_dict().items()}
    content = safetensors.torch.save(state, {_KEY: json.dumps(record)})
    write_atomically(folder / _FILE, content)


def load_method(folder: Path) -> tuple[Episodic, Network]:
    """Return the method of a finished run, in evaluation mode, and its network, which shares the weights.

    Raises
    ------
    AdaptError
        If the folder holds no such run, or it is damaged.
    BackboneError
        If its network cannot be loaded.
    """
    path = folder / _FILE
    try:
        with safetensors.safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})[_KEY])
        state = safetensors.torch.load_file(path)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise AdaptError(
            f"{str(folder)!r} holds no method that was trained on tasks ({error}). Give the folder of a finished run "
            "of `handful adapt prototypical` or its like."
        ) from error
    network = load_network(str(folder))
    method = new_method(record["method"], network, Shape(**record["shape"]), record["options"])
    method.load_state_dict(state)
    return method.eval(), network
