"""How a network is trained: the numbers of a run, its budget, and the machine it runs on."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from handful.core import AdaptError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_BUDGET = re.compile(r"(\d+(?:\.\d+)?) ?(s|m|h|images|epochs)")


@dataclass(frozen=True)
class Budget:
    """How much a run may cost, in seconds, images or epochs.

    Parameters
    ----------
    amount : float
        Above 0.
    unit : {"seconds", "images", "epochs"}
        Images are counted each time they are seen; an epoch is every image once.

    Examples
    --------
    >>> Budget.parse("10m")
    Budget(amount=600.0, unit='seconds')
    >>> Budget.parse("20epochs").steps(n_images=100, batch_size=32)
    60
    """

    amount: float
    unit: Literal["seconds", "images", "epochs"]

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Return the budget written as ``90s``, ``10m``, ``2h``, ``5000images`` or ``20epochs``.

        Raises
        ------
        ValueError
            If it is written otherwise.
        """
        match = _BUDGET.fullmatch(text.strip())
        if match is None or not 0 < float(match[1]) < math.inf:
            raise ValueError(
                f"A budget is written as 90s, 10m, 2h, 5000images or 20epochs. Got {text!r}."
            )
        amount, unit = float(match[1]), match[2]
        if unit in _UNITS:
            return cls(amount * _UNITS[unit], "seconds")
        return cls(amount, "images" if unit == "images" else "epochs")

    def steps(self, *, n_images: int, batch_size: int, step_seconds: float | None = None) -> int:
        """Return the number of steps it pays for.

        Parameters
        ----------
        n_images : int
        batch_size : int
            At most ``n_images``.
        step_seconds : float, optional
            Measured time of one step, needed by a budget in seconds.

        Raises
        ------
        AdaptError
            If it doesn't pay for one step.
        """
        if self.unit == "seconds":
            if step_seconds is None:
                raise ValueError("A budget in seconds needs step_seconds.")
            steps = int(self.amount / step_seconds)
        else:
            epoch = n_images // batch_size
            steps = int(self.amount * epoch if self.unit == "epochs" else self.amount // batch_size)
        if steps < 1:
            cost = (
                f"one step takes {step_seconds:.1f} s"
                if step_seconds
                else f"one step sees {batch_size} images"
            )
            raise AdaptError(
                f"The budget of {self} is too small for one step: {cost}. Give more, or a smaller --batch-size."
            )
        return steps

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run.

    Parameters
    ----------
    steps : int
        Number of gradient steps, at least 1.
    batch_size : int, default=32
        Images a step, over all devices.
    rate : float, default=3e-4
        Highest learning rate: reached after the warm-up, then a cosine to 0.
    warmup : float, default=0.1
        Share of the steps in which the rate rises from 0.
    weight_decay : float, default=0.02
        Of all weights but biases and norms.
    optimizer : {"adamw", "sgd"}, default="adamw"
        SGD has Nesterov momentum 0.9.
    clip : float or None, default=1.0
        Largest norm of the gradient.
    ema : float or None, default=0.99
        Decay of the moving average of the weights, which is what a run returns;
        it starts at 0 and rises. None returns the last weights.
    balanced : bool, default=False
        Every class is seen equally often.
    frozen_norms : bool, default=False
        The chain's BatchNorm keeps the statistics it came with: to go on from
        pretrained weights. On EuroSAT at 64 pixels, statistics of the new
        images alone cost the packaged backbone 14 points.
    labelled_share : float, optional
        Share of the images of a step that have a label, in (0, 1), their classes
        equally often whatever ``balanced`` says. By default images come as they are.
    random_state : int, default=0
        Seed of order, augmentation and everything random in the method.
    """

    steps: int
    batch_size: int = 32
    rate: float = 3e-4
    warmup: float = 0.1
    weight_decay: float = 0.02
    optimizer: Literal["adamw", "sgd"] = "adamw"
    clip: float | None = 1.0
    ema: float | None = 0.99
    balanced: bool = False
    frozen_norms: bool = False
    labelled_share: float | None = None
    random_state: int = 0

    def rate_at(self, step: int) -> float:
        """Return the factor of the learning rate at a step, in (0, 1].

        Examples
        --------
        >>> recipe = Recipe(steps=100)
        >>> [round(recipe.rate_at(step), 2) for step in (0, 9, 50, 99)]
        [0.1, 1.0, 0.59, 0.0]
        """
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Hardware:
    """Where a run computes.

    Parameters
    ----------
    accelerator : str, default="auto"
        As in Lightning Fabric: ``"cpu"``, ``"cuda"``, ``"mps"``, or whatever is there.
    devices : int, default=1
        More than one: a process each, with the gradients averaged (DDP).
    precision : str, default="32-true"
        ``"16-mixed"`` or ``"bf16-mixed"`` for mixed precision.
    workers : int, optional
        Processes that decode and augment; by default none on a CPU and eight on a GPU.
    tensorboard : bool, default=False
        Write the log for TensorBoard as well.
    """

    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    workers: int | None = None
    tensorboard: bool = False
