"""Random views of an image, fast enough for a CPU that also trains.

A view is a crop, a mirror image and a change of colours. Crop and scaling are
one call of Pillow, and all changes of colour are affine, so that brightness,
contrast, saturation, hue and grey together are one 3 × 4 matrix a view.
torchvision does each by itself, with the checks of a general tool around each,
and takes five times as long at 64 pixels. Its RandAugment is used as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import v2

_RATIO = math.log(4 / 3)  # of the sides of a crop, at most
_MOST_HUE = 0.2  # turns, at jitter 1
_JITTERED = 0.8  # share of views whose colours change
_BLUR_SIGMA = (0.1, 2.0)  # pixels of an image of _BLUR_SIDE pixels
_BLUR_SIDE = 224
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_GREY = np.ones((3, 1)) * _LUMA  # to grey
_CHROMA = np.eye(3) - _GREY  # to what grey lacks
_QUARTER = np.linalg.inv(_TO_YIQ) @ np.array([[0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ _TO_YIQ  # hue


@dataclass(frozen=True)
class View:
    """Draw a random view of an image, uint8 [3, size, size].

    All randomness is torch's global generator: the same seed, the same view.

    Parameters
    ----------
    size : int
        Side of the view in pixels, at least 1.
    scale : tuple of 2 floats, default=(0.35, 1.0)
        Smallest and largest share of the image's area in a crop, in ``(0, 1]``;
        its sides are at most as 4 to 3.
    flip : bool, default=True
        Mirror half of the views.
    turn : bool, default=False
        Turn by 0, 90, 180 or 270 degrees, for images without an upright.
    jitter : float, default=0.0
        Strength ``s`` of the change of colours, in ``[0, 1]``, as in SimCLR [1]_:
        brightness, contrast and saturation are multiplied by a number in
        ``1 ± 0.8 s`` and hue is turned by up to ``0.2 s`` of the circle, in four
        of five views.
    grayscale, blur : float, default=0.0
        Share of grey and of blurred views.
    randaugment : int, default=0
        Strength of two operations of RandAugment [2]_, 0 for none.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Deviations from torchvision's ColorJitter: the order is fixed, values are cut
    off at black and white once at the end, and hue is turned in the YIQ plane,
    where it is linear. A crop that is wider or higher than the image is cut
    where torchvision draws again.

    References
    ----------
    .. [1] Chen et al., "A Simple Framework for Contrastive Learning of Visual
       Representations", ICML 2020, appendix A, https://arxiv.org/abs/2002.05709.
    .. [2] Cubuk et al., "RandAugment", NeurIPS 2020, https://arxiv.org/abs/1909.13719.

    Examples
    --------
    >>> View(32)(Image.new("RGB", (50, 40), "red")).shape
    torch.Size([3, 32, 32])
    """

    size: int
    scale: tuple[float, float] = (0.35, 1.0)
    flip: bool = True
    turn: bool = False
    jitter: float = 0.0
    grayscale: float = 0.0
    blur: float = 0.0
    randaugment: int = 0
    _operations: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        rules = {
            "size": ("at least 1", self.size >= 1),
            "scale": ("two numbers with 0 < low <= high <= 1", 0 < self.scale[0] <= self.scale[1] <= 1),
            "jitter": ("in [0, 1]", 0 <= self.jitter <= 1),
            "grayscale": ("in [0, 1]", 0 <= self.grayscale <= 1),
            "blur": ("in [0, 1]", 0 <= self.blur <= 1),
            "randaugment": ("an integer in [0, 30]", 0 <= self.randaugment <= 30),
        }  # fmt: skip
        for name, (expected, is_valid) in rules.items():
            if not is_valid:
                raise ValueError(
                    f"The {name!r} of a View must be {expected}. Got {getattr(self, name)!r} instead."
                )
        if self.randaugment:
            object.__setattr__(self, "_operations", v2.RandAugment(2, self.randaugment))

    def __call__(self, image: Image.Image) -> Tensor:
        """Return one view of a Pillow image of any mode and size."""
        draw = iter(torch.rand(14).tolist())
        image = _cropped(
            image.convert("RGB"), self.size, self.scale, [next(draw) for _ in range(4)]
        )
        if next(draw) < 0.5 and self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        quarters = int(4 * next(draw))
        if self._operations is not None:
            image = self._operations(image)
        image = self._coloured(image, [next(draw) for _ in range(6)])
        if next(draw) < self.blur:
            low, high = _BLUR_SIGMA
            sigma = (low + (high - low) * next(draw)) * self.size / _BLUR_SIDE
            image = image.filter(ImageFilter.GaussianBlur(sigma))
        view = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return torch.rot90(view, quarters, (1, 2)) if self.turn and quarters else view

    def _coloured(self, image: Image.Image, draws: list[float]) -> Image.Image:
        strength = self.jitter if draws[0] < _JITTERED else 0.0
        is_grey = draws[1] < self.grayscale
        if not strength and not is_grey:
            return image
        brightness, contrast, saturation = (1 + 0.8 * strength * (2 * x - 1) for x in draws[2:5])
        hue = _MOST_HUE * strength * (2 * draws[5] - 1)
        return recoloured(image, brightness, contrast, 0.0 if is_grey else saturation, hue)


def recoloured(
    image: Image.Image, brightness: float, contrast: float, saturation: float, hue: float
) -> Image.Image:
    """Return an RGB image with other colours.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    brightness : float
        Multiplies every value, at least 0.
    contrast : float
        Multiplies the distance from the image's mean grey, at least 0.
    saturation : float
        Multiplies the distance from a pixel's grey; 0 is a grey image.
    hue : float
        Turns around the grey axis, 1 a full circle.

    Examples
    --------
    >>> recoloured(Image.new("RGB", (1, 1), (100, 0, 0)), 1.0, 1.0, 0.0, 0.0).getpixel((0, 0))
    (30, 30, 30)
    """
    mean = float(np.asarray(image.resize((1, 1), Image.Resampling.BOX)).ravel() @ _LUMA)
    angle = 2 * math.pi * hue
    turned = math.cos(angle) * _CHROMA + math.sin(angle) * _QUARTER
    matrix = brightness * contrast * (_GREY + saturation * turned)
    offset = brightness * (1 - contrast) * mean
    return image.convert("RGB", tuple(np.column_stack([matrix, [offset] * 3]).ravel().tolist()))


class LightOptions(TypedDict, total=False):
    """Options of `light_view`, as in `View`; ``scale`` is the smallest share of the area."""

    scale: float
    flip: bool
    turn: bool


class StrongOptions(TypedDict, total=False):
    """Options of `contrastive_view`, as in `View`; ``scale`` is the smallest share of the area."""

    scale: float
    jitter: float
    grayscale: float
    blur: float | None
    turn: bool


def contrastive_view(
    size: int,
    *,
    scale: float = 0.2,
    jitter: float = 0.5,
    grayscale: float = 0.2,
    blur: float | None = None,
    turn: bool = False,
) -> View:
    """Return the strong view of contrastive learning (SimCLR's for small images).

    Parameters
    ----------
    size, scale, jitter, grayscale, blur, turn
        As in `View`; ``scale`` is the smallest share of the area. Without
        ``blur`` half of the views are blurred where ``size`` is over 64 pixels
        and none below. Satellites and factory parts, where colour or the whole
        extent is the class, need a weaker jitter and larger crops.
    """
    blur = (0.5 if size > 64 else 0.0) if blur is None else blur
    return View(size, (scale, 1.0), True, turn, jitter, grayscale, blur)


def light_view(size: int, *, scale: float = 0.5, flip: bool = True, turn: bool = False) -> View:
    """Return the weak view of rotation and masked prediction: crop and mirror image."""
    return View(size, (scale, 1.0), flip, turn)


def finetune_view(
    size: int,
    *,
    scale: tuple[float, float] = (0.35, 1.0),
    flip: bool = True,
    turn: bool = False,
    jitter: float = 0.0,
    randaugment: int = 0,
) -> View:
    """Return the view of fine-tuning; parameters as in `View`."""
    return View(size, scale, flip, turn, jitter, randaugment=randaugment)


def cutmix(x: Tensor, alpha: float = 1.0) -> tuple[Tensor, Tensor, float]:
    """Return images with a rectangle of another image of the batch in each.

    Parameters
    ----------
    x : Tensor of shape (n, 3, h, w)
    alpha : float, default=1.0
        Of the beta distribution of the share that is kept, above 0.

    Returns
    -------
    mixed : Tensor of shape (n, 3, h, w)
    other : Tensor of shape (n,), int64
        Row of the image in the rectangle.
    share : float
        Share of the area that is the row's own image, in ``[0, 1]``.

    References
    ----------
    .. [1] Yun et al., "CutMix", ICCV 2019, https://arxiv.org/abs/1905.04899.
       Deviation: the rectangle lies wholly inside.
    """
    height, width = x.shape[2:]
    left_out = math.sqrt(1 - float(torch.distributions.Beta(alpha, alpha).sample()))
    h, w = round(height * left_out), round(width * left_out)
    top, left = (int(torch.randint(0, n + 1, ())) for n in (height - h, width - w))
    other = torch.randperm(len(x), device=x.device)
    mixed = x.clone()
    mixed[:, :, top : top + h, left : left + w] = x[other, :, top : top + h, left : left + w]
    return mixed, other, 1 - h * w / (height * width)


def _cropped(
    image: Image.Image, size: int, scale: tuple[float, float], draws: list[float]
) -> Image.Image:
    area = (scale[0] + (scale[1] - scale[0]) * draws[0]) * image.width * image.height
    ratio = math.exp(_RATIO * (2 * draws[1] - 1))
    width = min(math.sqrt(area * ratio), float(image.width))
    height = min(math.sqrt(area / ratio), float(image.height))
    left, top = draws[2] * (image.width - width), draws[3] * (image.height - height)
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    return image.resize((size, size), Image.Resampling.BICUBIC, box)
