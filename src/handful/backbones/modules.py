"""A backbone as a torch module with everything known of it, for those who go on training it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handful.backbones.efficientnet_lite import parameter_names
from handful.backbones.packaged import LICENCE, NAME, PRETRAINED_ON, weights_file
from handful.backbones.state_dict import read_state_dict
from handful.backbones.timm import preprocess_of, resize_input, timm_module, trained_on
from handful.core import BackboneError, did_you_mean
from handful.images import Preprocess

if TYPE_CHECKING:
    from torch import nn

_PACKAGED_AS = "tf_efficientnet_lite0"
_MEAN, _STD = (127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255)
Three = tuple[float, float, float]


@dataclass(frozen=True)
class TorchBackbone:
    """A timm model without its classifier, and its record.

    Parameters
    ----------
    module : torch.nn.Module
        float32 [n, 3, size, size], normalised, to float32 [n, dim].
    preprocess : Preprocess
    mean, std : tuple of 3 floats
        The normalisation, in units where white is 1.
    licence, pretrained_on : str
        As in `BackboneSpec`; random weights are pretrained on ``"nothing"``.
    """

    module: nn.Module
    preprocess: Preprocess
    mean: Three
    std: Three
    licence: str = "unknown"
    pretrained_on: str = "nothing"


def load_module(
    name: str = NAME,
    *,
    weights: Path | None = None,
    download: bool = False,
    scratch: bool = False,
    preprocess: dict[str, Any] | None = None,
) -> TorchBackbone:
    """Return a backbone by its name as a torch module.

    Parameters
    ----------
    name : str, default="efficientnet_lite0"
        The packaged one, or ``"timm:NAME"``.
    weights : Path, optional
        Weights for a timm model.
    download : bool, default=False
        Whether missing timm weights may be fetched.
    scratch : bool, default=False
        Random weights, from torch's global generator.
    preprocess : dict, optional
        Fields of `Preprocess` that replace the weights' own.

    Raises
    ------
    BackboneError
        If the name is unknown, or the weights are missing, damaged or under
        99 % of the parameters.
    MissingExtraError
        If timm is not installed.
    """
    family, _, rest = name.partition(":")
    if weights is not None and (scratch or family != "timm"):
        raise BackboneError(f"Weights go with a timm model, not from scratch. Got {name!r}.")
    try:
        if name == NAME:
            return _packaged(scratch, preprocess)
        if family == "timm" and rest:
            return _timm(rest, weights, download, scratch, preprocess)
    except BackboneError:
        raise
    except ValueError as error:  # a preprocessing out of range
        raise BackboneError(str(error)) from error
    raise BackboneError(
        f"No network {name!r}{did_you_mean(name, [NAME])}. Write {NAME!r}, 'timm:NAME' or the "
        "path of a run of `handful adapt`."
    )


def _packaged(scratch: bool, preprocess: dict[str, Any] | None) -> TorchBackbone:
    settings = Preprocess.from_dict({"size": 224, "crop_pct": 1.0, **(preprocess or {})})
    model, _ = timm_module(_PACKAGED_AS, scratch=True)
    if scratch:
        return TorchBackbone(model, settings, _MEAN, _STD)
    import torch

    weights = read_state_dict(weights_file())
    own = [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    theirs = [key for key in parameter_names() if not key.startswith("_fc.")]
    state = {o: torch.from_numpy(weights[t]) for o, t in zip(own, theirs, strict=True)}
    model.load_state_dict(state, strict=False)
    return TorchBackbone(model, settings, _MEAN, _STD, LICENCE, PRETRAINED_ON)


def _timm(
    name: str,
    weights: Path | None,
    download: bool,
    scratch: bool,
    preprocess: dict[str, Any] | None,
) -> TorchBackbone:
    model, config = timm_module(name, weights=weights, download=download, scratch=scratch)
    settings = preprocess_of(config, preprocess)
    resize_input(model, settings.size)
    known = (config.get("license") or "unknown", trained_on(name, weights))
    return TorchBackbone(
        model, settings, tuple(config["mean"]), tuple(config["std"]), *(() if scratch else known)
    )
