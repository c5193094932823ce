"""Distillation: calibrated probabilities, a student's head, and networks cut short."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from handful.adapt import (
    Distil,
    Distilling,
    calibrated_temperature,
    load_network,
    save_network,
    softened,
)
from handful.core import BackboneError
from handful.heads import LinearClassifier

RNG = np.random.default_rng(0)


def probabilities(n: int, scale: float) -> np.ndarray:
    powers = np.exp(scale * RNG.normal(size=(n, 5)))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_the_calibrated_teacher_is_as_sure_as_it_is_right(scale: float) -> None:
    p = probabilities(400, scale)
    t = calibrated_temperature(p, 0.7)
    assert softened(p, t).max(axis=1).mean() == pytest.approx(0.7, abs=1e-3)
    assert (t > 1) == (p.max(axis=1).mean() > 0.7)
    assert (softened(p, t).argmax(axis=1) == p.argmax(axis=1)).all()
    assert softened(p, 1.0) == pytest.approx(p, abs=1e-6)


def test_a_temperature_stays_within_bounds_and_needs_a_measured_accuracy() -> None:
    p = probabilities(50, 2.0)
    assert calibrated_temperature(p, float("nan")) == 1.0
    assert calibrated_temperature(p, 0.01) == 4.0
    assert calibrated_temperature(np.full((3, 5), 0.2), 0.9) == 0.25
    for wrong in ({"threshold": 1.0}, {"temperature": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Distilling(**wrong)


def test_the_loss_is_the_cross_entropy_with_the_teacher_and_the_head_becomes_linear() -> None:
    network = load_network("efficientnet_lite0#3", preprocess={"size": 32})
    p = probabilities(6, 1.0).astype(np.float32)
    method = Distil(network, labels=p, size=32)
    with torch.no_grad():
        method.head.weight.normal_()
    x, rows = torch.randn(6, 3, 32, 32), torch.tensor([5, 0, 3, 1, 2, 4])
    loss = method((x,), torch.full((6,), -1), rows)["loss"]
    log_p = method.logits(x).log_softmax(dim=1)
    assert loss.item() == pytest.approx(-(method.labels[rows] * log_p).sum(dim=1).mean().item(), abs=1e-5)  # fmt: skip
    method.eval()
    with torch.no_grad():
        X, expected = method.chain(x).numpy(), method.logits(x).numpy()
    rule = LinearClassifier(*method.linear(), list("abcde"))
    assert rule.predict_logits(X) == pytest.approx(expected, abs=1e-4)


def test_the_first_blocks_compute_what_the_whole_network_does_until_there(tmp_path) -> None:  # type: ignore[no-untyped-def]
    whole = load_network(preprocess={"size": 32})
    cut = load_network("efficientnet_lite0#4", preprocess={"size": 32})
    x = torch.randn(2, 3, 32, 32)
    whole.chain.eval()
    cut.chain.eval()
    with torch.no_grad():
        assert torch.equal(cut.chain(x), whole.chain[:4](x).mean(dim=(2, 3)))
    assert len(cut.layers) == len(cut.chain)
    save_network(cut, tmp_path / "network.safetensors")
    again = load_network(str(tmp_path))
    again.chain.eval()
    with torch.no_grad():
        assert torch.equal(again.chain(x), cut.chain(x))
    vit = load_network("timm:test_vit#2", scratch=True)
    assert vit.dim == load_network("timm:test_vit", scratch=True).dim
    with pytest.raises(BackboneError, match="1 to 18"):
        load_network("efficientnet_lite0#19")
