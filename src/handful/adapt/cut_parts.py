"""The parts of the cut report: its settings, its tasks, what a cell trains and from what it starts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase as RunningNorm

from handful.adapt.network import Network, load_network
from handful.adapt.trainable import parameter_groups, train_mode
from handful.core import AdaptError, Int, stream

_KEPT_RATE = 0.3  # of kept blocks that train on, in units of the new ones'
_MOMENTUM = 0.1  # of running statistics: tf_ models have 0.01, too slow for few steps


@dataclass(frozen=True)
class CutSettings:
    """How much of the grid is measured, and how.

    Parameters
    ----------
    cuts : tuple of int, default=()
        Numbers of blocks to keep, in ``[1, n_blocks]``. Default: five, evenly.
    splits : int, default=1
        Random halves of the classes and draws of images; each half is a task.
        More of them average out the luck of a draw, and leave each cell fewer steps.
    n_train, n_test : int, default=40
        Images a class to train on and to measure on, at most.
    batch_size : int, default=32
    rate : float, default=1e-3
        Of blocks that are trained anew.
    seconds : float, default=600.0
        Budget of the whole report, shared out evenly in training steps.
    random_state : int, default=0
    """

    cuts: tuple[int, ...] = ()
    splits: int = 1
    n_train: int = 40
    n_test: int = 40
    batch_size: int = 32
    rate: float = 1e-3
    seconds: float = 600.0
    random_state: int = 0


@dataclass(frozen=True)
class Task:
    """One half of the classes in one draw: rows and their classes from 0."""

    train: Int
    y_train: Int
    test: Int
    y_test: Int

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.y_train.max()) + 1


def make_tasks(targets: Int, settings: CutSettings) -> list[Task]:
    """Return the halves of every split; a class with one image is left out.

    Raises
    ------
    AdaptError
        If fewer than two classes remain.
    """
    classes, counts = np.unique(targets[targets >= 0], return_counts=True)
    classes = classes[counts >= 2]
    if len(classes) < 2:
        raise AdaptError(
            "Where to cut needs two classes with two images each: one to train on, one to measure. "
            f"Got {len(classes)}. Label more images."
        )
    tasks = []
    for split in range(settings.splits):
        random = stream(settings.random_state, f"cut split {split}")
        shuffled = random.permutation(classes)
        halves = np.array_split(shuffled, 2) if len(classes) >= 4 else [shuffled]
        tasks += [_task(targets, np.sort(half), settings, random) for half in halves]
    return tasks


def even_cuts(n_blocks: int, n_cuts: int = 5) -> tuple[int, ...]:
    """Return numbers of blocks to keep, from 1 to all of them, evenly.

    Examples
    --------
    >>> even_cuts(18), even_cuts(4)
    ((1, 5, 10, 14, 18), (1, 2, 3, 4))
    """
    return tuple(int(cut) for cut in np.unique(np.linspace(1, n_blocks, n_cuts).round()))


class CutTraining(nn.Module):
    """A `Method`: cross-entropy of a linear head on a chain whose first blocks were transferred.

    Parameters
    ----------
    chain : torch.nn.Sequential
        What is computed in training; its blocks have their names in the whole network.
    dim, n_classes : int
    kept : int
        Number of transferred blocks: those in ``chain`` train at 0.3 of the rate.
    """

    def __init__(self, chain: nn.Sequential, *, dim: int, n_classes: int, kept: int) -> None:
        super().__init__()
        self.chain, self.kept = chain, kept
        self.head = nn.Linear(dim, n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def augment(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the image or its mirror image; a pair of activations holds both."""
        mirrored = bool(torch.rand(()) < 0.5)
        if image.dtype == torch.uint8:
            return (image.flip(-1) if mirrored else image,)
        return (image[int(mirrored)],)

    def train(self, mode: bool = True) -> CutTraining:
        """Set the mode; running statistics follow the batch where the block trains."""
        super().train(mode)
        train_mode(self.chain, mode, frozen_norms=False)
        return self

    def forward(
        self, views: tuple[Tensor, ...], target: Tensor, index: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss."""
        return {
            "loss": nn.functional.cross_entropy(self.head(self.chain(views[0])).float(), target)
        }

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Return the groups: kept blocks are slower."""
        rates = {
            name: _KEPT_RATE if int(name.partition(".")[0]) < self.kept else 1.0
            for name, _ in self.chain.named_parameters()
        }
        head = {"params": list(self.head.parameters()), "lr": rate, "weight_decay": weight_decay}
        return [*parameter_groups(self.chain, rate, weight_decay, rates), head]

    def after_step(self, progress: float) -> None:
        """Do nothing."""


@dataclass
class Squares:
    """Images as tensors of the network's size, made when they are needed and kept."""

    images: Sequence[Image.Image]
    size: int
    made: dict[int, Tensor] = field(default_factory=dict)

    def of(self, rows: Int) -> list[Tensor]:
        """Return uint8 [3, size, size] of each row."""
        return [self._one(int(row)) for row in rows]

    def _one(self, row: int) -> Tensor:
        if row not in self.made:
            image = self.images[row].convert("RGB")
            if image.size != (self.size, self.size):
                image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
            self.made[row] = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return self.made[row]


def _task(targets: Int, classes: Int, settings: CutSettings, random: np.random.Generator) -> Task:
    parts: dict[str, list[Int]] = {"train": [], "test": []}
    labels: dict[str, list[Int]] = {"train": [], "test": []}
    for number, wanted in enumerate(classes):
        rows = random.permutation(np.flatnonzero(targets == wanted))
        n_train = min(settings.n_train, len(rows) // 2)
        own = {"train": rows[:n_train], "test": rows[n_train : n_train + settings.n_test]}
        for part, chosen in own.items():
            parts[part].append(chosen)
            labels[part].append(np.full(len(chosen), number))
    order = random.permutation(sum(map(len, parts["train"])))
    train, y_train = np.concatenate(parts["train"])[order], np.concatenate(labels["train"])[order]
    return Task(train, y_train, np.concatenate(parts["test"]), np.concatenate(labels["test"]))


def initialised(network: Network, chain: nn.Sequential, seed: int) -> nn.Sequential:
    """Return the architecture with random weights, as its own library initialises them."""
    if network.source:
        size = {"size": network.preprocess.size}
        return load_network(network.source, scratch=True, preprocess=size, random_state=seed).chain
    fresh = copy.deepcopy(chain)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, part in fresh.named_modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
            elif next(part.parameters(recurse=False), None) is not None:
                raise AdaptError(
                    f"The layer {name!r} ({type(part).__name__}) has no reset_parameters, so it cannot begin anew."
                )
    return fresh


def grafted(source: nn.Sequential, fresh: nn.Sequential, kept: int) -> nn.Sequential:
    """Return the first blocks of ``source`` under blocks of ``fresh``; with all kept, the pool too."""
    blocks = [*source[:kept], *fresh[kept:]] if kept < len(source) - 1 else [*source]
    return quick_norms(nn.Sequential(*blocks).to(memory_format=torch.channels_last))


def quick_norms(chain: nn.Sequential) -> nn.Sequential:
    """Let running statistics follow the batches within a few steps."""
    for part in chain.modules():
        if isinstance(part, RunningNorm):
            part.momentum = _MOMENTUM
    return chain
