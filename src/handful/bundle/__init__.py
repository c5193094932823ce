"""The one file a user ends with."""

from handful.bundle.archive import FORMAT_VERSION
from handful.bundle.bundle import Bundle, Prediction, n_weights, save_bundle, spec_facts
from handful.bundle.head import BundleHead

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "BundleHead",
    "Prediction",
    "n_weights",
    "save_bundle",
    "spec_facts",
]
