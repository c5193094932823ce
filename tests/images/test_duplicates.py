import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from handful.images import confirm_duplicates

from .conftest import photo_like
from .written import png


def recoded(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (
            round(left * width),
            round(top * height),
            round((1 - right) * width),
            round((1 - bottom) * height),
        )
    )


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "same": lambda image: image,
    "quality 50": lambda image: recoded(image, 50),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "double": lambda image: image.resize((image.width * 2, image.height * 2)),
    "3 % crop on every side": lambda image: cut(image, 0.03, 0.03, 0.03, 0.03),
    "3 % crop at one corner": lambda image: cut(image, 0.03, 0.03, 0, 0),
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.9),
}
OTHERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "another photo": lambda image: photo_like(*image.size, seed=99),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.rotate(180),
    "negative": lambda image: image.point(lambda value: 255 - value),
    "12 % crop": lambda image: cut(image, 0.12, 0.12, 0, 0),
    "turned by 3 degrees": lambda image: cut(image.rotate(3), 0.05, 0.05, 0.05, 0.05),
    "colours swapped": lambda image: Image.merge("RGB", image.split()[::-1]),
    "something new in it": lambda image: pasted(image),
}
BURSTS = [
    ("metal", 76, 394),
    ("metal", 50, 120),
    ("paper", 246, 349),
    ("paper", 123, 547),
    ("paper", 53, 314),
    ("paper", 345, 451),
    ("paper", 185, 390),
    ("plastic", 118, 137),
    ("trash", 130, 131),
]


def pasted(image: Image.Image) -> Image.Image:
    changed = image.copy()
    changed.paste((250, 20, 20), (150, 100, 190, 130))
    return changed


@pytest.fixture
def confirmed(tmp_path: Path) -> Callable[[Image.Image, Image.Image], bool]:
    def confirmed(a: Image.Image, b: Image.Image) -> bool:
        a.save(tmp_path / "a.png")
        b.save(tmp_path / "b.png")
        forth, back = confirm_duplicates(
            [(tmp_path / "a.png", tmp_path / "b.png"), (tmp_path / "b.png", tmp_path / "a.png")]
        )
        assert forth == back
        return bool(forth)

    return confirmed


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_edited_copy_is_confirmed(confirmed: Callable[..., bool], edit: str, seed: int) -> None:
    image = photo_like(300, 200, seed)
    assert confirmed(image, EDITS[edit](image))


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_another_picture_is_not(confirmed: Callable[..., bool], other: str, seed: int) -> None:
    image = photo_like(300, 200, seed)
    assert not confirmed(image, OTHERS[other](image))


@pytest.mark.parametrize("shift", [8, 15])
def test_a_shifted_frame_of_one_scene_is_not(confirmed: Callable[..., bool], shift: int) -> None:
    scene = photo_like(340, 240)
    assert not confirmed(
        scene.crop((0, 0, 300, 200)), scene.crop((shift, shift, 300 + shift, 200 + shift))
    )


def test_blank_images_of_one_colour_are_copies_and_of_two_are_not(
    confirmed: Callable[..., bool],
) -> None:
    white, red = Image.new("RGB", (40, 40), "white"), Image.new("RGB", (40, 40), "red")
    assert confirmed(white, white) and not confirmed(white, red)


def test_turned_by_exif_only_is_a_copy(tmp_path: Path) -> None:
    image, exif = photo_like(300, 200), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png")
    image.rotate(90, expand=True).save(tmp_path / "b.jpg", quality=95, exif=exif)
    assert confirm_duplicates([(tmp_path / "a.png", tmp_path / "b.jpg")]).tolist() == [True]


def test_an_unreadable_image_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert not confirm_duplicates([(tmp_path / "a.png", tmp_path / "a.png")]).any()


def test_no_pairs_give_no_answers() -> None:
    answers = confirm_duplicates([])
    assert answers.shape == (0,) and answers.dtype == bool


def test_16_bit_images_are_compared_under_one_white(tmp_path: Path) -> None:
    values = np.asarray(photo_like(60, 60)).astype(np.uint16) * 8
    (tmp_path / "a.png").write_bytes(png(values))
    (tmp_path / "b.png").write_bytes(png(values[::-1]))
    pairs = [(tmp_path / "a.png", tmp_path / name) for name in ("a.png", "b.png")]
    assert confirm_duplicates(pairs, white=2047).tolist() == [True, False]
    assert confirm_duplicates(pairs).tolist() == [True, False]


@pytest.mark.data
def test_bursts_of_real_photos_are_not_copies(real: Path) -> None:
    pairs = [
        (real / "trashnet" / kind / f"{kind}{a}.jpg", real / "trashnet" / kind / f"{kind}{b}.jpg")
        for kind, a, b in BURSTS
    ]
    assert not confirm_duplicates(pairs).any()
