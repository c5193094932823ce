"""What a method is trained on, and how it comes to a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from handful.adapt.order import batches, mixed_batches, seed_of
from handful.adapt.recipe import Recipe
from handful.core import Int


@dataclass(frozen=True)
class TrainingData:
    """What a method is trained on.

    Parameters
    ----------
    images : sequence
        ``images[row]`` goes to the method's ``augment``.
    names : sequence of str
        A content hash for each row.
    targets : ndarray of shape (n,), int
        Class numbers, -1 without a label.
    mean, std : sequence of 3 floats
        Normalisation of uint8 views, in units where white is 1.
    unit : str, default="images"
        What a row of a step is, for people to read; the rows of a run on tasks are tasks.
    """

    images: Sequence[Any]
    names: Sequence[str]
    targets: Int
    mean: Sequence[float]
    std: Sequence[float]
    unit: str = "images"


class Views(Dataset[Any]):
    """The views of an image, for (row, seed): the seed alone decides their randomness."""

    def __init__(self, images: Sequence[Any], augment: Callable[[Any], tuple[Tensor, ...]]) -> None:
        self.images, self.augment = images, augment

    def __getitem__(self, key: tuple[int, int]) -> tuple[tuple[Tensor, ...], int]:
        row, seed = key
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return tuple(self.augment(self.images[row])), row


class Batches(Sampler[list[tuple[int, int]]]):
    """The (row, seed) pairs of every step that is left, those of one process."""

    def __init__(
        self, data: TrainingData, recipe: Recipe, start: int, rank: int, world: int
    ) -> None:
        self.data, self.recipe, self.start = data, recipe, start
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        recipe = self.recipe
        for step, batch in zip(range(self.start, recipe.steps), self._rows(), strict=False):
            keys = enumerate(batch)
            pairs = [(int(row), seed_of(recipe.random_state, 1, step, i)) for i, row in keys]
            yield pairs[self.rank :: self.world]

    def _rows(self) -> Iterator[Int]:
        recipe, targets = self.recipe, self.data.targets
        seed, size = recipe.random_state, recipe.batch_size
        if recipe.labelled_share is None:
            return batches(
                targets, size, balanced=recipe.balanced, random_state=seed, start=self.start
            )
        share = recipe.labelled_share
        return mixed_batches(
            targets, size, labelled_share=share, random_state=seed, start=self.start
        )


def collate(batch: list[tuple[tuple[Tensor, ...], int]]) -> tuple[list[Tensor], Tensor]:
    """Return the first views of a step's images, the second ones of those that have two, …, and the rows."""
    views, rows = zip(*batch, strict=True)
    most = max(len(own) for own in views)
    stacked = [torch.stack([own[k] for own in views if len(own) > k]) for k in range(most)]
    return stacked, torch.tensor(rows)
