from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

torch = pytest.importorskip("torch", reason="needs the train extra")
timm = pytest.importorskip("timm", reason="needs the train extra")
pytest.importorskip("lightning_fabric", reason="needs the train extra")

from handful.adapt.chain import as_chain  # noqa: E402
from handful.adapt.semisupervised.noise import stochastic_depth  # noqa: E402
from handful.adapt.semisupervised.noisy_student import Noise, NoisyStudent  # noqa: E402
from handful.adapt.semisupervised.pseudo_labels import balanced_rows  # noqa: E402


@given(arrays(np.float64, (20, 3), elements=st.floats(0.01, 1)), st.floats(0, 0.9))
def test_guesses_are_confident_and_balanced(raw: np.ndarray, threshold: float) -> None:
    p = raw / raw.sum(axis=1, keepdims=True)
    rows = balanced_rows(p, threshold, random_state=0)
    sure = p.max(axis=1) >= threshold
    assert sure[rows].all() and bool(len(rows)) == sure.any()
    if len(rows):
        counts = np.bincount(p.argmax(axis=1)[rows], minlength=3)
        assert len(set(counts[counts > 0])) == 1
        assert set(p.argmax(axis=1)[rows]) == set(p.argmax(axis=1)[sure])


def test_the_most_confident_of_a_frequent_class_are_kept() -> None:
    best = np.array([0.9, 0.6, 0.8, 0.7, 0.95])
    p = np.stack([best, 1 - best], axis=1)
    p[4] = p[4, ::-1]  # the only one of its class
    assert balanced_rows(p, 0.5, random_state=0).tolist() == [0, 2, 3, 4, 4, 4]


@pytest.mark.parametrize(
    ("name", "branches"),
    [
        ("tf_efficientnet_lite0", 16),
        ("resnet10t", 4),
        ("vit_tiny_patch16_224", 24),
        ("convnext_atto", 12),
    ],
)
def test_branches_are_left_out_in_training_alone(name: str, branches: int) -> None:
    torch.manual_seed(0)
    chain = as_chain(timm.create_model(name, num_classes=0))
    x = torch.randn(1, 3, 224, 224) if "vit" in name else torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = chain.eval()(x)
        assert stochastic_depth(chain, 0.9) == branches
        assert torch.equal(chain(x), before)
        assert not torch.equal(chain.train()(x), before)


def test_a_network_without_a_place_for_it_stays_as_it_is(small: Any) -> None:
    assert stochastic_depth(small.network("cnn").chain, 0.5) == 0
    with pytest.raises(ValueError, match="stochastic depth"):
        stochastic_depth(small.network("cnn").chain, 1.0)


def test_a_student_learns_soft_labels_of_its_rows(small: Any) -> None:
    labels = np.array([[0.7, 0.3], [0.2, 0.8]], np.float32)
    start = (
        np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32),
        np.zeros(2, np.float32),
    )
    student = NoisyStudent(
        small.network("cnn"), labels=labels, n_labels=1, size=32, start=start
    ).eval()
    x = torch.randn(3, 3, 32, 32)
    rows = torch.tensor([1, 0, 1])
    got = student((x,), torch.tensor([0, -1, -1]), rows)["loss"]
    expected = -(torch.from_numpy(labels)[rows] * student.logits(x).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(got, expected)
    assert "labels" not in student.state_dict()


@pytest.mark.parametrize(
    "bad",
    [
        {"generations": 3},
        {"threshold": 1.0},
        {"dropout": 1.0},
        {"stochastic_depth": -0.1},
        {"towards": 0},
    ],
)
def test_bad_options_are_one_message(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=repr(next(iter(bad)))):
        Noise(**bad)
