"""The methods in the training loop: a run that was stopped ends as one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("lightning_fabric", reason="needs the train extra")

from handful.adapt.log import read_log  # noqa: E402
from handful.adapt.loop import TrainingData, train  # noqa: E402
from handful.adapt.recipe import Hardware, Recipe  # noqa: E402
from handful.adapt.selfsupervised.contrastive import Contrastive  # noqa: E402
from handful.adapt.selfsupervised.instance import Instance  # noqa: E402
from handful.adapt.selfsupervised.masked import Masked  # noqa: E402
from handful.adapt.selfsupervised.predictive import Predictive  # noqa: E402
from handful.adapt.selfsupervised.rotation import Rotation  # noqa: E402

CPU = Hardware(accelerator="cpu")


class StopError(Exception):
    pass


@pytest.mark.parametrize("kind", ["cnn", "vit"])
@pytest.mark.parametrize("constructor", [Rotation, Masked, Contrastive, Predictive, Instance])
def test_a_stopped_run_ends_bit_equal(
    constructor: Any, kind: str, tmp_path: Path, make_network, make_pictures
) -> None:
    n, recipe = 12, Recipe(steps=10, batch_size=4)
    hashes = [f"hash{i}" for i in range(n)]
    data = TrainingData(make_pictures(n), hashes, np.full(n, -1), (0.5,) * 3, (0.25,) * 3)

    def method() -> Any:
        network = make_network(kind)
        torch.manual_seed(1)
        return constructor(network, n_images=n, size=32)

    looks = []

    def look(chain: Any) -> dict[str, float]:
        looks.append(1)
        if len(looks) == 5:
            raise StopError
        return {}

    whole, resumed = method(), method()
    train(whole, data, recipe, tmp_path / "whole", hardware=CPU, quiet=True)
    with pytest.raises(StopError):
        train(method(), data, recipe, tmp_path / "part", look=look, hardware=CPU, quiet=True)
    train(resumed, data, recipe, tmp_path / "part", hardware=CPU, quiet=True)
    ours, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    losses = [[line["loss"] for line in read_log(tmp_path / run)] for run in ("whole", "part")]
    assert losses[0] == losses[1] and len(losses[0]) == 10
