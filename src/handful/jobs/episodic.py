"""What can be chosen of a training on tasks, and the method it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from handful.adapt import Budget, Hardware, Recipe
from handful.core import did_you_mean

_ADAM = Recipe(steps=1, batch_size=1, rate=2e-3, weight_decay=0.0, ema=0.99)
_RECIPES = {
    "prototypical": _ADAM,
    "matching": _ADAM,
    "relation": _ADAM,
    "maml": replace(_ADAM, batch_size=16),
    # its gradient is the way to where a task's own training led, which is gone in part
    "reptile": replace(_ADAM, batch_size=1, optimizer="sgd", rate=0.1, clip=None),
}
_RATE_ON = 1e-4  # where pretrained weights go on learning


@dataclass(frozen=True)
class EpisodicTraining:
    """What can be chosen of a training on tasks; None takes the method's default.

    Parameters
    ----------
    budget : Budget, default=10 minutes
        Of training.
    steps : int, optional
        Number of steps, in place of a budget.
    way, shot, query : int, default=5, 1, 5
        Classes of a task, and images of each that are given and asked.
    tasks : int, optional
        Tasks a step.
    rotations : bool, default=False
        Every class turned by a quarter, a half and three quarters is a class of its own.
    rate : float, optional
        Highest learning rate.
    scratch : bool, default=False
        Begin with random weights. ``conv4`` always does.
    validation_share : float, default=0.2
        Of the classes, on which the best state is chosen, where the folder has no
        ``validation`` split of other classes; in (0, 1).
    validation_way : int, default=5
        Classes of the tasks by which the best state is chosen.
    anyway : bool, default=False
        Keep a backbone that measuring shows to be no better.
    options : mapping, default={}
        Arguments of the method itself.
    hardware : Hardware, optional
    """

    budget: Budget = field(default_factory=lambda: Budget(600.0, "seconds"))
    steps: int | None = None
    way: int = 5
    shot: int = 1
    query: int = 5
    tasks: int | None = None
    rotations: bool = False
    rate: float | None = None
    scratch: bool = False
    validation_share: float = 0.2
    validation_way: int = 5
    anyway: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    hardware: Hardware = field(default_factory=Hardware)

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise ValueError(
                f"The 'validation_share' must be in (0, 1). Got {self.validation_share!r}."
            )


def check_episodic(method: str) -> None:
    """Raise ValueError when there is no such method."""
    if method not in _RECIPES:
        hint = did_you_mean(method, _RECIPES)
        raise ValueError(f"No method {method!r}{hint}. Expected {', '.join(_RECIPES)}.")


def recipe_on_tasks(
    method: str, settings: EpisodicTraining, random_state: int, *, scratch: bool
) -> Recipe:
    """Return the method's recipe with what was chosen; its steps are not planned yet."""
    recipe = replace(_RECIPES[method], random_state=random_state)
    if not scratch:
        recipe = replace(recipe, rate=_RATE_ON, frozen_norms=True)
    chosen = {"batch_size": settings.tasks, "rate": settings.rate}
    changes: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
    return replace(recipe, **changes)


def in_tasks(settings: EpisodicTraining, tasks: int, n_images: int) -> Budget:
    """Return the budget with tasks in the place of images, which is what a step's rows are.

    Examples
    --------
    >>> settings = EpisodicTraining(Budget.parse("3000images"), way=5, shot=1, query=5)
    >>> in_tasks(settings, tasks=1, n_images=200)
    Budget(amount=100.0, unit='images')
    """
    if settings.steps is not None:
        return Budget(float(settings.steps * tasks), "images")
    budget = settings.budget
    if budget.unit == "seconds":
        return budget
    images = budget.amount * (n_images if budget.unit == "epochs" else 1)
    return Budget(images / (settings.way * (settings.shot + settings.query)), "images")
