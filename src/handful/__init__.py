"""Image classifiers from a handful of labels.

>>> import handful
>>> sorted(handful.__all__)[:3]
['BackboneChoice', 'Bundle', 'Estimate']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handful.bundle import Bundle
    from handful.core import Estimate, HandfulError
    from handful.jobs import BackboneChoice, Thresholds, fit, predict
    from handful.project import Project

__version__ = "0.1.0"

_HOMES = {
    "BackboneChoice": "handful.jobs",
    "Bundle": "handful.bundle",
    "Estimate": "handful.core",
    "HandfulError": "handful.core",
    "Project": "handful.project",
    "Thresholds": "handful.jobs",
    "fit": "handful.jobs",
    "predict": "handful.jobs",
}

__all__ = [
    "BackboneChoice",
    "Bundle",
    "Estimate",
    "HandfulError",
    "Project",
    "Thresholds",
    "fit",
    "predict",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
