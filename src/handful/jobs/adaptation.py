"""What can be chosen of an adaptation, and the method it becomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.adapt import Budget, Hardware, Recipe
from handful.core import AdaptError, Float32, Int, did_you_mean, write_atomically

if TYPE_CHECKING:
    from handful.adapt import Network

RECIPE = "recipe.json"  # in the folder of a run
SUPERVISED = "finetune"
CONSISTENCY, NOISY_STUDENT = "consistency", "noisy-student"
SEMI_SUPERVISED = (CONSISTENCY, NOISY_STUDENT)
WITH_LABELS = (SUPERVISED, *SEMI_SUPERVISED)
METHODS = (*WITH_LABELS, "rotation", "masked", "contrastive", "predictive", "instance")
_VIEWS = ("colour", "crops")
PRETEXT: dict[str, tuple[str, ...]] = {
    "rotation": ("rotation",),
    "masked": (),
    "contrastive": _VIEWS,
    "predictive": _VIEWS,
    "instance": _VIEWS,
}
"""What each method without labels needs the images to have (`handful.adapt.check_pretext`)."""
_TRAIN_SIDE = {SUPERVISED: 128}
_SIDE = 96  # of all other methods
_FEW_LABELS = 100
_RATE_ON = 3e-4  # where pretrained weights go on learning
_RECIPES = {
    SUPERVISED: Recipe(steps=1, batch_size=32, rate=1e-3, weight_decay=0.02, ema=0.99),
    # its guesses are the network's own, and the first steps of a high rate would spoil them
    CONSISTENCY: Recipe(
        steps=1, batch_size=32, rate=_RATE_ON, weight_decay=0.02, ema=0.99, labelled_share=0.5
    ),
    NOISY_STUDENT: Recipe(
        steps=1, batch_size=32, rate=1e-3, weight_decay=0.02, ema=0.99, labelled_share=0.25
    ),
    "contrastive": Recipe(steps=1, batch_size=256, rate=1e-3, weight_decay=0.01, ema=0.99),
    "predictive": Recipe(steps=1, batch_size=128, rate=1e-3, weight_decay=0.01, ema=0.99),
}
_SELF_SUPERVISED = Recipe(steps=1, batch_size=64, rate=1e-3, weight_decay=0.01, ema=0.99)


@dataclass(frozen=True)
class Adaptation:
    """What can be chosen of an adaptation; None takes the method's default.

    Parameters
    ----------
    budget : Budget, default=10 minutes
        Of training, all parts together.
    train_size : int, optional
        Side in pixels of what the network sees in training: at most its own
        side, 128 for fine-tuning and 96 for other methods. What it sees later is
        the backbone's own ``size``.
    batch_size : int, optional
    rate : float, optional
        Highest learning rate.
    scratch : bool, default=False
        Begin with random weights.
    folds : int, optional
        Of methods that see labels: how many of four parts of the labels are held out in
        turn, each by a training of its own, before all labels are trained on.
        By default one, and all four under 100 labels, where one part would
        hold too few to tell.
    anyway : bool, default=False
        Keep a backbone that measuring shows to be no better.
    options : mapping, default={}
        Arguments of the method itself, such as ``train="last:3"`` of
        `handful.adapt.FineTuning`. Semi-supervised methods also take
        ``labelled_share``, the share of a step's images that have a label (default
        a half in consistency training, else a quarter), and Noisy Student ``student``, the name of a larger network.
    hardware : Hardware, optional
    """

    budget: Budget = field(default_factory=lambda: Budget(600.0, "seconds"))
    train_size: int | None = None
    batch_size: int | None = None
    rate: float | None = None
    scratch: bool = False
    folds: int | None = None
    anyway: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    hardware: Hardware = field(default_factory=Hardware)


def check_method(method: str) -> None:
    """Raise ValueError when there is no such method."""
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"No method {method!r}{did_you_mean(method, METHODS)}. Expected {known}.")


def n_folds(settings: Adaptation, n_labels: int) -> int:
    """Return how many parts of the labels are measured on."""
    return settings.folds or (4 if n_labels < _FEW_LABELS else 1)


def train_side(method: str, settings: Adaptation, own: int) -> int:
    """Return the side in pixels of the views in training, for a network that sees ``own``."""
    return settings.train_size or min(own, _TRAIN_SIDE.get(method, _SIDE))


def recipe_of(method: str, settings: Adaptation, random_state: int) -> Recipe:
    """Return the method's recipe with what was chosen; its steps are not planned yet."""
    chosen = {"batch_size": settings.batch_size, "rate": settings.rate}
    changes: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
    recipe = _RECIPES.get(method, _SELF_SUPERVISED)
    if method in SEMI_SUPERVISED:
        share = settings.options.get("labelled_share", recipe.labelled_share)
        if not 0 < share < 1:
            raise AdaptError(f"The share of labelled images must be in (0, 1). Got {share!r}.")
        recipe = replace(recipe, labelled_share=share, frozen_norms=not settings.scratch)
    elif method != SUPERVISED and not settings.scratch:
        recipe = replace(recipe, rate=_RATE_ON, frozen_norms=True)
    return replace(recipe, random_state=random_state, **changes)


def build(
    method: str,
    network: Network,
    settings: Adaptation,
    *,
    targets: Int,
    vectors: Float32,
    size: int,
    random_state: int,
) -> Any:
    """Return the method, an `nn.Module`, on a network; all but Noisy Student, which is a series of trainings.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    network : Network
        Trained in place.
    settings : Adaptation
    targets : ndarray of shape (n,), int
        Classes, -1 without a label.
    vectors : ndarray of shape (n, dim), float32
        Of the frozen network, for the head that fine-tuning begins with.
    size : int
        Side of the views in pixels.
    random_state : int
        Seed of the weights that are new: heads, projections and decoders.

    Raises
    ------
    AdaptError, ValueError
        If an option is unknown or out of range, or does not go with the network.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        if method == SUPERVISED:
            return _finetune(network, settings, targets, vectors, size)
        if method == CONSISTENCY:
            return _consistency(network, settings, targets, vectors, size)
        constructor = _self_supervised(method)
        return constructor(network, n_images=len(targets), size=size, **settings.options)


def _finetune(
    network: Network, settings: Adaptation, targets: Int, vectors: Float32, size: int
) -> Any:
    from handful.adapt import FineTune, FineTuning, probe_head

    how = FineTuning(**settings.options)
    if settings.scratch:  # nothing to keep, and nothing to average with
        how = replace(how, probe_first=False, frozen_norms=False, towards=1.0)
    start = probe_head(vectors, targets) if how.probe_first else None
    return FineTune(
        network,
        n_classes=int(targets.max()) + 1,
        n_images=len(targets),
        size=size,
        how=how,
        start=start,
    )


def own_options(settings: Adaptation) -> dict[str, Any]:
    """Return the options of a semi-supervised method that are not the recipe's or the choice of a network."""
    return {k: v for k, v in settings.options.items() if k not in ("labelled_share", "student")}


def _consistency(
    network: Network, settings: Adaptation, targets: Int, vectors: Float32, size: int
) -> Any:
    from handful.adapt import Agreement, Consistency, probe_head

    known = targets >= 0
    start = None if settings.scratch else probe_head(vectors[known], targets[known])
    how = Agreement(**own_options(settings))
    return Consistency(network, targets=targets, size=size, how=how, start=start)


def _self_supervised(method: str) -> Callable[..., Any]:
    from handful.adapt import Contrastive, Instance, Masked, Predictive, Rotation

    return {
        "rotation": Rotation,
        "masked": Masked,
        "contrastive": Contrastive,
        "predictive": Predictive,
        "instance": Instance,
    }[method]


def kept_recipe(folder: Path, make: Callable[[], Recipe]) -> Recipe:
    """Return the recipe of a run: made when the run begins, as kept in its folder ever after."""
    path = folder / RECIPE
    if not path.is_file():
        write_atomically(path, json.dumps(asdict(make()), indent=1).encode())
    return Recipe(**json.loads(path.read_text(encoding="utf-8")))
