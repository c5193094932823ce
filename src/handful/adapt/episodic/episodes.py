"""Tasks to train on: a few classes, a few images of each, drawn anew for every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from handful.core import AdaptError, Int, UInt8, listed

TURNS = 4  # by quarters, where rotations are classes of their own


@dataclass(frozen=True)
class Shape:
    """How large a task is.

    Parameters
    ----------
    way : int
        Classes, at least 2.
    shot : int
        Images of each that are given, at least 1.
    query : int
        Images of each that are asked, at least 1.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    way: int
    shot: int
    query: int

    def __post_init__(self) -> None:
        for name, least in (("way", 2), ("shot", 1), ("query", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"The {name!r} of a task must be at least {least}. Got {getattr(self, name)!r}."
                )

    @property
    def images(self) -> int:
        """Images of a task in all."""
        return self.way * (self.shot + self.query)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return support [t, way, shot, …] and query [t, way * query, …] of images one after the other."""
        tasks = x.unflatten(0, (-1, self.way, self.shot + self.query))
        return tasks[:, :, : self.shot], tasks[:, :, self.shot :].flatten(1, 2)

    def answers(self, n_tasks: int, device: Any = None) -> Tensor:
        """Return the place of each query's class, of shape (n_tasks, way * query)."""
        own = torch.arange(self.way, device=device).repeat_interleave(self.query)
        return own.expand(n_tasks, -1)


class Episodes(Sequence["Episodes"]):
    """Images of many classes, all in memory, from which tasks are drawn.

    It stands in the place of a run's images: every row is this object, and a
    method's ``augment`` draws a task from it. The seed of the row and the step
    decides the task, so that a run that goes on sees the tasks that it would have seen.

    Parameters
    ----------
    squares : ndarray of shape (n, s, s, 3), uint8
    codes : ndarray of shape (n,), int
        Classes from 0.
    rotations : bool, default=False
        Every class turned by 90, 180 and 270 degrees is a class of its own [1]_.

    References
    ----------
    .. [1] Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016,
       https://arxiv.org/abs/1606.04080, section 4.1.1.
    """

    def __init__(self, squares: UInt8, codes: Int, *, rotations: bool = False) -> None:
        self.squares = torch.from_numpy(np.array(squares))
        turns = TURNS if rotations else 1
        n_classes = int(codes.max()) + 1
        self.codes = np.concatenate([codes + turn * n_classes for turn in range(turns)])
        """Class of each image, those of the turned ones behind."""
        self._order = np.argsort(self.codes, kind="stable")
        self._counts = np.bincount(self.codes)
        self._starts = np.cumsum(self._counts) - self._counts

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, row: Any) -> Any:
        return self

    def check(self, shape: Shape, what: str, names: Sequence[str] = ()) -> None:
        """Raise AdaptError where such tasks cannot be drawn.

        Parameters
        ----------
        shape : Shape
        what : str
            What the classes are for, in words.
        names : sequence of str, optional
            Of the classes before they are turned.
        """
        need = shape.shot + shape.query
        rich = self._counts >= need
        if len(self._counts) < shape.way:
            raise AdaptError(
                f"{shape.way}-way tasks need {shape.way} classes {what}. Got {len(self._counts)}. Take a smaller "
                "--way, add classes, or count turned images as classes (--rotations)."
            )
        if rich.sum() < shape.way:
            poor = [name for name, fits in zip(names, rich, strict=False) if not fits]
            raise AdaptError(
                f"Tasks with {shape.shot} given and {shape.query} asked images a class need {shape.way} classes {what} "
                f"with {need} images each. Got {int(rich.sum())}; too few have {listed(map(repr, poor))}. Take a "
                "smaller --shot or --query, or add images."
            )

    def draw(self, shape: Shape) -> Tensor:
        """Return the images of a task, uint8 [way * (shot + query), 3, s, s], class by class.

        The randomness is torch's global generator.
        """
        random = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        need = shape.shot + shape.query
        rich = np.flatnonzero(self._counts >= need)
        classes = random.choice(rich, shape.way, replace=False)
        counts = self._counts[classes]
        keys = random.random((shape.way, counts.max()))
        keys[np.arange(counts.max()) >= counts[:, None]] = 2.0
        places = np.argsort(keys, axis=1)[:, :need]
        return self.at(self._order[self._starts[classes][:, None] + places].ravel())

    def at(self, rows: Int) -> Tensor:
        """Return images, uint8 [len(rows), 3, s, s], in memory channels last; turned ones lie behind the others."""
        turn, row = np.divmod(rows, len(self.squares))
        x = self.squares[torch.from_numpy(row)]
        for quarter in range(1, TURNS):
            own = torch.from_numpy(turn == quarter)
            if own.any():
                x[own] = torch.rot90(x[own], quarter, (1, 2))
        return x.permute(0, 3, 1, 2)
