"""Small networks and images for the self-supervised methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image


def network(kind: str, size: int = 32) -> Any:
    """Return a small network of convolutions or a small transformer, always with the same weights."""
    import timm
    import torch
    from torch import nn

    from handful.adapt.chain import as_chain
    from handful.adapt.network import Network
    from handful.images import Preprocess

    torch.manual_seed(0)
    if kind == "vit":
        options = {"embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 0}
        model = timm.create_model("vit_tiny_patch16_224", img_size=size, patch_size=8, **options)
        chain = as_chain(model)
    else:
        chain = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
    return Network(chain, Preprocess(size=size), (0.5,) * 3, (0.25,) * 3, kind)


def pictures(n: int, side: int = 36) -> list[Image.Image]:
    """Return images of smooth colour, bright at the top, each with a pattern of its own."""
    random = np.random.default_rng(0)
    fade = np.linspace(255, 0, side)[:, None, None]
    found = []
    for _ in range(n):
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        pattern = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), float)
        found.append(Image.fromarray(((pattern + fade) / 2).astype(np.uint8)))
    return found


def batch(method: Any, images: list[Image.Image], seed: int = 0) -> tuple[Any, ...]:
    """Return what the loop gives to ``forward``: normalised views, no labels, row numbers."""
    import torch

    torch.manual_seed(seed)
    views = zip(*(method.augment(image) for image in images), strict=True)
    x = tuple((torch.stack(view).float() / 255 - 0.5) / 0.25 for view in views)
    rows = torch.arange(len(images))
    return x, torch.full_like(rows, -1), rows


@pytest.fixture
def make_network() -> Any:
    return network


@pytest.fixture
def make_pictures() -> Any:
    return pictures


@pytest.fixture
def make_batch() -> Any:
    return batch
