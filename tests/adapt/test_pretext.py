"""Checks before training: on images whose answer is known, and on real ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the train extra")

from handful.adapt.pretext import Verdict, check_pretext  # noqa: E402
from handful.backbones import BackboneSpec, packaged  # noqa: E402
from handful.images import Preprocess, decode  # noqa: E402

SIDE = 24


class Mosaic:
    """A backbone that sees 6 × 6 squares of colour, and passes counted."""

    def __init__(self) -> None:
        self.spec = BackboneSpec("mosaic", "", Preprocess(size=SIDE), 108)
        self.seen = 0

    def embed(self, images: np.ndarray) -> np.ndarray:
        self.seen += len(images)
        squares = images.reshape(len(images), 6, SIDE // 6, 6, SIDE // 6, 3).mean((2, 4))
        return squares.reshape(len(images), -1).astype(np.float32) / 255 + 0.01


def noise(n: int, seed: int = 0) -> np.ndarray:
    """Return smooth colour noise without an upright."""
    coarse = np.random.default_rng(seed).integers(40, 216, (n, 6, 6, 3), dtype=np.uint8)
    pictures = [Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for c in coarse]
    return np.stack([np.asarray(picture) for picture in pictures])


def upright(n: int) -> np.ndarray:
    fade = np.linspace(80, -80, SIDE)[:, None, None]
    return (noise(n) * 0.5 + 64 + fade).clip(0, 255).astype(np.uint8)


def tinted(n: int, *colours: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % len(colours)
    grey = noise(n).mean(axis=3, keepdims=True) * 0.2
    return (grey + np.array(colours)[y][:, None, None]).clip(0, 255).astype(np.uint8), y


def one(images: np.ndarray, check: str, y: np.ndarray | None = None, **options: float) -> Verdict:
    (verdict,) = check_pretext(images, Mosaic(), y, checks=(check,), **options)
    assert verdict.what == check
    assert verdict.value.low <= verdict.value.value <= verdict.value.high
    return verdict


def test_rotation_of_images_without_an_upright_is_warned_of() -> None:
    verdict = one(noise(120), "rotation")
    assert verdict.warn and verdict.value.low < 0.3
    assert "chance 25 %" in verdict.sentence and "--turn" in verdict.sentence
    verdict = one(upright(60), "rotation")
    assert not verdict.warn and verdict.value.value > 0.9
    assert verdict.sentence.endswith("These images have an upright.")


def test_a_class_that_is_a_hue_is_lost_by_jitter() -> None:
    images, y = tinted(120, (140, 90, 60), (140, 82, 68))
    verdict = one(images, "colour", y)
    assert verdict.warn and verdict.value.value > 0.1
    assert "--jitter 0.1" in verdict.sentence
    assert one(images, "colour", y, jitter=0.0).value.value < verdict.value.value


def test_a_tint_that_the_backbone_does_not_see_is_found_by_colours_alone() -> None:
    class Grey(Mosaic):
        def embed(self, images: np.ndarray) -> np.ndarray:
            return super().embed(np.repeat(images.mean(axis=3, keepdims=True), 3, axis=3))

    images, y = tinted(120, (140, 90, 60), (140, 82, 68))
    (verdict,) = check_pretext(images, Grey(), y, checks=("colour",))
    assert verdict.warn and verdict.sentence.startswith("By colours alone")


def test_a_class_that_is_a_shape_is_kept_by_jitter() -> None:
    images, y = upright(80), np.arange(80) % 2
    images[y == 1] = images[y == 1, ::-1]
    verdict = one(images, "colour", y)
    assert not verdict.warn and verdict.value.value < 0.05


@pytest.mark.parametrize("y", [None, np.full(60, -1), np.arange(60)])
def test_without_labels_colour_is_described_not_judged(y: np.ndarray | None) -> None:
    verdict = one(noise(60), "colour", y)
    assert not verdict.warn and verdict.value.value > 0
    assert "cannot be told" in verdict.sentence


def test_crops_that_lose_small_things_are_warned_of() -> None:
    empty = np.full((80, SIDE, SIDE, 3), 100, np.uint8)
    places = np.random.default_rng(0).integers(0, SIDE - 4, (80, 2))
    for image, (top, left) in zip(empty, places, strict=True):
        image[top : top + 3, left : left + 3] = 250
    verdict = one(empty, "crops")
    assert verdict.warn and "--scale 0.6" in verdict.sentence
    colours = np.random.default_rng(1).integers(40, 216, (80, 3))
    plain = np.repeat(np.repeat(colours[:, None, None], SIDE, 1), SIDE, 2).astype(np.uint8)
    assert not one(plain, "crops").warn


def test_equal_images_are_at_chance() -> None:
    verdict = one(np.full((30, SIDE, SIDE, 3), 9, np.uint8), "crops")
    assert verdict.value.value == pytest.approx(0.5, abs=0.01)


def test_few_images_are_not_judged_and_many_are_drawn_from() -> None:
    for verdict in check_pretext(noise(19), Mosaic()):
        assert not verdict.warn and not verdict.value.is_measured
        assert verdict.sentence == "Not checked: 19 images, fewer than 20."
    backbone = Mosaic()
    check_pretext(noise(400), backbone)
    assert backbone.seen == 6 * 150


def test_the_seed_decides_and_torch_is_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = check_pretext(noise(60), Mosaic(), np.arange(60) % 2, random_state=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert check_pretext(noise(60), Mosaic(), np.arange(60) % 2, random_state=3) == first


def test_unknown_checks_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"Unknown check 'color'\. Expected rotation, colour, crops"
    ):
        check_pretext(noise(30), Mosaic(), checks=("color",))


def real(folder: Path, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = [paths[i] for i in np.random.default_rng(5).permutation(len(paths))[:n]]
    preprocess = packaged().spec.preprocess
    y = np.unique([path.parent.name for path in chosen], return_inverse=True)[1]
    return np.stack([decode(path, preprocess) for path in chosen]), y


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("name", "warns"), [("eurosat", True), ("clothing/test", False)])
def test_rotation_is_warned_of_on_satellites_not_on_clothes(
    name: str, warns: bool, data: Callable[[str], Path]
) -> None:
    images, y = real(data(name))
    start = time.process_time()
    verdicts = check_pretext(images, packaged(), y)
    assert time.process_time() - start < 60
    assert [verdict.warn for verdict in verdicts] == [warns, False, False], verdicts
