"""Networks that turn images into vectors, all of them ONNX in the end. Importing this room imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handful.backbones.cache import cache_folder
from handful.backbones.catalogue import DEFAULT, Entry, catalogue, load_backbone
from handful.backbones.imagenet import ClassTexts, imagenet_texts
from handful.backbones.minilm import MiniLM, packaged_text
from handful.backbones.onnx import OnnxBackbone, load_onnx, session
from handful.backbones.onnx_files import parse_onnx
from handful.backbones.packaged import packaged, packaged_classifier
from handful.backbones.protocol import Backbone, BackboneSpec, Classifier, TextEncoder
from handful.backbones.saved import is_saved, load_saved, save_backbone

if TYPE_CHECKING:
    from handful.backbones.clip import load_clip
    from handful.backbones.clip_text import ClipText, load_clip_text
    from handful.backbones.export import from_torch
    from handful.backbones.modules import TorchBackbone, load_module
    from handful.backbones.timm import load_timm, resize_input

_HOMES = {  # of what needs torch
    "ClipText": "clip_text",
    "load_clip_text": "clip_text",
    "load_clip": "clip",
    "TorchBackbone": "modules",
    "from_torch": "export",
    "load_module": "modules",
    "load_timm": "timm",
    "resize_input": "timm",
}

__all__ = [
    "DEFAULT",
    "Backbone",
    "BackboneSpec",
    "ClassTexts",
    "Classifier",
    "ClipText",
    "Entry",
    "MiniLM",
    "OnnxBackbone",
    "TextEncoder",
    "TorchBackbone",
    "cache_folder",
    "catalogue",
    "from_torch",
    "imagenet_texts",
    "is_saved",
    "load_backbone",
    "load_clip",
    "load_clip_text",
    "load_module",
    "load_onnx",
    "load_saved",
    "load_timm",
    "packaged",
    "packaged_classifier",
    "packaged_text",
    "parse_onnx",
    "resize_input",
    "save_backbone",
    "session",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"handful.backbones.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
