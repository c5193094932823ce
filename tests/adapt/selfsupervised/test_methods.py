"""What every self-supervised method must do, whatever its loss."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("timm", reason="needs the train extra")

from handful.adapt.selfsupervised.contrastive import Contrastive  # noqa: E402
from handful.adapt.selfsupervised.instance import Instance  # noqa: E402
from handful.adapt.selfsupervised.masked import Masked  # noqa: E402
from handful.adapt.selfsupervised.predictive import Predictive  # noqa: E402
from handful.adapt.selfsupervised.rotation import Rotation  # noqa: E402
from handful.core import AdaptError  # noqa: E402

METHODS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "rotation": (Rotation, {}),
    "masked": (Masked, {"width": 32}),
    "contrastive": (Contrastive, {"width": 32}),
    "decoupled": (Contrastive, {"decoupled": True, "width": 32}),
    "byol": (Predictive, {"hidden": 64, "width": 32}),
    "simsiam": (Predictive, {"momentum": None, "hidden": 64, "width": 32}),
    "instance": (Instance, {}),
}
every_method = pytest.mark.parametrize("name", METHODS)
both_kinds = pytest.mark.parametrize("kind", ["cnn", "vit"])


def make(name: str, network: Any, n_images: int = 64, size: int = 32) -> Any:
    constructor, options = METHODS[name]
    torch.manual_seed(1)
    return constructor(network, n_images=n_images, size=size, **options)


def loss_of(method: Any, inputs: tuple[Any, ...], seed: int = 3) -> Any:
    torch.manual_seed(seed)
    return method(*inputs)["loss"]


def step(method: Any, optimizer: Any, inputs: tuple[Any, ...], progress: float) -> float:
    loss = loss_of(method, inputs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    method.after_step(progress)
    return float(loss.detach())


@both_kinds
@every_method
def test_the_loss_falls(name: str, kind: str, make_network, make_pictures, make_batch) -> None:
    method = make(name, make_network(kind)).train()
    inputs = make_batch(method, make_pictures(64))
    optimizer = torch.optim.AdamW(method.parameter_groups(1e-2, 0.01))
    losses = [step(method, optimizer, inputs, (i + 1) / 30) for i in range(30)]
    assert losses[-1] < losses[0] - 0.1 * abs(losses[0])


@both_kinds
@every_method
def test_the_state_is_all_there_is(
    name: str, kind: str, make_network, make_pictures, make_batch
) -> None:
    method = make(name, make_network(kind)).train()
    inputs = make_batch(method, make_pictures(8))
    optimizer = torch.optim.AdamW(method.parameter_groups(1e-2, 0.01))
    step(method, optimizer, inputs, 0.5)
    other = make(name, make_network(kind)).train()
    other.load_state_dict(copy.deepcopy(method.state_dict()))
    assert torch.equal(loss_of(method, inputs, 7), loss_of(other, inputs, 7))


@both_kinds
@every_method
def test_the_gradient_reaches_every_weight(
    name: str, kind: str, make_network, make_pictures, make_batch
) -> None:
    method = make(name, make_network(kind)).train()
    inputs = make_batch(method, make_pictures(8))
    loss_of(method, inputs).backward()
    grouped = {id(p) for group in method.parameter_groups(1.0, 0.1) for p in group["params"]}
    for weight_name, weight in method.named_parameters():
        if weight_name.startswith("teacher."):
            assert weight.grad is None and id(weight) not in grouped
        else:
            assert weight.grad is not None and weight.grad.abs().sum() > 0, weight_name
            assert id(weight) in grouped


@every_method
def test_norms_and_biases_do_not_decay(name: str, make_network) -> None:
    method = make(name, make_network("vit"))
    decays = {
        id(p): g["weight_decay"] for g in method.parameter_groups(1.0, 0.1) for p in g["params"]
    }
    for weight_name, weight in method.named_parameters():
        if weight.requires_grad and weight.ndim < 2:
            assert decays[id(weight)] == 0, weight_name
    assert decays[id(method.chain[1].attn.qkv.weight)] == 0.1


@both_kinds
@every_method
def test_mixed_precision(name: str, kind: str, make_network, make_pictures, make_batch) -> None:
    method = make(name, make_network(kind)).train()
    inputs = make_batch(method, make_pictures(8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(method, inputs)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in method.chain.parameters())


@every_method
@pytest.mark.parametrize(("mode", "side"), [("L", 36), ("RGBA", 36), ("RGB", 8)])
def test_two_images_of_any_kind(
    name: str, mode: str, side: int, make_network, make_pictures, make_batch
) -> None:
    method = make(name, make_network("cnn"), n_images=2).train()
    images = [image.convert(mode) for image in make_pictures(2, side)]
    assert torch.isfinite(loss_of(method, make_batch(method, images)))


@every_method
@pytest.mark.parametrize("size", [20, 33])
def test_odd_sizes(name: str, size: int, make_network, make_pictures, make_batch) -> None:
    method = make(name, make_network("cnn"), size=size).train()
    inputs = make_batch(method, make_pictures(4))
    assert inputs[0][0].shape == (4, 3, size, size)
    loss_of(method, inputs).backward()


@every_method
def test_a_transformer_at_another_size_is_refused(name: str, make_network) -> None:
    with pytest.raises(ValueError, match=r"'vit' cannot take views of 20 px.*built for \(32 px"):
        make(name, make_network("vit"), size=20)


@every_method
def test_views_of_a_seed_are_the_same(name: str, make_network, make_pictures) -> None:
    method = make(name, make_network("cnn"))
    image = make_pictures(1)[0]
    first, second = ([torch.manual_seed(4), method.augment(image)][1] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(view.dtype == torch.uint8 and view.shape == (3, 32, 32) for view in first)
    if len(first) == 2:
        assert not torch.equal(*first)


@pytest.mark.parametrize("name", ["contrastive", "decoupled", "byol", "simsiam"])
def test_one_image_a_step_is_refused(name: str, make_network, make_pictures, make_batch) -> None:
    method = make(name, make_network("cnn")).train()
    with pytest.raises(AdaptError, match="at least 2 of them"):
        method(*make_batch(method, make_pictures(1)))


@every_method
def test_unknown_options_are_refused(name: str, make_network) -> None:
    constructor, options = METHODS[name]
    with pytest.raises(TypeError, match="jittter"):
        constructor(make_network("cnn"), n_images=64, size=32, jittter=0.1, **options)
