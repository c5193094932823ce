from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn  # noqa: E402

from handful.adapt import Hardware, Recipe, TrainingData, read_log, train  # noqa: E402
from handful.core import AdaptError  # noqa: E402


class Plain(nn.Module):
    """A method without randomness, so that one process and two compute the same."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(4, 2)

    def augment(self, image: Any) -> tuple[Any, ...]:
        return (image,)

    def forward(self, views: Any, target: Any, index: Any) -> dict[str, Any]:
        return {"loss": nn.functional.cross_entropy(self.head(self.chain(views[0])), target)}

    def parameter_groups(self, rate: float, weight_decay: float) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": rate, "weight_decay": weight_decay}]

    def after_step(self, progress: float) -> None:
        pass


class StopAfter:
    """A look that ends the run at a call."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, method: Any) -> dict[str, float]:
        self.calls -= 1
        if self.calls == 0:
            raise AdaptError("It was stopped: as if the power had failed.")
        return {}


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_the_same_batch(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    targets = np.arange(16) % 2
    images = [
        torch.from_numpy((random.integers(0, 99, (3, 8, 8)) + 99 * t).astype(np.uint8))
        for t in targets
    ]
    data = TrainingData(images, [str(i) for i in range(16)], targets, (0.5,) * 3, (0.25,) * 3)
    recipe = Recipe(steps=6, batch_size=8, rate=0.01)

    def run(devices: int, look: Any = None) -> tuple[dict[str, Any], list[float]]:
        torch.manual_seed(0)
        method, folder = Plain(), tmp_path / str(devices)
        hardware = Hardware("cpu", devices)
        train(method, data, recipe, folder, look=look, hardware=hardware, quiet=True)
        return method.state_dict(), [row["loss"] for row in read_log(folder)]

    one, curve = run(1)
    with pytest.raises(AdaptError, match=r"^It was stopped: as if the power had failed\.$"):
        run(2, StopAfter(4))
    assert len(read_log(tmp_path / "2")) == 3
    two, same_curve = run(2)
    assert len(curve) == 6
    assert curve == pytest.approx(same_curve, abs=1e-5)
    for key, value in one.items():
        torch.testing.assert_close(value, two[key], atol=1e-5, rtol=1e-4)
