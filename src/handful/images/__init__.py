"""Reading images: decoding, preprocessing, the white of 16-bit data sets, near-duplicates."""

from handful.images.decode import decode, shorter_side, thumbnail
from handful.images.duplicates import confirm_duplicates
from handful.images.formats import IMAGE_SUFFIXES, MAX_PIXELS, may_pass
from handful.images.preprocess import Preprocess
from handful.images.sixteen_bit import white_level

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Preprocess",
    "confirm_duplicates",
    "decode",
    "may_pass",
    "shorter_side",
    "thumbnail",
    "white_level",
]
