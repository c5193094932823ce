"""Backbone, head and known score as one ONNX graph."""

from __future__ import annotations

import onnx
from onnx import TensorProto, compose, helper, version_converter

OPSET = 17
OUTPUTS = ("probabilities", "known", "embedding")


def join(
    backbone: onnx.ModelProto, head: onnx.ModelProto, known: onnx.ModelProto
) -> onnx.ModelProto:
    """Return one graph from images to probabilities, known score and vector.

    Parameters
    ----------
    backbone : onnx.ModelProto
        uint8 [n, side, side, 3] to float32 [n, dim].
    head : onnx.ModelProto
        ``embedding`` float32 [n, dim] to ``logits`` float32 [n, n_classes].
    known : onnx.ModelProto
        ``embedding`` to ``known`` float32 [n].

    Returns
    -------
    onnx.ModelProto
        ``images`` to ``probabilities`` [n, n_classes], ``known`` [n] and
        ``embedding`` [n, dim].
    """
    opset = max(OPSET, *(_opset(part) for part in (backbone, head, known)))
    parts = [
        compose.add_prefix(_at_opset(part, opset), prefix)
        for part, prefix in ((backbone, "backbone/"), (head, "head/"), (known, "known/"))
    ]
    vector = parts[0].graph.output[0].name
    joined = parts[0]
    for part in parts[1:]:
        joined = compose.merge_models(
            joined, part, io_map=[(vector, part.graph.input[0].name)],
            outputs=[*(value.name for value in joined.graph.output), part.graph.output[0].name],
        )  # fmt: skip
    return _named(joined, vector, opset)


def _named(joined: onnx.ModelProto, vector: str, opset: int) -> onnx.ModelProto:
    """Give the input and the outputs their public names and turn logits into probabilities."""
    graph = joined.graph
    images, width = graph.input[0], graph.output[1].type.tensor_type.shape.dim[1].dim_value
    dim = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    nodes = [
        helper.make_node("Identity", ["images"], [images.name]),
        *graph.node,
        helper.make_node("Identity", [vector], ["embedding"]),
        helper.make_node("Softmax", [graph.output[1].name], ["probabilities"], axis=-1),
        helper.make_node("Identity", [graph.output[2].name], ["known"]),
    ]
    side = [axis.dim_value or axis.dim_param for axis in images.type.tensor_type.shape.dim[1:]]
    model = helper.make_model(
        helper.make_graph(
            nodes, "handful",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *side])],
            [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", width or None]),
                helper.make_tensor_value_info("known", TensorProto.FLOAT, ["n"]),
                helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim or None]),
            ],
            graph.initializer,
        ),
        opset_imports=_imports(joined, opset), ir_version=max(8, joined.ir_version), producer_name="handful",
    )  # fmt: skip
    onnx.checker.check_model(model, full_check=True)
    return model


def _opset(model: onnx.ModelProto) -> int:
    return max(
        (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        default=OPSET,
    )


def _at_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if _opset(model) != opset:
        model = version_converter.convert_version(model, opset)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = 8
    del copy.opset_import[:], copy.metadata_props[:], copy.graph.value_info[:]
    copy.opset_import.extend(_imports(model, opset))
    for part in (copy.graph, *copy.graph.node, *copy.graph.initializer):
        part.doc_string = ""  # an exporter's stack traces tell paths of the machine it ran on
        del part.metadata_props[:]
    return copy


def _imports(model: onnx.ModelProto, opset: int) -> list[onnx.OperatorSetIdProto]:
    """Return the operator sets of a model, the usual one at ``opset``."""
    others = [entry for entry in model.opset_import if entry.domain not in ("", "ai.onnx")]
    return [helper.make_opsetid("", opset), *others]
