"""The classifier of a bundle by itself, for vectors that are there already."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from handful.backbones import parse_onnx, session
from handful.bundle.archive import read_archive
from handful.bundle.bundle import Bundle
from handful.core import Float32


class BundleHead:
    """What a bundle says of vectors of its own backbone; no image is decoded.

    Parameters
    ----------
    path : Path
        The bundle.

    Attributes
    ----------
    classes : list of str
    fingerprint : str
        Of the backbone whose vectors it takes.

    Raises
    ------
    BundleError
        As of `Bundle.load`.
    """

    def __init__(self, path: Path) -> None:
        bundle = Bundle.load(path)  # checks the file
        self.classes = bundle.classes
        self.fingerprint: str = bundle.info["backbone"]["fingerprint"]
        model = after_vector(parse_onnx(read_archive(path)[0], path.name))
        self._session = session(model.SerializeToString())

    def predict_proba(self, X: Float32) -> Float32:
        """Return probabilities of shape (n, n_classes) of vectors of shape (n, dim)."""
        proba: Float32 = self._session.run(None, {"vector": X})[0]
        return proba


def after_vector(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the part of a bundle's graph from ``vector`` to ``probabilities``."""
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    vector = makers["embedding"].input[0]
    wanted, kept = ["probabilities"], set[int]()
    while wanted:
        name = wanted.pop()
        if name == vector or name not in makers or id(makers[name]) in kept:
            continue
        kept.add(id(makers[name]))
        wanted += makers[name].input
    nodes = [node for node in graph.node if id(node) in kept]
    used = {name for node in nodes for name in node.input}
    first = helper.make_node("Identity", ["vector"], [vector])
    part = helper.make_graph(
        [first, *nodes], "head",
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", None])],
        [output for output in graph.output if output.name == "probabilities"],
        [tensor for tensor in graph.initializer if tensor.name in used],
    )  # fmt: skip
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
