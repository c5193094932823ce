"""A labelling session whose backbone is the pixels themselves, and a program that serves its page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from handful.backbones import BackboneSpec
from handful.images import Preprocess
from handful.jobs import BackboneChoice, Labelling

SIDE = 8


class Pixels:
    """Sees an image as 8 × 8 grey values: enough to tell digits apart, at no cost."""

    spec = BackboneSpec(
        name="pixels",
        fingerprint="pixels",
        licence="Apache-2.0",
        preprocess=Preprocess(size=4 * SIDE),
        dim=SIDE * SIDE,
        pretrained_on="",
    )

    def embed(self, images):
        n = len(images)
        blocks = images.reshape(n, SIDE, 4, SIDE, 4, 3).astype(np.float32)
        return 1 + blocks.mean(axis=(2, 4, 5)).reshape(n, -1) / 16


class Chosen(BackboneChoice):
    """The choice of that backbone."""

    def load(self, white=None):
        return Pixels()


def session(folder: Path, **options) -> Labelling:
    return Labelling(folder, backbone=Chosen(), **options)


def truth(name: str) -> str:
    """Return the class of an image that `write_digits` wrote."""
    return re.search(r"digit-(\d)-", name)[1]


def write_digits(folder: Path, n: int) -> Path:
    """Write ``n`` handwritten digits, unlabelled, their class in the file's name."""
    from PIL import Image
    from sklearn.datasets import load_digits

    source = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    for row in range(n):
        pixels = (source.images[row] * (255 / 16)).round().astype(np.uint8)
        name = f"digit-{source.target[row]}-{row:04}.png"
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(folder / name)
    return folder


def main() -> None:
    from handful.web import run_labelling

    folder, port, *annotators = sys.argv[1:]
    with session(Path(folder), annotators=annotators or [""]) as labelling:
        run_labelling(
            labelling,
            labelling.tokens(),
            port=int(port),
            started=lambda port, addresses: print(*addresses.values(), flush=True),  # noqa: T201
        )


if __name__ == "__main__":
    main()
