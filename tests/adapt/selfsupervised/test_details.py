"""What is particular to one method: targets, teachers, masks, limits."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
timm = pytest.importorskip("timm", reason="needs the train extra")
from torch import nn  # noqa: E402

from handful.adapt.network import load_network  # noqa: E402
from handful.adapt.selfsupervised.contrastive import Contrastive  # noqa: E402
from handful.adapt.selfsupervised.decoders import MapDecoder, TokenDecoder  # noqa: E402
from handful.adapt.selfsupervised.instance import Instance  # noqa: E402
from handful.adapt.selfsupervised.masked import Masked  # noqa: E402
from handful.adapt.selfsupervised.predictive import Predictive  # noqa: E402
from handful.adapt.selfsupervised.rotation import Rotation  # noqa: E402


def test_rotation_sees_all_four_turns_of_each_image(make_network) -> None:
    method = Rotation(make_network("cnn"), n_images=4, size=32).eval()
    seen = []
    method.chain.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(3, 3, 32, 32)
    out = method((x,), torch.full((3,), -1), torch.arange(3))
    for quarters in range(4):
        part = seen[0][3 * quarters : 3 * quarters + 3]
        assert torch.equal(torch.rot90(part, -quarters, (2, 3)), x)
    assert 0 <= out["rotation_accuracy"] <= 1


def test_rotation_is_learnt_where_there_is_an_upright(
    make_network, make_pictures, make_batch
) -> None:
    method = Rotation(make_network("cnn"), n_images=32, size=32).train()
    inputs = make_batch(method, make_pictures(32))
    optimizer = torch.optim.AdamW(method.parameter_groups(3e-2, 0.0))
    for _ in range(60):
        optimizer.zero_grad()
        method(*inputs)["loss"].backward()
        optimizer.step()
    # global pooling of two convolutions sees gradients of brightness at the padded border
    assert method(*inputs)["rotation_accuracy"] > 0.6


def test_the_teacher_follows_by_its_decay(make_network) -> None:
    method = Predictive(make_network("cnn"), n_images=4, size=32, momentum=0.9, hidden=16, width=8)
    old = [p.clone() for p in method.teacher.parameters()]
    with torch.no_grad():
        for parameter in method.chain.parameters():
            parameter.add_(1.0)
    method.after_step(0.5)  # half way the distance to 1 is half
    online = [*method.chain.parameters(), *method.project.parameters()]
    for before, after, now in zip(old, method.teacher.parameters(), online, strict=True):
        torch.testing.assert_close(after, 0.95 * before + 0.05 * now)
    kept = [p.clone() for p in method.teacher.parameters()]
    method.after_step(1.0)
    assert all(torch.equal(a, b) for a, b in zip(kept, method.teacher.parameters(), strict=True))


def test_siamese_learning_keeps_no_teacher(make_network) -> None:
    method = Predictive(make_network("cnn"), n_images=4, size=32, momentum=None, hidden=16, width=8)
    assert not any(name.startswith("teacher") for name in method.state_dict())
    method.after_step(0.5)


def test_spread_tells_collapse(make_network, make_pictures, make_batch) -> None:
    method = Predictive(make_network("cnn"), n_images=16, size=32, hidden=64, width=32).train()
    inputs = make_batch(method, make_pictures(16))
    assert method(*inputs)["spread"] > 0.2
    nn.init.zeros_(method.teacher[1][-1].weight)
    assert method(*inputs)["spread"] < 0.01


def test_only_visible_patches_pass_the_encoder(make_network) -> None:
    method = Masked(make_network("vit", 64), n_images=4, size=64, width=32).eval()
    seen = []
    method.chain[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    x = torch.randn(2, 3, 64, 64)
    method((x,), torch.full((2,), -1), torch.arange(2))
    assert seen[0] == (2, 1 + 16, 32)  # the class token and a quarter of 64 patches


def test_targets_are_normalised_patches_in_their_order(make_network) -> None:
    network = make_network("vit")
    decoder = TokenDecoder(network.chain, torch.Size([17, 32]), 32, 0.75, 1, 32)
    x = torch.zeros(1, 3, 32, 32)
    x[0, 1, 9, 18] = 4.0  # row 1, column 2 of 4 × 4 patches of 8; pixel (1, 2); green
    target = decoder._target(x)
    assert target.shape == (1, 16, 192)
    assert int(target[0].abs().sum(dim=1).argmax()) == 1 * 4 + 2
    assert int(target[0, 6].argmax()) == (1 * 8 + 2) * 3 + 1
    noise = decoder._target(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(noise.mean(2), torch.zeros(2, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(noise.std(2), torch.ones(2, 16), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("size", "patch"), [(64, None), (20, None), (33, 5), (32, 31)])
def test_the_hidden_share_of_a_map(size: int, patch: int | None) -> None:
    decoder = MapDecoder(torch.Size([4, 2, 2]), size, 0.6, patch)
    hidden = decoder._hidden(torch.zeros(3, 3, size, size))
    assert hidden.shape == (3, 1, size, size)
    cells = hidden[:, 0, :: decoder.patch, :: decoder.patch]
    assert (cells.sum(dim=(1, 2)) == decoder.n_hidden).all()
    assert 0 < decoder.n_hidden < decoder.side**2


def test_hidden_pixels_never_reach_the_network(make_network) -> None:
    method = Masked(make_network("cnn"), n_images=4, size=32, patch=8).eval()
    seen = []
    method.chain[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    nn.init.constant_(method.decoder.colour, 7.0)
    x = torch.rand(2, 3, 32, 32)
    torch.manual_seed(0)
    method((x,), torch.full((2,), -1), torch.arange(2))
    torch.manual_seed(0)
    hidden = method.decoder._hidden(x).expand_as(x)
    assert (seen[0][hidden] == 7).all() and torch.equal(seen[0][~hidden], x[~hidden])


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:test_convnext", "efficientnet_lite0"])
def test_masking_works_for_families_at_64_pixels(name: str) -> None:
    network = load_network(name, scratch=True, preprocess={"size": 64})
    method = Masked(network, n_images=4, size=64).train()
    method((torch.randn(2, 3, 64, 64),), torch.full((2,), -1), torch.arange(2))["loss"].backward()
    for weight in method.parameters():
        assert weight.grad is not None or not weight.requires_grad


def test_limits_are_said(make_network) -> None:
    with pytest.raises(ValueError, match=r"2 to 1,000,000 images\. Got 1,000,001"):
        Instance(make_network("cnn"), n_images=1_000_001, size=32)
    with pytest.raises(ValueError, match="smoothing=1"):
        Instance(make_network("cnn"), n_images=10, size=32, smoothing=1.0)
    with pytest.raises(ValueError, match=r"'ratio' of Masked must lie between 0 and 1\. Got 1"):
        Masked(make_network("cnn"), n_images=10, size=32, ratio=1.0)
    with pytest.raises(ValueError, match=r"'patch' of Masked must be in \[1, 31\]. Got 32"):
        Masked(make_network("cnn"), n_images=10, size=32, patch=32)
    with pytest.raises(ValueError, match="Leave 'patch' out"):
        Masked(make_network("vit"), n_images=10, size=32, patch=4)
    with pytest.raises(ValueError, match="'temperature' of Contrastive"):
        Contrastive(make_network("cnn"), n_images=10, size=32, temperature=0.0)
    with pytest.raises(ValueError, match="'momentum' of Predictive"):
        Predictive(make_network("cnn"), n_images=10, size=32, momentum=1.5)
    with pytest.raises(ValueError, match="'jitter' of a View"):
        Contrastive(make_network("cnn"), n_images=10, size=32, jitter=2.0)


def test_instances_are_recognised_by_their_row(make_network, make_pictures, make_batch) -> None:
    method = Instance(make_network("cnn"), n_images=50, size=32, alpha=0.0, smoothing=0.0).train()
    x, target, _ = make_batch(method, make_pictures(8))
    rows = torch.arange(40, 48)
    optimizer = torch.optim.AdamW(method.parameter_groups(3e-2, 0.0))
    for _ in range(40):
        optimizer.zero_grad()
        method(x, target, rows)["loss"].backward()
        optimizer.step()
    assert method(x, target, rows)["instance_accuracy"] == 1.0
