import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handful.images import Preprocess

from .conftest import photo_like

SIZES = [(500, 375), (375, 500), (224, 298), (256, 256), (640, 480), (301, 257), (1000, 224)]
INTERPOLATIONS = ["bicubic", "bilinear"]
GOLDEN = Path(__file__).with_name("torchvision_eval.npz")
GOLDEN_SIZES = [(90, 60), (61, 83), (40, 40)]


def full_resize_then_crop(image: Image.Image, interpolation: str, short: int, size: int) -> Any:
    """timm's evaluation transform spelt out in Pillow, rows before columns."""
    width, height = image.size
    scale = short / min(width, height)
    wide = short if width <= height else int(short * width / height)
    high = short if height <= width else int(short * height / width)
    assert abs(wide - width * scale) < 1 and abs(high - height * scale) < 1
    filter_ = Image.Resampling[interpolation.upper()]
    whole = image.resize((wide, height), filter_).resize((wide, high), filter_)
    left, top = round((wide - size) / 2.0), round((high - size) / 2.0)
    return np.asarray(whole.crop((left, top, left + size, top + size)))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_one_tile_equals_resizing_the_whole_image_and_cropping(
    size: tuple[int, int], interpolation: str
) -> None:
    image = photo_like(*size)
    ours = Preprocess(interpolation=interpolation)(image)  # type: ignore[arg-type]
    theirs = full_resize_then_crop(image, interpolation, 256, 224)
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


@pytest.mark.parametrize("crop_pct", [0.875, 0.9, 1.0])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_parity_with_torchvision_as_timm_calls_it(
    size: tuple[int, int], interpolation: str, crop_pct: float
) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    image = photo_like(*size)
    theirs = transforms.Compose(
        [
            transforms.Resize(
                int(224 / crop_pct), transforms.InterpolationMode(interpolation), antialias=True
            ),
            transforms.CenterCrop(224),
        ]
    )(image)
    ours = Preprocess(interpolation=interpolation, crop_pct=crop_pct)(image)  # type: ignore[arg-type]
    difference = np.abs(ours.astype(int) - np.asarray(theirs))
    assert difference.max() <= 3 and difference.mean() < 0.1


def test_parity_with_timms_own_transform() -> None:
    timm_data = pytest.importorskip("timm.data")
    transform = timm_data.create_transform(
        (3, 224, 224), interpolation="bicubic", crop_pct=0.875, mean=(0, 0, 0), std=(1, 1, 1)
    )
    image = photo_like(500, 375)
    theirs = np.rint(transform(image).numpy().transpose(1, 2, 0) * 255)
    assert np.abs(Preprocess()(image).astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", GOLDEN_SIZES)
def test_parity_with_stored_output_of_torchvision(
    size: tuple[int, int], interpolation: str
) -> None:
    stored = np.load(GOLDEN)
    image, theirs = stored[f"image_{size[0]}"], stored[f"{interpolation}_{size[0]}"]
    ours = Preprocess(size=32, interpolation=interpolation)(Image.fromarray(image))  # type: ignore[arg-type]
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 2 and difference.mean() < 0.1  # ties of simple ratios


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", GOLDEN_SIZES)
def test_stored_output_is_what_torchvision_gives(size: tuple[int, int], interpolation: str) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    stored = np.load(GOLDEN)
    image = Image.fromarray(stored[f"image_{size[0]}"])
    resize = transforms.Resize(36, transforms.InterpolationMode(interpolation), antialias=True)
    theirs = np.asarray(transforms.CenterCrop(32)(resize(image)))
    assert np.abs(theirs.astype(int) - stored[f"{interpolation}_{size[0]}"]).max() <= 2


def test_region_of_a_crop_is_inside_it() -> None:
    region = Preprocess(size=100, crop=(0.5, 0.0, 1.0, 0.5)).region(400, 200)
    assert region[0] >= 200 and region[3] <= 100


def test_crop_then_preprocess_equals_preprocessing_the_cut_out_part() -> None:
    image = photo_like(400, 300)
    ours = Preprocess(size=64, crop=(0.25, 0.1, 0.75, 0.9))(image)
    cut = Preprocess(size=64)(image.crop((100, 30, 300, 270)))
    assert np.abs(ours.astype(int) - cut).max() <= 1


def test_squash_scales_the_whole_image() -> None:
    image = photo_like(300, 200)
    ours = Preprocess(size=64, resize="squash", crop_pct=0.5)(image)
    theirs = np.asarray(image.resize((64, 64), Image.Resampling.BICUBIC))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert "resize" not in Preprocess().to_dict()  # older fingerprints hold


def test_tiles_squash_the_whole_image() -> None:
    image = photo_like(300, 100)
    array = Preprocess(size=32, tiles=3)(image)
    assert array.shape == (96, 96, 3)
    assert np.abs(array.astype(int) - np.asarray(image.resize((96, 96)))).max() <= 3


@given(width=st.integers(1, 400), height=st.integers(1, 400), tiles=st.integers(1, 3))
def test_region_lies_in_the_image(width: int, height: int, tiles: int) -> None:
    left, top, right, bottom = Preprocess(tiles=tiles).region(width, height)
    slack = 1e-9 * max(width, height)
    assert -slack <= left < right <= width + slack
    assert -slack <= top < bottom <= height + slack


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"]),
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    crop_pct=st.floats(0.1, 1.0),
    tiles=st.integers(1, 2),
)
def test_any_mode_and_size_gives_the_array(
    mode: str, width: int, height: int, crop_pct: float, tiles: int
) -> None:
    preprocess = Preprocess(size=24, crop_pct=crop_pct, tiles=tiles)
    array = preprocess(Image.new(mode, (width, height)))
    assert array.shape == (preprocess.side, preprocess.side, 3) and array.dtype == np.uint8


def test_one_row_of_twenty_thousand_pixels_needs_no_memory() -> None:
    array = Preprocess()(Image.new("RGB", (20_000, 1), "red"))
    assert array.shape == (224, 224, 3) and (array == (255, 0, 0)).all()


@given(
    size=st.integers(1, 600),
    crop_pct=st.floats(0.01, 1.0),
    interpolation=st.sampled_from(INTERPOLATIONS),
    crop=st.none() | st.just((0.0, 0.25, 0.5, 1.0)),
    tiles=st.integers(1, 8),
    white=st.integers(1, 65535),
    resize=st.sampled_from(["shortest", "squash"]),
)
def test_json_both_ways(**fields: Any) -> None:
    preprocess = Preprocess(**fields)
    back = Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict())))
    assert back == preprocess and hash(back) == hash(preprocess)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "The 'size' of a Preprocess must be an integer of at least 1. Got 0 instead"),
        ({"size": 2.5}, "'size'"),
        ({"crop_pct": 0.0}, r"'crop_pct' of a Preprocess must be in \(0, 1\]"),
        ({"crop_pct": float("nan")}, "'crop_pct'"),
        ({"interpolation": "lanczos"}, "'bicubic' or 'bilinear'"),
        ({"crop": (0.5, 0.0, 0.5, 1.0)}, "0 <= left < right <= 1"),
        ({"crop": (0.0, 0.0, 1.1, 1.0)}, "0 <= left < right <= 1"),
        ({"crop": (0.0, 1.0)}, "0 <= left < right <= 1"),
        ({"tiles": True}, "'tiles'"),
        ({"white": 65536}, r"\[1, 65535\]"),
        ({"resize": "longest"}, "'shortest' or 'squash'"),
    ],
)
def test_wrong_parameters_say_what_was_expected(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocess(**fields)


def test_unknown_parameter_suggests_the_known_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'crop_pct'"):
        Preprocess.from_dict({"crop_pt": 0.9})
