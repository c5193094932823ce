from __future__ import annotations

import numpy as np
import pytest

from handful.heads.onnx_form import INPUT, OnnxForm
from handful.heads.vectors import add_transform, transformed

from .samples import queries, run


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("unit_norm", [True, False])
def test_onnx_form_agrees(power, unit_norm):
    form = OnnxForm("transform")
    x = add_transform(form, INPUT, power=power, unit_norm=unit_norm)
    ours = transformed(queries(), power=power, unit_norm=unit_norm)
    np.testing.assert_allclose(run(form.model(x, "out", 12, 12), queries()), ours, rtol=1e-5)


def test_lengths_are_one_or_zero():
    lengths = np.linalg.norm(transformed(queries(), power=0.5), axis=1)
    np.testing.assert_allclose(lengths[np.abs(queries()).sum(axis=1) > 0], 1, rtol=1e-6)
    assert lengths[18] == 0


def test_huge_numbers_do_not_overflow():
    np.testing.assert_allclose(transformed(np.full((1, 4), 3e38)), 0.5)
