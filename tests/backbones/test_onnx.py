from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from handful.backbones import load_backbone, load_onnx, packaged, parse_onnx
from handful.core import BackboneError

CONFIG = {"size": 32, "crop_pct": 1.0, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def float_model(
    domain: str = "", op: str = "GlobalAveragePool", name: str = "x"
) -> onnx.ModelProto:
    """Return a graph that averages each channel of float images, channels first."""
    nodes = [
        helper.make_node(op, [name], ["p"], domain=domain),
        helper.make_node("Flatten", ["p"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes, "means", [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def write(path: Path, model: onnx.ModelProto, config: dict[str, object] | None = None) -> Path:
    path.write_bytes(model.SerializeToString())
    if config is not None:
        path.with_name(path.name + ".json").write_text(json.dumps(config))
    return path


def test_float_graph_gets_its_normalisation_written_in(tmp_path: Path) -> None:
    backbone = load_onnx(write(tmp_path / "means.onnx", float_model(), CONFIG))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = ((images / 255 - 0.5) / 0.25).mean(axis=(1, 2))
    np.testing.assert_allclose(backbone.embed(images), expected, atol=1e-5)
    assert backbone.spec.dim == 3


@pytest.mark.parametrize("tiles", [1, 2])
def test_a_graph_may_call_its_input_images_and_leave_its_size_open(
    tmp_path: Path, tiles: int
) -> None:
    path = write(tmp_path / "means.onnx", float_model(name="images"), CONFIG)
    backbone = load_backbone(f"onnx:{path}", preprocess={"tiles": tiles})
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    images = images[:, : 32 * tiles, : 32 * tiles]
    expected = ((images / 255 - 0.5) / 0.25).mean(axis=(1, 2))
    np.testing.assert_allclose(backbone.embed(images)[:, -3:], expected, atol=1e-5)
    assert backbone.spec.dim == (3 if tiles == 1 else 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_pct": "0.9"}, "The preprocessing of 'means.onnx' is wrong"),
        ({"size": [224]}, "'size' of a Preprocess must be an integer"),
        ({"mean": {}}, "The 'mean' of 'means.onnx' must be a list of three numbers. Got {}"),
        ({"std": [1, "a", 2]}, "The 'std' of 'means.onnx' must be a list of three numbers"),
        ({"std": [1, 0, 1]}, "The 'std' of 'means.onnx' must be above 0"),
    ],
)
def test_wrong_preprocessing_is_one_message(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = write(tmp_path / "means.onnx", float_model(), {**CONFIG, **change})
    with pytest.raises(BackboneError, match=re.escape(message)):
        load_onnx(path)


def test_a_vector_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    model = float_model()
    model.graph.node[1].output[0] = "flat"
    model.graph.node.append(helper.make_node("Log", ["flat"], ["embedding"]))
    with pytest.raises(BackboneError, match="a vector that is not a number"):
        load_onnx(write(tmp_path / "log.onnx", model, CONFIG))


def test_uint8_graph_needs_no_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "lite.onnx", packaged({"size": 64}).model, {"size": 64})
    images = np.zeros((1, 64, 64, 3), np.uint8)
    backbone = load_backbone(f"onnx:{path}")
    np.testing.assert_array_equal(backbone.embed(images), packaged({"size": 64}).embed(images))


def test_preprocessing_can_stand_in_the_file(tmp_path: Path) -> None:
    model = float_model()
    helper.set_model_props(model, {"handful.preprocess": json.dumps(CONFIG)})
    assert load_onnx(write(tmp_path / "own.onnx", model)).spec.preprocess.size == 32


def test_tiles_are_pooled_by_maximum_and_mean() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    small = packaged({"size": 64})
    tiles = [images[:, i : i + 64, j : j + 64] for i in (0, 64) for j in (0, 64)]
    vectors = np.stack([small.embed(np.ascontiguousarray(tile)) for tile in tiles], axis=1)
    expected = np.concatenate([vectors.max(axis=1), vectors.mean(axis=1)], axis=1)
    backbone = packaged({"size": 64, "tiles": 2})
    assert backbone.spec.dim == 2560
    np.testing.assert_allclose(backbone.embed(images), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"preprocessing of 'x.onnx' is unknown. Write it to x.onnx.json"),
        ({"size": 32}, "mean and std are unknown"),
        ({**CONFIG, "sise": 3}, "'sise'.*did you mean 'size'"),
        ([1], "must be a JSON object"),
    ],
)
def test_unknown_preprocessing_says_what_to_write(
    tmp_path: Path, config: dict[str, object] | None, message: str
) -> None:
    path = write(tmp_path / "x.onnx", float_model(), config)
    with pytest.raises(BackboneError, match=message):
        load_backbone(f"onnx:{path}")


def test_custom_operators_are_refused() -> None:
    with pytest.raises(BackboneError, match=r"uses operators of com.evil, which is refused"):
        parse_onnx(float_model("com.evil", "Run").SerializeToString(), "x.onnx")


def test_local_functions_are_refused() -> None:
    model = float_model()
    model.functions.append(
        helper.make_function(
            "",
            "f",
            ["a"],
            ["b"],
            [helper.make_node("Relu", ["a"], ["b"])],
            [helper.make_opsetid("", 17)],
        )
    )
    with pytest.raises(BackboneError, match="its own functions"):
        parse_onnx(model.SerializeToString(), "x.onnx")


@pytest.mark.parametrize("where", ["initializer", "constant node", "inner graph"])
def test_external_data_is_refused(where: str) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "secret")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model = float_model()
    if where == "initializer":
        model.graph.initializer.append(tensor)
    elif where == "constant node":
        model.graph.node.insert(0, helper.make_node("Constant", [], ["secret"], value=tensor))
    else:
        inner = helper.make_graph([], "inner", [], [], [tensor])
        model.graph.node.insert(
            0, helper.make_node("If", ["c"], ["s"], then_branch=inner, else_branch=inner)
        )
    with pytest.raises(BackboneError, match=r"other files, which is refused|not a valid ONNX"):
        parse_onnx(model.SerializeToString(), "x.onnx")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_garbage_is_no_onnx(content: bytes) -> None:
    with pytest.raises(BackboneError, match="not a valid ONNX file"):
        parse_onnx(content, "x.onnx")


def test_a_map_is_no_vector(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["embedding"])]
    graph = helper.make_graph(
        nodes, "map", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3, "h", "w"])],
    )  # fmt: skip
    path = write(
        tmp_path / "map.onnx",
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        CONFIG,
    )
    with pytest.raises(BackboneError, match="must return one vector an image"):
        load_onnx(path)
