from __future__ import annotations

import numpy as np
import pytest

from handful.heads import LinearProbe, PrototypeClassifier, TemperatureScaled
from handful.heads.logits import log_losses

from .samples import blobs


def hard(n_each, seed):
    """Return overlapping classes, where a sharp classifier is overconfident."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), n_each)
    return (np.eye(4, 20)[y] + rng.normal(0, 0.7, (len(y), 20))).astype(np.float32), y


@pytest.mark.parametrize("logit_scale", [1.0, 300.0])
def test_scaling_lowers_the_log_loss_on_new_rows(logit_scale):
    X, y = hard(25, seed=0)
    asked, truth = hard(500, seed=1)
    head = PrototypeClassifier(logit_scale=logit_scale)
    plain = log_losses(head.fit(X, y).predict_logits(asked), truth).mean()
    scaled = TemperatureScaled(head).fit(X, y)
    assert log_losses(scaled.predict_logits(asked), truth).mean() < plain
    assert (scaled.temperature_ > 1) == (logit_scale > 100)


def test_temperature_divides_the_logits():
    X, y = hard(10, seed=0)
    scaled = TemperatureScaled(LinearProbe()).fit(X, y)
    plain = LinearProbe().fit(X, y)
    factor = np.float32(scaled.temperature_)
    np.testing.assert_allclose(
        scaled.predict_logits(X), plain.predict_logits(X) / factor, rtol=1e-5
    )
    np.testing.assert_allclose(scaled.loo_logits_, plain.loo_logits_ / factor, rtol=1e-5)


def test_one_label_a_class_leaves_the_temperature_at_one():
    assert TemperatureScaled(LinearProbe()).fit(*blobs(n_each=1)).temperature_ == 1


def test_the_given_head_is_not_touched():
    head = LinearProbe()
    TemperatureScaled(head).fit(*blobs())
    assert not hasattr(head, "classes_")
