from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handful.core import ImageError
from handful.images import Preprocess
from handful.jobs.workspace import some_pixels
from handful.project import Project


def test_files_that_can_no_longer_be_read_are_passed_over(digits: Callable[..., Path]) -> None:
    with Project.open(digits(3, classes="01")) as project:
        project.scan(quiet=True)
        images = project.images()
    images[0].path.unlink()
    images[2].path.write_bytes(b"not an image")
    pixels = some_pixels(images, Preprocess(size=32), 3, 0)
    assert pixels.shape == (3, 32, 32, 3)
    assert len(some_pixels(images, Preprocess(size=32), 99, 0)) == 4
    with pytest.raises(ImageError):
        some_pixels(images[:1], Preprocess(size=32), 3, 0)
