"""Training a better backbone. Importing this room imports no torch; using it does (the extra ``train``)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handful.adapt.recipe import Budget, Hardware, Recipe
from handful.core import MissingExtraError

if TYPE_CHECKING:
    from handful.adapt.loop import TrainingData, plan, read_log, train
    from handful.adapt.network import Network, as_chain, export_network, load_network
    from handful.adapt.pixels import Pixels

_HOMES = {
    "Network": "handful.adapt.network",
    "Pixels": "handful.adapt.pixels",
    "TrainingData": "handful.adapt.loop",
    "as_chain": "handful.adapt.network",
    "export_network": "handful.adapt.network",
    "load_network": "handful.adapt.network",
    "plan": "handful.adapt.loop",
    "read_log": "handful.adapt.loop",
    "train": "handful.adapt.loop",
}

__all__ = [
    "Budget",
    "Hardware",
    "Network",
    "Pixels",
    "Recipe",
    "TrainingData",
    "as_chain",
    "export_network",
    "load_network",
    "plan",
    "read_log",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("handful"):
            raise
        raise MissingExtraError("Training a backbone", str(error.name), "train") from error
