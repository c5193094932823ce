"""Claim: an epoch of SimCLR is no slower than lightly's example at the same settings.

    HANDFUL_DATA=... python benchmarks/simclr_epoch.py

ResNet-18 (timm) at 64 pixels, batches of 64, 512 EuroSAT tiles, one thread of data loading in the
process, AdamW, the same projection head and temperature. lightly's loop is that of its documentation
(``examples/pytorch/simclr.py``); both read their tiles from memory. In turn, after a first step of each.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import record
import timm
import torch
from tiles import listed_images, training_data

os.environ["LIGHTLY_DID_VERSION_CHECK"] = "True"
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform

from handful.adapt import Contrastive, Hardware, Recipe, load_network, train
from handful.core import stream

SIDE, BATCH, IMAGES, TURNS = 64, 64, 512, 3


class Tiles(torch.utils.data.Dataset):
    """Tiles in memory, as lightly's transform sees them."""

    def __init__(self, images: list, transform: SimCLRTransform) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple:
        return self.transform(self.images[row])


def theirs(images: list) -> float:
    """Return the seconds of one epoch of lightly's example."""
    torch.manual_seed(0)
    backbone = timm.create_model("resnet18", num_classes=0)
    model = torch.nn.Sequential(backbone, SimCLRProjectionHead(512, 512, 128))
    transform = SimCLRTransform(input_size=SIDE, cj_strength=0.5, gaussian_blur=0.0)
    loader = torch.utils.data.DataLoader(
        Tiles(images, transform), BATCH, shuffle=True, drop_last=True
    )
    criterion, optimizer = NTXentLoss(temperature=0.2), torch.optim.AdamW(model.parameters(), 1e-3)
    start = time.perf_counter()
    for x0, x1 in loader:
        loss = criterion(model(x0), model(x1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - start


def main() -> None:
    """Time both in turn."""
    paths, _, _ = listed_images("eurosat")
    rows = stream(0, "simclr").permutation(len(paths))[:IMAGES]
    state = Path(tempfile.mkdtemp())

    def ours() -> float:
        network = load_network("timm:resnet18", scratch=True, preprocess={"size": SIDE})
        data = training_data(
            network, [paths[i] for i in rows], np.full(IMAGES, -1), SIDE, state / "pixels"
        )
        method = Contrastive(network, n_images=IMAGES, size=SIDE, blur=0.0)
        recipe = Recipe(steps=IMAGES // BATCH, batch_size=BATCH, rate=1e-3)
        folder = Path(tempfile.mkdtemp())
        start = time.perf_counter()
        train(method, data, recipe, folder, hardware=Hardware("cpu"), quiet=True)
        return time.perf_counter() - start

    network = load_network("timm:resnet18", scratch=True, preprocess={"size": SIDE})
    data = training_data(
        network, [paths[i] for i in rows], np.full(IMAGES, -1), SIDE, state / "pixels"
    )
    images = [data.images[i].convert("RGB") for i in range(IMAGES)]
    mine, lightly = record.interleaved(TURNS, ours, lambda: theirs(images))
    figures = {
        "network": "timm:resnet18", "side": SIDE, "batch_size": BATCH, "images": IMAGES,
        "threads": torch.get_num_threads(), "handful_seconds": [round(x, 2) for x in mine],
        "lightly_seconds": [round(x, 2) for x in lightly], "times_faster": record.ratios(lightly, mine),
        "unit": "seconds an epoch, with writing the state",
    }  # fmt: skip
    record.write("simclr_epoch", figures, claim=__doc__.splitlines()[0])
    print(figures)


if __name__ == "__main__":
    main()
