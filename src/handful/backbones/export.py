"""Any torch module as a backbone: exported to ONNX once, checked against torch, then run without it."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from handful.backbones.onnx import OnnxBackbone, normalise
from handful.backbones.onnx_files import parse_onnx
from handful.backbones.protocol import BackboneSpec
from handful.core import BackboneError, Float32, MissingExtraError, UInt8
from handful.images import Preprocess

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-3


def from_torch(
    module: nn.Module,
    preprocess: Preprocess,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    name: str,
    licence: str = "unknown",
    pretrained_on: str = "unknown",
) -> OnnxBackbone:
    """Return a torch module as an ordinary backbone.

    Parameters
    ----------
    module : torch.nn.Module
        Takes float32 [n, 3, size, size], normalised, and returns [n, dim]. It
        is exported in evaluation mode; its own mode is restored.
    preprocess : Preprocess
        How an image becomes the module's input, before normalisation.
    mean, std : sequence of 3 floats
        The normalisation, in units where white is 1.
    name, licence, pretrained_on : str
        For the backbone's record.

    Returns
    -------
    OnnxBackbone
        Its vectors were compared with torch's on random images.

    Raises
    ------
    BackboneError
        If the module cannot be exported, or ONNX and torch differ by more than
        1e-3 of the largest value.
    MissingExtraError
        If torch or its exporter is not installed.
    """
    model = normalise(parse_onnx(_export(module, preprocess.size), name), mean, std)
    backbone = OnnxBackbone(model, BackboneSpec(name, "", preprocess, 0, licence, pretrained_on))
    if preprocess.tiles == 1:
        _verify(backbone, module, mean, std)
    return backbone


def _export(module: nn.Module, size: int) -> bytes:
    try:
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise MissingExtraError("Exporting a torch module", str(error.name), "train") from error
    was_training = module.training
    example = torch.zeros(2, 3, size, size, device=next(module.parameters()).device)
    file = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(), (example,), dynamo=True, opset_version=18, verbose=False,
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},), input_names=["input"], output_names=["embedding"],
            )  # fmt: skip
            program.save(file)
    except Exception as error:  # the exporter raises types of its own
        raise BackboneError(
            f"The torch module cannot be exported to ONNX: {str(error).splitlines()[0]}"
        ) from error
    finally:
        module.train(was_training)
    model = onnx.load_model_from_string(file.getvalue())
    return model.SerializeToString()


def _verify(
    backbone: OnnxBackbone, module: nn.Module, mean: Sequence[float], std: Sequence[float]
) -> None:
    images = np.random.default_rng(0).integers(
        0, 256, (3, *[backbone.spec.preprocess.side] * 2, 3), dtype=np.uint8
    )
    expected, got = torch_vectors(module, images, mean, std), backbone.embed(images)
    worst = float(np.abs(expected - got).max() / max(np.abs(expected).max(), 1e-12))
    if not worst <= TOLERANCE:
        raise BackboneError(
            f"Exporting {backbone.spec.name!r} changed its vectors by {worst:.1e} of the "
            f"largest value (at most {TOLERANCE:.0e})."
        )


def torch_vectors(
    module: nn.Module, images: UInt8, mean: Sequence[float], std: Sequence[float]
) -> Float32:
    """Return what the torch module itself gives for uint8 images [n, h, w, 3], float32 [n, dim]."""
    import torch

    device: Any = next(module.parameters()).device
    scale = torch.tensor(np.array([mean, std], np.float32) * 255, device=device).reshape(
        2, 1, 3, 1, 1
    )
    was_training = module.training
    with torch.inference_mode():
        x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float()
        vectors = module.eval()((x - scale[0]) / scale[1]).float().cpu().numpy()
    module.train(was_training)
    return vectors
