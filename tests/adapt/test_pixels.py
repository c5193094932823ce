from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the train extra")

import handful.adapt.pixels as module
from handful.adapt import Pixels
from handful.core import ImageError
from handful.images import Preprocess


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        Image.new("RGB", (30 + i, 40), (40 * i, 10, 20)).save(path)
    return paths


def test_an_image_that_cannot_be_decoded_is_named(files: list[Path], tmp_path: Path) -> None:
    files[2].write_bytes(b"not an image")
    with pytest.raises(ImageError, match=r"2\.png.*Move it away"):
        Pixels(files, list("abcde"), Preprocess(size=20), tmp_path / "cache", quiet=True)


def test_squares_are_kept_in_a_file_and_read_again(files: list[Path], tmp_path: Path) -> None:
    names = [path.stem for path in files]
    made = Pixels(files, names, Preprocess(size=20), tmp_path / "cache", quiet=True)
    assert made[3].size == (23, 23)
    assert np.asarray(made[3])[10, 10].tolist() == [120, 10, 20]
    for path in files:
        path.unlink()
    again = Pixels(files, names, Preprocess(size=20), tmp_path / "cache", quiet=True)
    assert [again[i].getpixel((1, 1)) for i in range(5)] == [
        made[i].getpixel((1, 1)) for i in range(5)
    ]
    part = again.subset(np.array([4, 1]))
    assert len(part) == 2
    assert part[1].getpixel((1, 1)) == (40, 10, 20)


def test_other_images_or_sizes_are_other_files(files: list[Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Pixels(files, list("abcde"), Preprocess(size=20), cache, quiet=True)
    Pixels(files, list("abcdf"), Preprocess(size=20), cache, quiet=True)
    Pixels(files, list("abcde"), Preprocess(size=22), cache, quiet=True)
    assert len(list(cache.glob("pixels-*.npy"))) == 3


def test_too_many_are_decoded_when_seen(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 10)
    made = Pixels(files, list("abcde"), Preprocess(size=20), tmp_path / "cache", quiet=True)
    assert not (tmp_path / "cache").exists()
    assert made[2].getpixel((5, 5)) == (80, 10, 20)
