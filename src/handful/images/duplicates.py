"""Near-duplicates confirmed on pixels: one image is a copy of the other, edited a little.

Vectors propose pairs; most of those are only alike. A copy that was re-encoded,
resized, cropped by a few percent or made lighter or darker still holds the same
pixels: once the crop and the gain are undone, next to nothing differs anywhere.
A second photo of the same scene fails this, since its frame is shifted rather
than cropped, and light, viewpoint or something in it has changed.

The crop is found by Gauss-Newton steps on the squared difference from coarse to
fine, as in Lucas and Kanade [1]_, but over the four margins of the crop, held
inside the image, with gain and offset solved for in the same step.

References
----------
.. [1] Lucas and Kanade, "An Iterative Image Registration Technique with an
   Application to Stereo Vision", IJCAI 1981.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from handful.core import Bool, Float32, Float64, ImageError
from handful.images.decode import decode
from handful.images.preprocess import Preprocess

MOST_CROP = 0.05
"""Largest margin that a copy may have lost on a side, a fraction of width or height."""

MOST_OVERALL, MOST_OVERALL_CROPPED = 0.07, 0.055
"""Largest root mean square difference of a copy, in standard deviations of its pixels.

Finding a crop is a chance to fit what is not there, so less may be left after it.
"""

MOST_ANYWHERE = 0.25
"""The same for the worst of 8 by 8 blocks."""

_UNCROPPED = 0.01
_GAIN = (0.85, 1.18)
_OFFSET = 6.0
_DARKEST, _LIGHTEST = 5.0, 250.0
_STEPS = 6
_COMPARED_AT = 32
_LEVELS = (16, 32, 48)
_HOPELESS = {16: 0.5, 32: 0.25}  # difference after a level that no finer one mends


def confirm_duplicates(pairs: Sequence[tuple[Path, Path]], *, white: int = 65535) -> Bool:
    """Tell which pairs of image files show one picture.

    Parameters
    ----------
    pairs : sequence of tuple of 2 Paths
        The candidates, in any order; best grouped by image, since the last
        1,024 images are kept.
    white : int, default=65535
        The value of white in 16-bit images.

    Returns
    -------
    ndarray of shape (len(pairs),), bool
        False also where an image cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     a, b = Path(folder) / "a.png", Path(folder) / "b.jpg"
    ...     Image.linear_gradient("L").save(a)
    ...     Image.linear_gradient("L").resize((128, 128)).save(b)
    ...     confirm_duplicates([(a, b)]).tolist()
    [True]
    """
    squashed = Preprocess(size=64, tiles=2, white=white)

    @lru_cache(maxsize=1024)
    def small(path: Path) -> Image.Image | None:
        try:
            return Image.fromarray(decode(path, squashed))
        except ImageError:
            return None

    return np.array([is_copy(small(a), small(b)) for a, b in pairs], dtype=bool)


def is_copy(a: Image.Image | None, b: Image.Image | None) -> bool:
    """Tell whether one of two squashed images is the other or a crop of it."""
    return a is not None and b is not None and (_is_crop(a, b) or _is_crop(b, a))


def _is_crop(whole: Image.Image, part: Image.Image) -> bool:
    margins = np.zeros(4)
    for side in _LEVELS:
        margins = _refined(whole, part, margins, side)
        hopeless = _HOPELESS.get(side)
        if hopeless and _difference(whole, part, margins, side)[0] > hopeless:
            return False
    overall, anywhere = _difference(whole, part, margins, _COMPARED_AT)
    most = MOST_OVERALL if margins.max() < _UNCROPPED else MOST_OVERALL_CROPPED
    return overall <= most and anywhere <= MOST_ANYWHERE


def _pixels(image: Image.Image, margins: Float64, side: int) -> Float32:
    """Return the image without its margins (left, top, right, bottom) at a small size."""
    left, top, right, bottom = margins * image.width
    box = (left, top, image.width - right, image.width - bottom)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box), np.float32)


def _refined(whole: Image.Image, part: Image.Image, margins: Float64, side: int) -> Float64:
    """Return the margins after some steps towards the crop of ``whole`` that is ``part``."""
    target = _pixels(part, np.zeros(4), side)
    across = (np.arange(side, dtype=np.float32) + 0.5) / side
    down = across[:, None]
    for _ in range(_STEPS):
        current = _pixels(whole, margins, side)
        weight = _counted(current, target).ravel()
        grey = current.mean(-1)
        slope_down, slope_across = (side * slope for slope in np.gradient(grey))
        slopes = np.stack(
            [
                slope_across * (1 - across),
                slope_down * (1 - down),
                -slope_across * across,
                -slope_down * down,
                grey,
                np.ones_like(grey),
            ]
        ).reshape(6, -1)
        weighted = slopes * weight
        normal = weighted @ slopes.T + np.diag([0.01 * side**2] * 4 + [1e-3] * 2)
        step = np.linalg.solve(normal.astype(float), weighted @ target.mean(-1).ravel())
        margins = np.clip(margins + step[:4] / max(step[4], 0.3), 0.0, MOST_CROP)
    return margins


def _counted(a: Float32, b: Float32) -> Bool:
    """Return which pixels lie within the range of both; all when those are too few."""
    low, high = np.minimum(a, b).min(-1), np.maximum(a, b).max(-1)
    inside = (low > _DARKEST) & (high < _LIGHTEST)
    return inside if inside.mean() >= 1 / 8 else np.ones_like(inside)


def _difference(
    whole: Image.Image, part: Image.Image, margins: Float64, side: int
) -> tuple[float, float]:
    """Return what differs once crop and gain are undone, overall and in the worst block."""
    current, target = _pixels(whole, margins, side), _pixels(part, np.zeros(4), side)
    counted = _counted(current, target)
    x, y = current[counted].astype(float), target[counted].astype(float)
    gain, offset = _gain(x, y)
    rest = np.clip(gain * current + offset, 0, 255) - target
    square = (rest.astype(float) ** 2).mean(-1) * counted
    blocks = square.reshape(8, side // 8, 8, side // 8).mean(axis=(1, 3))
    spread = y.std() + 1.0
    return float(np.sqrt(square.sum() / counted.sum()) / spread), float(
        np.sqrt(blocks.max()) / spread
    )


def _gain(x: Float64, y: Float64) -> tuple[float, float]:
    """Return gain and offset from ``x`` to ``y``; the light may differ, hardly the contrast."""
    spread = ((x - x.mean()) ** 2).sum()
    gain = ((x - x.mean()) * (y - y.mean())).sum() / max(spread, 1e-6)
    offset = np.clip(y.mean() - gain * x.mean(), -_OFFSET, _OFFSET)
    gain = np.clip((x * (y - offset)).sum() / max((x * x).sum(), 1e-6), *_GAIN)
    return float(gain), float(np.clip((y - gain * x).mean(), -_OFFSET, _OFFSET))
