"""Networks that turn images into vectors, all of them ONNX in the end. Importing this room imports no torch."""

from typing import TYPE_CHECKING, Any

from handful.backbones.catalogue import DEFAULT, Entry, catalogue, load_backbone
from handful.backbones.onnx import OnnxBackbone, load_onnx, session
from handful.backbones.onnx_files import parse_onnx
from handful.backbones.packaged import cache_folder, packaged, packaged_classifier
from handful.backbones.protocol import Backbone, BackboneSpec, Classifier, TextEncoder

if TYPE_CHECKING:
    from handful.backbones.export import from_torch
    from handful.backbones.timm import load_timm

__all__ = [
    "DEFAULT",
    "Backbone",
    "BackboneSpec",
    "Classifier",
    "Entry",
    "OnnxBackbone",
    "TextEncoder",
    "cache_folder",
    "catalogue",
    "from_torch",
    "load_backbone",
    "load_onnx",
    "load_timm",
    "packaged",
    "packaged_classifier",
    "parse_onnx",
    "session",
]


def __getattr__(name: str) -> Any:
    if name == "from_torch":
        from handful.backbones.export import from_torch

        return from_torch
    if name == "load_timm":
        from handful.backbones.timm import load_timm

        return load_timm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
