import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn  # noqa: E402

from handful.adapt.feeding import TrainingData  # noqa: E402
from handful.adapt.log import read_log  # noqa: E402
from handful.adapt.loop import plan, train  # noqa: E402
from handful.adapt.recipe import Budget, Hardware, Recipe  # noqa: E402
from handful.core import AdaptError  # noqa: E402

CPU = Hardware(accelerator="cpu")


class Classify(nn.Module):
    """The smallest method: one convolution, noise in augmentation and in the forward pass."""

    def __init__(self, fail_at=None, memory=None):
        super().__init__()
        self.chain = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.head = nn.Linear(8, 2)
        self.drop = nn.Dropout(0.3)
        self.fail_at, self.memory, self.calls = fail_at, memory, 0

    def augment(self, image):
        noise = torch.randint(0, 20, image.shape, dtype=torch.uint8)
        return (image + noise,)

    def forward(self, views, target, index):
        self.calls += 1
        if self.memory and len(target) > self.memory:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        loss = nn.functional.cross_entropy(self.head(self.drop(self.chain(views[0]))), target)
        return {"loss": loss * float("nan") if self.calls == self.fail_at else loss}

    def parameter_groups(self, rate, weight_decay):
        return [{"params": list(self.parameters()), "lr": rate, "weight_decay": weight_decay}]

    def after_step(self, progress):
        pass


def some_data(n=24):
    random = np.random.default_rng(0)
    targets = np.arange(n) % 2
    images = [
        torch.from_numpy((random.integers(0, 100, (3, 12, 12)) + 100 * t).astype(np.uint8))
        for t in targets
    ]
    return TrainingData(images, [f"hash{i}" for i in range(n)], targets, (0.5,) * 3, (0.25,) * 3)


def method(**kwargs):
    torch.manual_seed(0)
    return Classify(**kwargs)


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_learns_and_logs_every_step(tmp_path):
    ours = method()
    train(
        ours,
        some_data(),
        Recipe(steps=40, batch_size=8, rate=0.02),
        tmp_path,
        hardware=CPU,
        quiet=True,
    )
    log = read_log(tmp_path)
    assert [line["step"] for line in log] == list(range(1, 41))
    assert np.mean([line["loss"] for line in log[-5:]]) < log[0]["loss"] / 2
    assert not ours.training


class StopError(Exception):
    pass


@pytest.mark.parametrize("recipe", [
    Recipe(steps=20, batch_size=8), Recipe(steps=20, batch_size=8, optimizer="sgd", ema=None, balanced=True)
])  # fmt: skip
@pytest.mark.parametrize("looks", [1, 7])
def test_a_stopped_run_goes_on_and_ends_bit_equal(tmp_path, recipe, looks):
    whole, stopped = method(), method()
    train(whole, some_data(), recipe, tmp_path / "whole", hardware=CPU, quiet=True)
    seen = []

    def look(chain):
        seen.append(1)
        if len(seen) == looks + 1:
            raise StopError
        return {}

    with pytest.raises(StopError):
        train(stopped, some_data(), recipe, tmp_path / "part", look=look, hardware=CPU, quiet=True)
    resumed = method()
    train(resumed, some_data(), recipe, tmp_path / "part", hardware=CPU, quiet=True)
    assert torch.equal(weights(whole), weights(resumed))
    losses = [[line["loss"] for line in read_log(tmp_path / name)] for name in ("whole", "part")]
    assert losses[0] == losses[1]


def test_workers_do_not_change_the_result(tmp_path):
    recipe = Recipe(steps=4, batch_size=8)
    results = []
    for workers in (0, 2):
        ours = method()
        hardware = Hardware(accelerator="cpu", workers=workers)
        train(ours, some_data(), recipe, tmp_path / str(workers), hardware=hardware, quiet=True)
        results.append(weights(ours))
    assert torch.equal(*results)


def test_another_run_is_refused_and_named(tmp_path):
    train(method(), some_data(), Recipe(steps=2, batch_size=8), tmp_path, hardware=CPU, quiet=True)
    with pytest.raises(AdaptError, match="another recipe"):
        train(
            method(), some_data(), Recipe(steps=3, batch_size=8), tmp_path, hardware=CPU, quiet=True
        )
    with pytest.raises(AdaptError, match="images, labels"):
        train(
            method(),
            some_data(20),
            Recipe(steps=2, batch_size=8),
            tmp_path,
            hardware=CPU,
            quiet=True,
        )


def test_a_loss_that_is_not_finite_stops_and_keeps_good_weights(tmp_path):
    with pytest.raises(AdaptError, match=r"step 5 of 20, on the images with the hashes hash"):
        train(
            method(fail_at=5),
            some_data(),
            Recipe(steps=20, batch_size=8),
            tmp_path,
            look=lambda chain: {},
            hardware=CPU,
            quiet=True,
        )
    kept = json.loads((tmp_path / "checkpoint.json").read_text())
    assert kept["step"] == 4


def test_memory_that_runs_out_halves_the_batch(tmp_path, capsys):
    ours = method(memory=3)
    done = train(
        ours, some_data(), Recipe(steps=5, batch_size=8), tmp_path, hardware=CPU, quiet=True
    )
    assert (done.batch_size, done.steps) == (2, 20)
    assert "2 images a step now" in capsys.readouterr().err
    with pytest.raises(AdaptError, match="one image a step"):
        train(
            method(memory=0.5),
            some_data(),
            Recipe(steps=5, batch_size=2),
            tmp_path / "b",
            hardware=CPU,
            quiet=True,
        )


def test_damaged_state_is_named(tmp_path):
    recipe = Recipe(steps=4, batch_size=8)
    train(method(), some_data(), recipe, tmp_path, hardware=CPU, quiet=True)
    (tmp_path / "state-4.safetensors").write_bytes(b"no")
    with pytest.raises(AdaptError, match="damaged"):
        train(method(), some_data(), recipe, tmp_path, hardware=CPU, quiet=True)


def test_a_plan_fits_batch_and_steps(tmp_path):
    recipe = plan(
        method(), some_data(10), Recipe(steps=1, batch_size=64), Budget.parse("3epochs"), CPU
    )
    assert (recipe.batch_size, recipe.steps) == (10, 3)
    start = time.perf_counter()
    recipe = plan(method(), some_data(), Recipe(steps=1, batch_size=8), Budget.parse("2s"), CPU)
    train(method(), some_data(), recipe, tmp_path, hardware=CPU, quiet=True)
    assert recipe.steps > 3
    assert time.perf_counter() - start < 6
    with pytest.raises(AdaptError, match="too small for one step"):
        plan(method(), some_data(), Recipe(steps=1, batch_size=8), Budget(7, "images"), CPU)
    with pytest.raises(AdaptError, match="no image"):
        plan(method(), some_data(0), Recipe(steps=1), Budget(7, "images"), CPU)


_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_loop import CPU, Recipe, method, some_data, train, weights
import handful.adapt.loop as loop, torch
loop._CHECKPOINT_SECONDS = 0.05
ours = method()
train(ours, some_data(), Recipe(steps=600, batch_size=8), Path(sys.argv[1]), hardware=CPU, quiet=True)
torch.save(weights(ours), sys.argv[1] + "/end.pt")
"""


@pytest.mark.slow
def test_kill_9_at_random_steps_ends_bit_equal(tmp_path):
    command = [sys.executable, "-c", _SCRIPT]
    here = str(Path(__file__).parent)
    subprocess.run([*command, str(tmp_path / "whole"), here], check=True)
    random = np.random.default_rng()
    killed = 0
    while killed < 3:
        process = subprocess.Popen([*command, str(tmp_path / "part"), here])
        while not (tmp_path / "part" / "checkpoint.json").exists() and process.poll() is None:
            time.sleep(0.01)
        try:
            process.wait(3 + random.uniform(0, 1.5))
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run([*command, str(tmp_path / "part"), here], check=True)
    assert killed
    ends = [torch.load(tmp_path / name / "end.pt") for name in ("whole", "part")]
    assert torch.equal(*ends)
