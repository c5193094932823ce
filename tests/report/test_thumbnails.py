import base64
import io

import pytest
from PIL import Image

from handful.core import ImageError
from handful.report.thumbnails import SIDE, thumbnail_uri


def opened(uri):
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "CMYK", "I;16", "F"])
def test_any_mode_becomes_a_small_jpeg(mode):
    image = opened(thumbnail_uri("a", lambda name: Image.new(mode, (900, 300))))
    assert image.format == "JPEG" and image.mode == "RGB" and image.size == (SIDE, round(SIDE / 3))


def test_nothing_but_pixels_is_kept():
    image = Image.new("RGB", (50, 50), "red")
    exif = image.getexif()
    exif[0x010E] = "the garden of Mrs Smith"
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif, comment=b"secret", icc_profile=b"profile", xmp=b"<x/>")
    source = Image.open(buffer)
    assert source.info.keys() >= {"exif", "comment"}
    result = opened(thumbnail_uri("a", lambda name: source))
    assert not dict(result.getexif())
    assert not result.info.keys() & {"exif", "comment", "icc_profile", "xmp"}


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert opened(thumbnail_uri("a", lambda name: clear)).getpixel((4, 4)) == (255, 255, 255)


def test_the_image_given_is_left_as_it_was():
    image = Image.new("RGB", (900, 300))
    thumbnail_uri("a", lambda name: image)
    assert image.size == (900, 300)


@pytest.mark.parametrize("error", [ImageError("truncated"), FileNotFoundError("gone")])
def test_an_image_that_cannot_be_shown_is_none(error):
    def fail(name):
        raise error

    assert thumbnail_uri("a", fail) is None
    assert thumbnail_uri("a", lambda name: None) is None


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        thumbnail_uri("a", lambda name: 1 / 0)
