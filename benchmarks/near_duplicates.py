"""How often near-duplicates are confirmed: edited copies (should be), and look-alikes (should not).

    HANDFUL_DATA=... python benchmarks/near_duplicates.py

Copies: photos of clothing (validation and test) and TrashNet, edited one way each. Look-alikes: the
pairs of each data set that come nearest by the packaged backbone's vectors (what a project proposes)
and by 16×16 pixels (what is hardest to tell apart by pixels), some of them bursts of one object; the
same photos with a small thing pasted in; and two frames of one photo shifted by 4 %.
Pairs that differ by less than one grey level as they are count as copies inside the data.
The thresholds were chosen on clothing's train split and on part of TrashNet.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance
from record import write

from handful.backbones import packaged
from handful.core import Float32, UInt8, stream
from handful.images import Preprocess, confirm_duplicates, decode
from handful.measure import wilson_interval

SEED = 1
EDITED, NEAREST = 120, 200
Edit = Callable[[Image.Image, np.random.Generator], Image.Image]
Pairs = list[tuple[Path, Path]]


def frame(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Return an image without its margins, given as fractions."""
    width, height = image.size
    return image.crop(
        (
            round(left * width),
            round(top * height),
            round((1 - right) * width),
            round((1 - bottom) * height),
        )
    )


def one_sided(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return an image cropped by 3 % of its width and height, in random shares of the sides."""
    across, down = 0.03 * random.random(2)
    return frame(image, across, down, 0.03 - across, 0.03 - down)


def pasted(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return an image with a mirrored part of itself, an eighth of its side, somewhere else."""
    side = min(image.size) // 8
    changed = image.copy()
    (x, y), (u, v) = (random.integers(0, np.array(image.size) - side) for _ in range(2))
    part = image.crop((u, v, u + side, v + side)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.paste(ImageEnhance.Brightness(part).enhance(0.6), (int(x), int(y)))
    return changed


COPIES: dict[str, tuple[Edit, int]] = {
    "re-encoded at quality 50": (lambda image, _: image, 50),
    "resized to 50 %": (lambda image, _: image.resize((image.width // 2, image.height // 2)), 90),
    "cropped by 3 %": (one_sided, 90),
    "cropped by 3 % on each side": (lambda image, _: frame(image, 0.03, 0.03, 0.03, 0.03), 90),
    "10 % lighter": (lambda image, _: ImageEnhance.Brightness(image).enhance(1.1), 90),
    "10 % darker": (lambda image, _: ImageEnhance.Brightness(image).enhance(0.9), 90),
}
CHANGED: dict[str, tuple[Edit, int]] = {
    "a small thing pasted in": (pasted, 90),
    "frame shifted by 4 %": (lambda image, _: frame(image, 0.04, 0.04, 0, 0), 90),
}


def edited(paths: list[Path], folder: Path, name: str, edit: Edit, quality: int) -> Pairs:
    """Write one edit of a sample of photos as JPEG; return the pairs."""
    random = stream(SEED, name)
    pairs = []
    for number, row in enumerate(random.permutation(len(paths))[:EDITED]):
        original = paths[row]
        image = Image.open(original).convert("RGB")
        copy = folder / f"{number}.jpg"
        edit(image, random).save(copy, quality=quality)
        if "shifted" in name:
            original = folder / f"{number}-original.png"
            frame(image, 0, 0, 0.04, 0.04).save(original)
        pairs.append((original, copy))
    return pairs


def nearest(X: Float32, n: int) -> list[tuple[int, int]]:
    """Return the ``n`` pairs of rows of the highest cosine."""
    unit = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-9)
    similarity = np.triu(unit @ unit.T, 1)
    order = np.argpartition(-similarity, n, axis=None)[:n]
    return [
        (int(a), int(b)) for a, b in zip(*np.unravel_index(order, similarity.shape), strict=True)
    ]


def look_alikes(paths: list[Path]) -> tuple[Pairs, int]:
    """Return the nearest pairs that are not the same picture, and how many are."""
    small: UInt8 = np.stack([decode(path, Preprocess(size=8, tiles=2)) for path in paths])
    backbone = packaged()
    arrays = (decode(path, backbone.spec.preprocess) for path in paths)
    vectors = np.concatenate([backbone.embed(array[None]) for array in arrays])
    pixels = small.reshape(len(small), -1).astype(np.float32)
    centred = pixels - pixels.mean(1, keepdims=True)
    rows = {*nearest(np.sqrt(np.maximum(vectors, 0)), NEAREST), *nearest(centred, NEAREST)}
    far = {(a, b) for a, b in rows if np.abs(pixels[a] - pixels[b]).mean() >= 1}
    return [(paths[a], paths[b]) for a, b in sorted(far)], len(rows) - len(far)


def rate(pairs: Pairs) -> dict[str, Any]:
    """Return the share of pairs that are confirmed, with its Wilson interval."""
    start = time.perf_counter()
    found = confirm_duplicates(pairs)
    low, high = wilson_interval(int(found.sum()), len(found))
    return {
        "confirmed": int(found.sum()),
        "n": len(found),
        "rate": round(float(found.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "ms_a_pair": round(1e3 * (time.perf_counter() - start) / len(found), 1),
        "which": [f"{a.name} {b.name}" for (a, b), yes in zip(pairs, found, strict=True) if yes][
            :5
        ],
    }


def measured(paths: list[Path]) -> dict[str, Any]:
    """Return the rates on one data set."""
    figures: dict[str, Any] = {"photos": len(paths), "copies": {}, "look_alikes": {}}
    for group, edits in (("copies", COPIES), ("look_alikes", CHANGED)):
        for name, (edit, quality) in edits.items():
            with tempfile.TemporaryDirectory() as folder:
                figures[group][name] = rate(edited(paths, Path(folder), name, edit, quality))
            del figures[group][name]["which"]
    pairs, figures["copies_inside_the_data"] = look_alikes(paths)
    figures["look_alikes"]["nearest pairs of the data set"] = rate(pairs)
    return figures


def main() -> None:
    """Run the benchmark and write its figures."""
    root = Path(os.environ["HANDFUL_DATA"])
    sets = {
        "clothing": [
            path
            for split in ("validation", "test")
            for path in sorted((root / "clothing" / split).rglob("*.jpg"))
        ],
        "trashnet": sorted((root / "trashnet").rglob("*.jpg")),
    }
    figures = {name: measured(paths) for name, paths in sets.items()}
    claim = "copies are confirmed, different photos of one scene are not"
    print(write("near_duplicates", {**figures, "interval": "Wilson, 95 %"}, seed=SEED, claim=claim))
    for name, found in figures.items():
        for group in ("copies", "look_alikes"):
            for edit, figure in found[group].items():
                print(f"{name}, {edit}: {figure['confirmed']}/{figure['n']}")


if __name__ == "__main__":
    main()
