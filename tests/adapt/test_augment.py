"""Random views: shapes, seeds, and colours that agree with torchvision's."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the train extra")
from torchvision.transforms.v2 import functional as tv  # noqa: E402

from handful.adapt.augment import (  # noqa: E402
    View,
    contrastive_view,
    cutmix,
    finetune_view,
    light_view,
    recoloured,
)

VIEWS = [
    contrastive_view(24, turn=True, blur=0.5),
    light_view(24),
    finetune_view(24, randaugment=9, jitter=0.3),
]


def seeded(view: View, image: Image.Image, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return view(image)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_seed_is_a_view(view: View, mode: str, photo: Callable[..., Image.Image]) -> None:
    image = photo(1, 40, 30).convert(mode)
    first = seeded(view, image, 5)
    assert first.shape == (3, 24, 24) and first.dtype == torch.uint8
    assert torch.equal(first, seeded(view, image, 5))
    assert torch.equal(first, seeded(pickle.loads(pickle.dumps(view)), image, 5))
    assert any(not torch.equal(first, seeded(view, image, seed)) for seed in range(6, 9))


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    size=st.integers(1, 40),
    low=st.floats(0.01, 1.0),
    seed=st.integers(0, 2**31),
)
def test_any_image_gives_any_view(
    width: int, height: int, size: int, low: float, seed: int
) -> None:
    view = View(size, (low, 1.0), jitter=1.0, grayscale=0.5, blur=0.5, turn=True)
    assert seeded(view, Image.new("RGB", (width, height), "teal"), seed).shape == (3, size, size)


def test_the_whole_image_is_its_own_view(photo: Callable[..., Image.Image]) -> None:
    image = Image.new("RGB", (8, 8), (1, 2, 3))
    assert torch.equal(seeded(View(8, (1.0, 1.0), False), image, 0), tv.pil_to_tensor(image))


def test_turns_and_mirrors_are_all_eight() -> None:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    view = View(2, (1.0, 1.0), turn=True)
    corners = {
        tuple(view(Image.fromarray(np.asarray(image)))[0].flatten().tolist()) for _ in range(200)
    }
    assert len(corners) >= 8


def close(a: Image.Image, b: Image.Image, levels: int = 2) -> None:
    difference = np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int))
    assert difference.max() <= levels, difference.max()


def test_colours_agree_with_torchvision(photo: Callable[..., Image.Image]) -> None:
    image = photo(3, 32, 32).point(lambda value: 60 + value * 0.5)  # nothing is cut off
    close(recoloured(image, 1, 1, 1, 0), image, 1)
    close(recoloured(image, 0.7, 1, 1, 0), tv.adjust_brightness(image, 0.7))
    close(recoloured(image, 1, 0.6, 1, 0), tv.adjust_contrast(image, 0.6))
    close(recoloured(image, 1, 1, 0.4, 0), tv.adjust_saturation(image, 0.4))
    close(recoloured(image, 1, 1, 0, 0), tv.rgb_to_grayscale(image, 3))


def test_hue_turns_colour_and_keeps_grey() -> None:
    grey = Image.new("RGB", (4, 4), (90, 90, 90))
    close(recoloured(grey, 1, 1, 1, 0.2), grey, 1)
    red = Image.new("RGB", (4, 4), (150, 90, 90))
    turned = recoloured(red, 1, 1, 1, 1 / 3).getpixel((0, 0))
    assert int(np.argmax(turned)) == int(np.argmax(tv.adjust_hue(red, 1 / 3).getpixel((0, 0))))
    close(recoloured(red, 1, 1, 1, 0).convert("L"), recoloured(red, 1, 1, 1, 0.1).convert("L"))


def test_cutmix_shares_are_areas() -> None:
    torch.manual_seed(0)
    x = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 3, 20, 20)
    for _ in range(20):
        mixed, other, share = cutmix(x)
        kept = (mixed == x).float().mean((1, 2, 3))
        moved = other != torch.arange(5)
        torch.testing.assert_close(kept[moved], torch.full_like(kept[moved], share))
        assert (kept[~moved] == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": (0.0, 1.0)}, "'scale' of a View"),
        ({"scale": (0.9, 0.2)}, "'scale' of a View"),
        ({"jitter": 1.5}, r"'jitter' of a View must be in \[0, 1\]. Got 1.5"),
        ({"randaugment": -1}, "'randaugment'"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        View(32, **options)
