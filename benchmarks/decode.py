"""Decoding one JPEG into the backbone's array, against Pillow: small photos, and photos of 12 megapixels.

    python benchmarks/decode.py            # HANDFUL_DATA=... for real photos instead of 1/f images

Small ones (500×375) are compared with what timm's evaluation transform does in bare Pillow: open,
convert, resize, crop. Large ones with decoding all pixels, then the same preprocessing; the packaged
backbone tells how far apart the two arrays are. One thread, from bytes in memory, in turn.
"""

from __future__ import annotations

import io
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from record import interleaved, ratios, write

from handful.backbones import packaged
from handful.core import Float32, UInt8, stream
from handful.images import Preprocess, decode

SEED = 0
SMALL, LARGE = (500, 375), (4000, 3000)
N_SMALL, N_LARGE, REPEATS = 60, 10, 9


def noise(width: int, height: int, name: str) -> Float32:
    """Return a field whose spectrum falls off as in photographs (1/f), of unit deviation."""
    white = stream(SEED, name).standard_normal((height, width), dtype=np.float32)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fall_off = 1 / np.maximum(np.hypot(rows, columns), 1 / max(width, height))
    field = np.fft.irfft2(np.fft.rfft2(white) * fall_off.astype(np.float32), (height, width))
    return (field / field.std()).astype(np.float32)


def scenes(n: int) -> list[Image.Image]:
    """Return ``n`` images to enlarge: real photos, or smooth colours of 1/f noise."""
    folder = os.environ.get("HANDFUL_DATA")
    if folder:
        paths = sorted((Path(folder) / "clothing" / "train").rglob("*.jpg"))
        return [Image.open(paths[i * len(paths) // n]).convert("RGB") for i in range(n)]
    fields = [[noise(400, 300, f"{i} {c}") for c in "yuv"] for i in range(n)]
    return [
        Image.fromarray(
            np.clip(128 + 45 * np.stack([y + 0.3 * u, y, y + 0.3 * v], -1), 0, 255).astype(np.uint8)
        )
        for y, u, v in fields
    ]


def jpeg(scene: Image.Image, size: tuple[int, int], detail: Float32, shift: int) -> bytes:
    """Return a scene enlarged to a photo, with fine detail laid over it, as JPEG of quality 90."""
    large = np.asarray(scene.resize(size, Image.Resampling.BICUBIC)).astype(np.float32)
    large += 6 * np.roll(detail, shift, axis=1)[..., None]
    file = io.BytesIO()
    Image.fromarray(np.clip(large, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def pillow(content: bytes) -> UInt8:
    """Return timm's evaluation transform of a landscape photo in bare Pillow."""
    with Image.open(io.BytesIO(content)) as image:
        rgb = image.convert("RGB")
    wide = int(256 * rgb.width / rgb.height)
    left = round((wide - 224) / 2.0)
    return np.asarray(
        rgb.resize((wide, 256), Image.Resampling.BICUBIC).crop((left, 16, left + 224, 240))
    )


def whole(content: bytes, preprocess: Preprocess) -> UInt8:
    """Return the array of a photo of which every pixel is decoded."""
    with Image.open(io.BytesIO(content)) as image:
        return preprocess(image.convert("RGB"))


def milliseconds(decoder: Callable[[bytes], UInt8], contents: list[bytes]) -> float:
    """Return the mean time for one image."""
    start = time.perf_counter()
    for content in contents:
        decoder(content)
    return 1e3 * (time.perf_counter() - start) / len(contents)


def compared(
    contents: list[bytes], rival: Callable[[bytes], UInt8], preprocess: Preprocess
) -> dict[str, Any]:
    """Return the times of both, and how many times faster ours is."""
    ours = partial(decode, preprocess=preprocess)
    actions = [partial(milliseconds, decoder, contents) for decoder in (rival, ours)]
    for action in actions:
        action()
    theirs, mine = interleaved(REPEATS, *actions)
    return {
        "images": len(contents),
        "pillow_ms": round(statistics.median(theirs), 2),
        "handful_ms": round(statistics.median(mine), 2),
        "times_faster": ratios(theirs, mine),
    }


def cosines(contents: list[bytes]) -> Float32:
    """Return the cosine between the vectors of the whole and of the scaled decode of each image."""
    backbone = packaged()
    preprocess = backbone.spec.preprocess
    a = backbone.embed(np.stack([whole(content, preprocess) for content in contents]))
    b = backbone.embed(np.stack([decode(content, preprocess) for content in contents]))
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def main() -> None:
    """Run the benchmark and write its figures."""
    preprocess = Preprocess()
    small_detail, detail = noise(*SMALL, "detail"), noise(*LARGE, "large detail")
    small = [jpeg(scene, SMALL, small_detail, 7 * i) for i, scene in enumerate(scenes(N_SMALL))]
    large = [jpeg(scene, LARGE, detail, 301 * i) for i, scene in enumerate(scenes(N_LARGE))]
    found = cosines(large)
    figures = {
        "images": "real photos enlarged, with 1/f detail"
        if os.environ.get("HANDFUL_DATA")
        else "1/f",
        "500x375": compared(small, pillow, preprocess),
        "12 megapixels": {
            **compared(large, partial(whole, preprocess=preprocess), preprocess),
            "cosine_to_whole_decode": {
                "median": round(float(np.median(found)), 5),
                "low": round(float(found.min()), 5),
                "n": len(found),
            },
        },
        "interval": f"smallest and largest of {REPEATS} pairs of runs",
    }
    claim = "500×375 costs what bare Pillow costs; 12 MP ≥ 4 times faster at cosine ≥ 0.999"
    print(write("decode", figures, seed=SEED, claim=claim))
    print(figures)


if __name__ == "__main__":
    main()
