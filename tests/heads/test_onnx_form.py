from __future__ import annotations

import numpy as np

from handful.heads.onnx_form import INPUT, OnnxForm, divided

from .samples import run


def test_linear_layer():
    form = OnnxForm("layer")
    weight, bias = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0])
    model = form.model(form.linear(INPUT, weight, bias), "out", 2, 2)
    np.testing.assert_allclose(run(model, np.array([[1.0, 1.0]])), [[14.0, 26.0]])


def test_dividing_leaves_the_first_model_as_it_was():
    form = OnnxForm("same")
    model = form.model(INPUT, "logits", 2, 2)
    half = divided(model, 2.0)
    X = np.array([[2.0, 6.0]])
    assert run(model, X).tolist() == [[2.0, 6.0]]
    assert run(half, X).tolist() == [[1.0, 3.0]]
    assert run(divided(half, 0.5), X).tolist() == [[2.0, 6.0]]
