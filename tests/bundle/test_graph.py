from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from handful.backbones import session
from handful.bundle.graph import join
from handful.heads import KnownScorer, LinearProbe


@pytest.mark.parametrize("opset", [11, 17, 21])
def test_a_backbone_of_any_opset_with_operators_of_ai_onnx_ml_is_joined(opset: int) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("Normalizer", ["flat"], ["vector"], norm="L2", domain="ai.onnx.ml"),
    ]
    graph = helper.make_graph(
        nodes,
        "norms",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 1, 1, 3])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 3])],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    for node in graph.node:  # as torch's exporter notes them
        node.metadata_props.add(
            key="pkg.torch.onnx.stack_trace", value="/home/ann/site-packages/timm"
        )
        node.doc_string = "/home/ann/model.py"
    backbone = helper.make_model(graph, opset_imports=imports, ir_version=8)
    X = np.random.default_rng(0).random((8, 3), np.float32)
    head = LinearProbe().fit(X, list("aabbaabb"))
    joined = join(backbone, head.to_onnx(), KnownScorer().fit(X).to_onnx())
    assert b"/home/ann" not in joined.SerializeToString()
    images = np.random.default_rng(1).integers(1, 256, (4, 1, 1, 3), dtype=np.uint8)
    probabilities, vectors = session(joined.SerializeToString()).run(
        ["probabilities", "embedding"], {"images": images}
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities, head.predict_proba(vectors), atol=1e-4)
