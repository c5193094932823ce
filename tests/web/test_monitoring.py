from __future__ import annotations

import math

import numpy as np
import pytest

from handful.web.monitoring import WINDOW, Monitoring


@pytest.fixture
def monitoring(predictor):
    return Monitoring(predictor, waiting=lambda: 0)


def row(*, is_known=True):
    return {"label": "red", "confidence": 0.5, "is_known": is_known}


def test_drift_is_of_the_mean_of_the_last_images(monitoring, predictor):
    asked = []
    predictor.drift = lambda mean, n: asked.append((mean, n)) or 2.5
    old, new = np.zeros((10, 3), np.float32), np.ones((WINDOW, 3), np.float32)
    monitoring.batch([row()] * 10, old, 0.1)
    assert monitoring.drift() == 2.5
    monitoring.batch([row()] * WINDOW, new, 0.1)
    monitoring.drift()
    assert [n for _, n in asked] == [10, WINDOW]
    np.testing.assert_array_equal(asked[1][0], np.ones(3, np.float32))
    assert asked[1][0].dtype == np.float32


def test_drift_grows_when_the_stream_changes(monitoring):
    monitoring.batch([row()] * 100, np.full((100, 3), 1 / 3, np.float32), 0.1)
    before = monitoring.drift()
    monitoring.batch([row()] * 400, np.ones((400, 3), np.float32), 0.1)
    assert monitoring.drift() > 10 + before


def test_unknown_share_is_of_the_last_images(monitoring):
    assert math.isnan(monitoring.unknown_share())
    monitoring.batch([row(is_known=False)] * 3 + [row()], np.zeros((4, 3), np.float32), 0.1)
    assert monitoring.unknown_share() == 0.75
    monitoring.batch([row()] * WINDOW, np.zeros((WINDOW, 3), np.float32), 0.1)
    assert monitoring.unknown_share() == 0


def test_it_holds_no_view_of_a_batch(monitoring):
    embeddings = np.zeros((2, 3), np.float32)
    monitoring.batch([row()] * 2, embeddings, 0.1)
    embeddings[:] = 9
    assert monitoring.drift() < 9
