"""A backbone that ONNX Runtime runs: the one kind that is embedded with and put into a bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from handful.backbones.onnx_files import parse_onnx
from handful.backbones.protocol import BackboneSpec
from handful.core import BackboneError, Float32, UInt8
from handful.images import Preprocess

SIDECAR = (
    '{"size": 224, "crop_pct": 0.875, "interpolation": "bicubic", '
    '"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
)


class OnnxBackbone:
    """A graph from uint8 images to float32 vectors, run by ONNX Runtime on one thread a call.

    Calls from several threads run side by side, which the embedding pipeline
    uses; that is faster here than one call on several threads.

    Parameters
    ----------
    model : onnx.ModelProto
        One input, uint8 [n, side, side, 3], and one output, float32 [n, dim].
    spec : BackboneSpec
        ``fingerprint`` and ``dim`` are worked out here and may be empty.

    Raises
    ------
    BackboneError
        If the graph's input or output has another type or shape.
    """

    def __init__(self, model: onnx.ModelProto, spec: BackboneSpec) -> None:
        tiles = spec.preprocess.tiles
        size = spec.preprocess.size
        self.model = pool_tiles(model, tiles, size) if tiles > 1 else model
        self._content = self.model.SerializeToString()
        self._session = session(self._content)
        side = spec.preprocess.side
        probe = self.embed(np.zeros((1, side, side, 3), np.uint8))
        if probe.ndim != 2:
            raise BackboneError(
                f"Backbone {spec.name!r} must return one vector an image. Got the shape {probe.shape[1:]}."
            )
        self.spec = replace(
            spec, dim=probe.shape[1], fingerprint=self._fingerprint(spec.preprocess)
        )

    def embed(self, images: UInt8) -> Float32:
        """Return the vectors of preprocessed images, float32 [n, dim]; BackboneError if not finite."""
        vectors: Float32 = self._session.run(None, {self._session.get_inputs()[0].name: images})[0]
        if not np.isfinite(vectors).all():
            raise BackboneError(
                "The backbone gave a vector that is not a number. Check its mean and std, or take "
                "another: `handful backbones` lists them."
            )
        return vectors

    def _fingerprint(self, preprocess: Preprocess) -> str:
        digest = hashlib.blake2b(self._content, digest_size=16)
        digest.update(json.dumps(preprocess.to_dict(), sort_keys=True).encode())
        return digest.hexdigest()


def session(content: bytes, device: str = "cpu") -> Any:
    """Return an ONNX Runtime session of one thread for a serialised graph, on ``"cpu"`` or ``"cuda"``."""
    import onnxruntime

    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device]
    if provider not in onnxruntime.get_available_providers():
        raise BackboneError(
            "This ONNX Runtime has no CUDA. Install it in place of the other: pip uninstall onnxruntime; "
            "pip install onnxruntime-gpu"
        )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # what was checked is ONNX: bytes that are also ONNX Runtime's own format stay ONNX
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return onnxruntime.InferenceSession(content, options, providers=[provider])


def load_onnx(path: Path, preprocess: dict[str, Any] | None = None) -> OnnxBackbone:
    """Return the backbone in an ONNX file.

    Its preprocessing stands in the file's own metadata (key
    ``handful.preprocess``) or in a JSON file beside it, ``NAME.json``. A graph
    that takes float images, channels first, needs ``mean`` and ``std`` there
    (in units of 0 to 1); they are then written into the graph.

    Parameters
    ----------
    path : Path
        The file.
    preprocess : dict, optional
        Fields of `Preprocess` that replace the file's.

    Raises
    ------
    BackboneError
        If the file is unsafe, its input is of another form, or its
        preprocessing is unknown.
    """
    if not path.is_file():
        raise BackboneError(
            f"No such file: {str(path)!r}. Give the path of an ONNX file after 'onnx:'."
        )
    model = parse_onnx(path.read_bytes(), path.name)
    config = _config(model, path)
    mean, std = config.pop("mean", None), config.pop("std", None)
    licence, trained_on = config.pop("licence", "unknown"), config.pop("pretrained_on", "unknown")
    takes_bytes = _input_type(model, path) == TensorProto.UINT8
    if not takes_bytes:
        if mean is None or std is None:
            raise BackboneError(
                f"{path.name!r} takes float images, but its mean and std are unknown. Write "
                f"them to {path.name}.json, such as {SIDECAR}"
            )
        model = _normalised(model, mean, std, path)
    try:
        settings = Preprocess.from_dict({**config, **(preprocess or {})})
    except (TypeError, ValueError) as error:
        raise BackboneError(f"The preprocessing of {path.name!r} is wrong: {error}") from error
    spec = BackboneSpec(f"onnx:{path.name}", "", settings, 0, licence, trained_on)
    try:
        return OnnxBackbone(model, spec)
    except BackboneError:
        raise
    except Exception as error:  # ONNX Runtime raises types of its own
        raise BackboneError(
            f"{path.name!r} does not run on images of {settings.side} px: {str(error).splitlines()[0]}"
        ) from error


def _config(model: onnx.ModelProto, path: Path) -> dict[str, Any]:
    text = {item.key: item.value for item in model.metadata_props}.get("handful.preprocess")
    beside = path.with_name(path.name + ".json")
    if beside.is_file():
        text = beside.read_text(encoding="utf-8")
    if text is None:
        raise BackboneError(
            f"The preprocessing of {path.name!r} is unknown. Write it to {beside.name} beside it, such as {SIDECAR}"
        )
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise BackboneError(f"The preprocessing of {path.name!r} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise BackboneError(
            f"The preprocessing of {path.name!r} must be a JSON object. Got {text[:60]!r}."
        )
    return config


def _normalised(model: onnx.ModelProto, mean: Any, std: Any, path: Path) -> onnx.ModelProto:
    for name, value in (("mean", mean), ("std", std)):
        is_three = isinstance(value, list) and len(value) == 3
        if not is_three or not all(isinstance(x, int | float) for x in value):
            raise BackboneError(
                f"The {name!r} of {path.name!r} must be a list of three numbers. Got {value!r}."
            )
    if min(std) <= 0:
        raise BackboneError(f"The 'std' of {path.name!r} must be above 0. Got {std!r}.")
    return normalise(model, mean, std)


def _input_type(model: onnx.ModelProto, path: Path) -> int:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise BackboneError(
            f"{path.name!r} must take one batch of images (four axes). Got {len(inputs)} inputs."
        )
    kind: int = inputs[0].type.tensor_type.elem_type
    if kind not in (TensorProto.UINT8, TensorProto.FLOAT):
        raise BackboneError(f"{path.name!r} must take uint8 [n, h, w, 3] or float32 [n, 3, h, w].")
    return kind


def normalise(
    model: onnx.ModelProto, mean: Sequence[float], std: Sequence[float]
) -> onnx.ModelProto:
    """Return ``model`` (float, channels first) with uint8 [n, h, w, 3] as its input.

    Parameters
    ----------
    model : onnx.ModelProto
        Takes float32 [n, 3, h, w], normalised.
    mean, std : sequence of 3 floats
        In units where white is 1.
    """
    graph = model.graph
    name = graph.input[0].name
    height, width = (
        axis.dim_value or None for axis in graph.input[0].type.tensor_type.shape.dim[2:]
    )
    nodes = [
        helper.make_node("Cast", ["uint8.images"], ["uint8.float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["uint8.float", "uint8.mean"], ["uint8.centred"]),
        helper.make_node("Div", ["uint8.centred", "uint8.std"], ["uint8.scaled"]),
        helper.make_node("Transpose", ["uint8.scaled"], [name], perm=[0, 3, 1, 2]),
    ]
    constants = [
        numpy_helper.from_array(np.asarray(value, np.float32) * np.float32(255), key)
        for key, value in (("uint8.mean", mean), ("uint8.std", std))
    ]
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    del wrapped.graph.node[:], wrapped.graph.input[:]
    wrapped.graph.node.extend([*nodes, *graph.node])
    wrapped.graph.initializer.extend(constants)
    wrapped.graph.input.append(
        helper.make_tensor_value_info(
            "uint8.images", TensorProto.UINT8, ["n", height or "h", width or "w", 3]
        )
    )
    return wrapped


def pool_tiles(model: onnx.ModelProto, tiles: int, size: int) -> onnx.ModelProto:
    """Return ``model`` run on each of ``tiles`` × ``tiles`` squares, pooled by maximum and mean.

    A small defect fills little of a whole image; in a tile it fills more, and
    the maximum over tiles keeps it.

    Parameters
    ----------
    model : onnx.ModelProto
        uint8 [n, size, size, 3] to float32 [n, dim].
    tiles : int
        Tiles a side, at least 2.
    size : int
        Height and width of a tile in pixels.

    Returns
    -------
    onnx.ModelProto
        uint8 [n, tiles·size, tiles·size, 3] to float32 [n, 2·dim].
    """
    graph = model.graph
    source, result = graph.input[0].name, graph.output[0].name
    pooled = onnx.ModelProto()
    pooled.CopyFrom(model)
    for part in (
        pooled.graph.node,
        pooled.graph.input,
        pooled.graph.output,
        pooled.graph.value_info,
    ):
        del part[:]
    pooled.graph.node.extend([*_cut(source), *graph.node, *_pool(result)])
    shapes = {
        "tiles.split": [-1, tiles, size, tiles, size, 3],
        "tiles.tile": [-1, size, size, 3],
        "tiles.first": [0],
        "tiles.rest": [tiles * tiles, -1],
    }
    pooled.graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.int64), name) for name, value in shapes.items()
    )
    side = tiles * size
    pooled.graph.input.append(
        helper.make_tensor_value_info("tiles.images", TensorProto.UINT8, ["n", side, side, 3])
    )
    pooled.graph.output.append(
        helper.make_tensor_value_info("tiles.embedding", TensorProto.FLOAT, ["n", None])
    )
    return pooled


def _cut(source: str) -> list[onnx.NodeProto]:
    """Return the nodes from whole images to tiles, row by row."""
    return [
        helper.make_node("Reshape", ["tiles.images", "tiles.split"], ["tiles.grid"]),
        helper.make_node("Transpose", ["tiles.grid"], ["tiles.sorted"], perm=[0, 1, 3, 2, 4, 5]),
        helper.make_node("Reshape", ["tiles.sorted", "tiles.tile"], [source]),
    ]


def _pool(result: str) -> list[onnx.NodeProto]:
    """Return the nodes from the tiles' vectors to one vector an image."""
    return [
        helper.make_node("Shape", ["tiles.images"], ["tiles.shape"]),
        helper.make_node("Gather", ["tiles.shape", "tiles.first"], ["tiles.n"], axis=0),
        helper.make_node("Concat", ["tiles.n", "tiles.rest"], ["tiles.gather"], axis=0),
        helper.make_node("Reshape", [result, "tiles.gather"], ["tiles.vectors"]),
        helper.make_node("Transpose", ["tiles.vectors"], ["tiles.last"], perm=[0, 2, 1]),
        helper.make_node("GlobalMaxPool", ["tiles.last"], ["tiles.max"]),
        helper.make_node("GlobalAveragePool", ["tiles.last"], ["tiles.mean"]),
        helper.make_node("Concat", ["tiles.max", "tiles.mean"], ["tiles.both"], axis=1),
        helper.make_node("Flatten", ["tiles.both"], ["tiles.embedding"]),
    ]
