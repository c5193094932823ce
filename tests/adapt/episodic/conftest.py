"""A small network and drawings of many classes for the methods that are trained on tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SIDE, PER_CLASS = 16, 8


@pytest.fixture
def make_small() -> Any:
    """Return a maker of a network that begins with the same weights each time."""

    def small() -> Any:
        import torch
        from torch import nn

        from handful.adapt.episodic.conv4 import MapMean
        from handful.adapt.network import Network
        from handful.images import Preprocess

        torch.manual_seed(0)
        chain = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU()),
            MapMean(),
        )
        return Network(chain, Preprocess(size=SIDE), (0.5,) * 3, (0.25,) * 3, "small")

    return small


@pytest.fixture
def make_episodes() -> Any:
    """Return a maker of images of classes that differ in a pattern, with noise."""

    def episodes(n_classes: int = 8, *, rotations: bool = False, seed: int = 0) -> Any:
        from handful.adapt.episodic.episodes import Episodes

        random = np.random.default_rng(seed)
        codes = np.repeat(np.arange(n_classes), PER_CLASS)
        patterns = random.integers(0, 200, (n_classes, SIDE, SIDE, 3))
        noise = random.integers(0, 55, (len(codes), SIDE, SIDE, 3))
        return Episodes((patterns[codes] + noise).astype(np.uint8), codes, rotations=rotations)

    return episodes
