"""Read an ONNX file as data: no external files, no operators of other people's libraries."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from handful.core import BackboneError, listed

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}


def parse_onnx(content: bytes, name: str) -> onnx.ModelProto:
    """Return the graph in ``content``, refused when running it could reach outside it.

    Parameters
    ----------
    content : bytes
        A serialised ``ModelProto``.
    name : str
        What the file is called in an error.

    Raises
    ------
    BackboneError
        If it is not ONNX, keeps tensors in other files, or uses operators
        outside ``ai.onnx`` and ``ai.onnx.ml``.
    """
    try:
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker raise types of their own
        _refuse_unsafe(model, name) if "model" in locals() else None
        raise BackboneError(
            f"{name!r} is not a valid ONNX file: {str(error).splitlines()[0]}"
        ) from error
    _refuse_unsafe(model, name)
    return model


def _refuse_unsafe(model: onnx.ModelProto, name: str) -> None:
    foreign = sorted({node.domain for node in _nodes(model) if node.domain not in _DOMAINS})
    if foreign or model.functions:
        raise BackboneError(
            f"{name!r} uses operators of {listed(foreign) or 'its own functions'}, which is refused. "
            "Export it with the operators of ai.onnx alone."
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise BackboneError(
            f"{name!r} keeps tensors in other files, which is refused. Save it as one file (no external data)."
        )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in _graphs(model.graph):
        yield from graph.node


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for graph in _graphs(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from _tensors_of(attribute)


def _tensors_of(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    yield attribute.t
    yield from attribute.tensors
    for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
        yield from (sparse.values, sparse.indices)
