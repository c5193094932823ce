from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the train extra")

from torch import nn  # noqa: E402

from handful.adapt import (  # noqa: E402
    FineTune,
    FineTuning,
    Hardware,
    Recipe,
    TrainingData,
    probe_head,
    read_log,
    train,
)
from handful.adapt.activations import cached_activations  # noqa: E402
from handful.adapt.finetune import normalised  # noqa: E402
from handful.adapt.network import Network  # noqa: E402
from handful.heads import LinearProbe, TemperatureScaled  # noqa: E402
from handful.images import Preprocess  # noqa: E402

CPU = Hardware(accelerator="cpu")
SIZE = 24


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    chain = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU()),
        nn.Sequential(nn.Conv2d(24, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    return Network(chain, Preprocess(size=SIZE), (0.5,) * 3, (0.25,) * 3, "small")


def pictures(n: int, mode: str = "RGB", side: int = 28) -> tuple[list[Image.Image], Any]:
    """Return images whose class is the side that is bright."""
    random, targets = np.random.default_rng(0), np.arange(n) % 2
    found = []
    for target in targets:
        pixels = random.integers(0, 120, (side, side, 3))
        pixels[: side // 2 if target else None, side // 3 * 2 if not target else 0 :] += 100
        found.append(Image.fromarray(pixels.astype(np.uint8)).convert(mode).convert("RGB"))
    return found, targets.astype(np.int64)


def data(n: int = 16, **kind: Any) -> TrainingData:
    images, targets = pictures(n, **kind)
    return TrainingData(images, [str(i) for i in range(n)], targets, (0.5,) * 3, (0.25,) * 3)


def vectors(net: Network, given: TrainingData) -> Any:
    x = np.stack([np.asarray(image.resize((SIZE, SIZE))) for image in given.images])
    net.chain.eval()
    with torch.no_grad():
        return net.chain(
            torch.from_numpy((x / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).float()
        ).numpy()


def tuned(
    how: FineTuning, folder: Path, *, steps: int = 12, given: TrainingData | None = None
) -> FineTune:
    given = given or data()
    net = network()
    method = FineTune(
        net,
        n_classes=2,
        n_images=16,
        size=SIZE,
        how=how,
        start=probe_head(vectors(net, given), given.targets),
    )
    batch = min(8, len(given.names))
    recipe = Recipe(steps=steps, batch_size=batch, rate=3e-3)
    train(method, given, recipe, folder, hardware=CPU, quiet=True)
    method.finish()
    return method


def state(module: nn.Module) -> dict[str, Any]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def test_the_head_begins_as_the_calibrated_linear_probe() -> None:
    net, given = network(), data()
    X = vectors(net, given)
    method = FineTune(net, n_classes=2, n_images=16, size=SIZE, start=probe_head(X, given.targets))
    smooth = normalised(torch.from_numpy(X))
    expected = TemperatureScaled(LinearProbe(power=1.0)).fit(smooth.numpy(), given.targets)
    got = method.head(smooth).detach().numpy()
    np.testing.assert_allclose(got, expected.predict_logits(smooth.numpy()), atol=1e-4)


@pytest.mark.parametrize("how", [
    FineTuning(), FineTuning(probe_first=False), FineTuning(gradual=True), FineTuning(mixup=0.3, cutmix=1.0),
    FineTuning(cutmix=1.0), FineTuning(train="last:1"), FineTuning(train="norm_and_bias"), FineTuning(train="lora:2"),
    FineTuning(train="head"), FineTuning(rate_decay=0.5, randaugment=5, frozen_norms=False),
], ids=str)  # fmt: skip
def test_every_way_trains_and_keeps_the_modules(how: FineTuning, tmp_path: Path) -> None:
    method = tuned(how, tmp_path)
    assert set(method.chain.state_dict()) == set(network().chain.state_dict())
    assert all(torch.isfinite(value).all() for value in method.chain.state_dict().values())
    log = read_log(tmp_path)
    assert len(log) == 12
    assert np.mean([line["loss"] for line in log[-4:]]) < log[0]["loss"] + 0.3


def test_only_what_was_chosen_moves(tmp_path: Path) -> None:
    before = state(network().chain)
    after = state(tuned(FineTuning(train="last:1", towards=1.0), tmp_path).chain)
    moved = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"2"}


def test_frozen_norms_keep_their_statistics(tmp_path: Path) -> None:
    before = state(network().chain)
    after = state(tuned(FineTuning(towards=1.0), tmp_path / "a").chain)
    moving = state(tuned(FineTuning(towards=1.0, frozen_norms=False), tmp_path / "b").chain)
    key = "0.1.running_mean"
    assert torch.equal(before[key], after[key])
    assert not torch.equal(before[key], moving[key])


def test_the_average_lies_between_start_and_end(tmp_path: Path) -> None:
    start = state(network().chain)
    whole = state(tuned(FineTuning(towards=1.0), tmp_path / "a").chain)
    half = state(tuned(FineTuning(towards=0.5), tmp_path / "b").chain)
    key = "1.0.weight"
    torch.testing.assert_close(half[key], (start[key] + whole[key]) / 2)


def test_gradual_unfreezing_begins_at_the_last_block_and_resumes_bit_equal(tmp_path: Path) -> None:
    how = FineTuning(gradual=True, towards=1.0)
    method = FineTune(network(), n_classes=2, n_images=16, size=SIZE, how=how)
    method.train()
    trains = [any(p.requires_grad for p in block.parameters()) for block in method.chain]
    assert trains == [False, False, True, False]

    def stop(chain: nn.Sequential) -> dict[str, float]:
        stops.append(1)
        if len(stops) == 4:
            raise KeyboardInterrupt
        return {}

    stops: list[int] = []
    given, recipe = data(), Recipe(steps=20, batch_size=8)

    def fresh() -> FineTune:
        return FineTune(network(), n_classes=2, n_images=16, size=SIZE, how=how)

    whole, part = fresh(), fresh()
    train(whole, given, recipe, tmp_path / "whole", look=lambda chain: {}, hardware=CPU, quiet=True)
    with pytest.raises(KeyboardInterrupt):
        train(part, given, recipe, tmp_path / "part", look=stop, hardware=CPU, quiet=True)
    part = fresh()
    train(part, given, recipe, tmp_path / "part", look=lambda chain: {}, hardware=CPU, quiet=True)
    assert all(
        torch.equal(a, b) for a, b in zip(state(whole).values(), state(part).values(), strict=True)
    )


@pytest.mark.parametrize("kind", [{"n": 2}, {"n": 16, "mode": "L"}, {"n": 16, "side": 20}], ids=str)
def test_one_image_a_class_grey_and_tiny_images(kind: dict[str, Any], tmp_path: Path) -> None:
    n = kind.pop("n")
    method = tuned(FineTuning(mixup=0.2, cutmix=1.0), tmp_path, given=data(n, **kind))
    assert all(torch.isfinite(value).all() for value in method.chain.state_dict().values())


def test_cached_activations_give_the_same_loss(tmp_path: Path) -> None:
    given = data()
    squares = [image.resize((SIZE, SIZE), Image.Resampling.BICUBIC) for image in given.images]
    how = FineTuning(train="last:1", scale=1.0, flip=False)
    losses = []
    for cached in (False, True):
        net = network()
        method = FineTune(net, n_classes=2, n_images=16, size=SIZE, how=how, cached=cached)
        images: Any = squares
        if cached:
            images = cached_activations(
                net, squares, method.first, SIZE, tmp_path / "a.npy", quiet=True
            )
            assert len(images) == len(squares)
        own = TrainingData(images, given.names, given.targets, given.mean, given.std)
        method.augment = (lambda image: (image,)) if cached else _whole
        folder = tmp_path / str(cached)
        train(method, own, Recipe(steps=6, batch_size=8), folder, hardware=CPU, quiet=True)
        losses.append([line["loss"] for line in read_log(folder)])
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)


def _whole(image: Image.Image) -> tuple[Any, ...]:
    return (torch.from_numpy(np.array(image)).permute(2, 0, 1),)
