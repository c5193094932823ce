"""How an image becomes the array that a backbone takes: one `Preprocess` a backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from PIL import Image

from handful.core import UInt8, did_you_mean, listed

Box = tuple[float, float, float, float]
_RESIZING = ("shortest", "squash")
_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocess:
    """Scale and crop an image to a square, as the backbone's training evaluation did.

    With one tile this is timm's evaluation transform: the short side is scaled
    to ``floor(size / crop_pct)`` and the middle is kept. With more tiles the
    whole image is scaled to a square of ``tiles * size`` pixels, which the
    caller cuts into ``tiles * tiles`` inputs, so that small things stay visible.

    Parameters
    ----------
    size : int, default=224
        Height and width of the backbone's input in pixels.
    crop_pct : float, default=0.875
        Share of the short side that is kept, in ``(0, 1]``. Unused with tiles.
    interpolation : {"bicubic", "bilinear"}, default="bicubic"
        How pixels are resampled, always with antialiasing.
    crop : tuple of 4 floats, optional
        ``(left, top, right, bottom)`` of the part of the upright image to look
        at, as fractions in ``[0, 1]`` of its width and height. It is cut first.
    tiles : int, default=1
        Number of tiles along each side.
    white : int, default=65535
        The value of white in 16-bit images, one for the whole data set
        (`white_level` finds it), in ``[1, 65535]``. 8-bit images ignore it.
    resize : {"shortest", "squash"}, default="shortest"
        Squash: the whole image is scaled to the square, its proportions are
        not kept and ``crop_pct`` is unused, as for SigLIP.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> preprocess = Preprocess(size=224)
    >>> preprocess(Image.new("RGB", (500, 375), "red")).shape
    (224, 224, 3)
    >>> preprocess.region(512, 256)
    (144.0, 16.0, 368.0, 240.0)
    """

    size: int = 224
    crop_pct: float = 0.875
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    crop: Box | None = None
    tiles: int = 1
    white: int = 65535
    resize: Literal["shortest", "squash"] = "shortest"

    def __post_init__(self) -> None:
        rules = {
            "size": ("an integer of at least 1", _is_int(self.size) and self.size >= 1),
            "crop_pct": ("in (0, 1]", 0 < self.crop_pct <= 1),
            "interpolation": ("'bicubic' or 'bilinear'", self.interpolation in _RESAMPLING),
            "crop": ("0 <= left < right <= 1 and 0 <= top < bottom <= 1", _is_box(self.crop)),
            "tiles": ("an integer of at least 1", _is_int(self.tiles) and self.tiles >= 1),
            "white": ("in [1, 65535]", _is_int(self.white) and 1 <= self.white <= 65535),
            "resize": ("'shortest' or 'squash'", self.resize in _RESIZING),
        }
        for name, (expected, is_valid) in rules.items():
            if not is_valid:
                raise ValueError(
                    f"The {name!r} of a Preprocess must be {expected}. "
                    f"Got {getattr(self, name)!r} instead."
                )

    @property
    def side(self) -> int:
        """Height and width of the array in pixels."""
        return self.tiles * self.size

    def region(self, width: int, height: int) -> Box:
        """Return the part of an upright image that becomes the whole array.

        Parameters
        ----------
        width, height : int
            Size of the image in pixels.

        Returns
        -------
        tuple of 4 floats
            ``(left, top, right, bottom)`` in pixels of the image.
        """
        left, top, right, bottom = _pixels(self.crop, width, height)
        if self.tiles > 1 or self.resize == "squash":
            return left, top, right, bottom
        wide, high = right - left, bottom - top
        scaled_wide, scaled_high = _scaled(wide, high, math.floor(self.size / self.crop_pct))
        x, y = round((scaled_wide - self.size) / 2.0), round((scaled_high - self.size) / 2.0)
        return (
            left + x * wide / scaled_wide,
            top + y * high / scaled_high,
            left + (x + self.size) * wide / scaled_wide,
            top + (y + self.size) * high / scaled_high,
        )

    def cut(self, image: Image.Image, region: Box) -> UInt8:
        """Return one part of an image scaled to the array.

        Rows are scaled first, then columns, whatever order Pillow would choose:
        the order shows in the last bit, and versions of Pillow differ in it.

        Parameters
        ----------
        image : PIL.Image.Image
            Any mode that converts to RGB.
        region : tuple of 4 floats
            ``(left, top, right, bottom)`` in pixels of the image.

        Returns
        -------
        ndarray of shape (side, side, 3), uint8
        """
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        left, top, right, bottom = region
        filter_ = _RESAMPLING[self.interpolation]
        first, rows = _rows(top, bottom, self.side, rgb.height)
        if rows < rgb.height:
            rgb = rgb.crop((0, first, rgb.width, first + rows))
        wide = (max(left, 0.0), 0.0, min(right, rgb.width), rows)
        high = (0.0, max(top - first, 0.0), self.side, min(bottom - first, rows))
        narrow = rgb.resize((self.side, rows), filter_, wide)
        return np.asarray(narrow.resize((self.side, self.side), filter_, high))

    def __call__(self, image: Image.Image) -> UInt8:
        """Return the array of an upright image, uint8 of shape (side, side, 3)."""
        return self.cut(image, self.region(*image.size))

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as JSON values.

        ``resize`` stands there only where it is not the default: fingerprints of vectors and models
        that are older than it stay as they are.
        """
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return (
            values if self.resize != "shortest" else {k: values[k] for k in values if k != "resize"}
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Return the object that `to_dict` wrote; missing parameters have their default.

        Raises
        ------
        ValueError
            If a parameter is unknown or out of range.
        """
        names = [field.name for field in fields(cls)]
        unknown = [f"{k!r}{did_you_mean(k, names)}" for k in values if k not in names]
        if unknown:
            raise ValueError(
                f"Unknown preprocessing: {listed(unknown)}. Expected {listed(names, most=9)}."
            )
        crop = values.get("crop")
        return cls(**{**values, "crop": None if crop is None else tuple(crop)})


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_box(crop: Sequence[float] | None) -> bool:
    if crop is None:
        return True
    return len(crop) == 4 and 0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1


def _pixels(crop: Box | None, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the crop in whole pixels, at least one each way."""
    if crop is None:
        return 0, 0, width, height
    left, top = min(round(crop[0] * width), width - 1), min(round(crop[1] * height), height - 1)
    return left, top, max(round(crop[2] * width), left + 1), max(round(crop[3] * height), top + 1)


def _rows(top: float, bottom: float, side: int, height: int) -> tuple[int, int]:
    """Return the first row and the number of rows that scaling ``top`` to ``bottom`` looks at."""
    reach = 2 * max((bottom - top) / side, 1.0) + 1
    first = max(math.floor(top - reach), 0)
    return first, min(math.ceil(bottom + reach), height) - first


def _scaled(width: int, height: int, short: int) -> tuple[int, int]:
    """Return the size at which the short side is ``short``, rounded down as torchvision does."""
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short
