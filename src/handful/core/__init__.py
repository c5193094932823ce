"""What every room shares: errors, values, randomness, progress. Imports no other room."""

from handful.core.errors import (
    AdaptError,
    BackboneError,
    BundleError,
    HandfulError,
    ImageError,
    MeasureError,
    MissingExtraError,
    ProjectError,
    StoreError,
    did_you_mean,
    listed,
)
from handful.core.files import write_atomically
from handful.core.machine import usable_cores
from handful.core.progress import Progress
from handful.core.random import stream
from handful.core.types import Array, Bool, Estimate, Float32, Float64, Int, UInt8

__all__ = [
    "AdaptError",
    "Array",
    "BackboneError",
    "Bool",
    "BundleError",
    "Estimate",
    "Float32",
    "Float64",
    "HandfulError",
    "ImageError",
    "Int",
    "MeasureError",
    "MissingExtraError",
    "Progress",
    "ProjectError",
    "StoreError",
    "UInt8",
    "did_you_mean",
    "listed",
    "stream",
    "usable_cores",
    "write_atomically",
]
