"""Networks by name, their record, their export and the files of runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handful.backbones import packaged
from handful.core import BackboneError
from handful.images import Preprocess

torch = pytest.importorskip("torch", reason="needs the train extra")
timm = pytest.importorskip("timm", reason="needs the train extra")
from torch import nn  # noqa: E402

from handful.adapt.chain import evaluation  # noqa: E402
from handful.adapt.network import (  # noqa: E402
    Network,
    export_network,
    load_network,
    load_weights,
    save_network,
)

SMALL = {"size": 32}


def vectors(network: Network, images: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (network.mean, network.std))
    with evaluation(network.chain), torch.no_grad():
        return network.chain((x - mean) / std).numpy()


def noise(n: int = 2, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def own(n_channels: int = 4) -> Network:
    torch.manual_seed(0)
    chain = nn.Sequential(
        nn.Conv2d(3, n_channels, 3), nn.BatchNorm2d(n_channels), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )  # fmt: skip
    return Network(chain, Preprocess(size=8), (0.5,) * 3, (0.5,) * 3, "own")


def test_the_packaged_network_gives_the_packaged_vectors() -> None:
    network = load_network(preprocess=SMALL)
    assert network.dim == 1280
    assert network.n_blocks == 18
    assert network.preprocess == packaged(SMALL).spec.preprocess
    assert network.pretrained_on.startswith("ImageNet") and network.licence == "Apache-2.0"
    np.testing.assert_allclose(vectors(network, noise()), packaged(SMALL).embed(noise()), atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_exported_it_equals_the_packaged_backbone_and_keeps_its_mode() -> None:
    pytest.importorskip("onnxscript", reason="needs the train extra")
    network = replace(load_network(preprocess=SMALL), saw_labels_of=frozenset({"hash"}))
    network.chain.train()
    network.chain[3].eval()
    backbone = export_network(network)
    assert network.chain.training and not network.chain[3].training
    expected = packaged(SMALL).embed(noise())
    assert np.abs(backbone.embed(noise()) - expected).max() <= 1e-3 * np.abs(expected).max()
    assert backbone.spec.saw_labels_of == {"hash"}
    assert (backbone.spec.dim, backbone.spec.name) == (1280, "efficientnet_lite0")


def test_random_weights_come_from_the_seed_alone() -> None:
    def stem(seed: int) -> Any:
        network = load_network("timm:resnet10t", scratch=True, preprocess=SMALL, random_state=seed)
        assert (network.pretrained_on, network.licence) == ("nothing", "unknown")
        return network.chain[1].conv1.weight

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = stem(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(stem(0), first)
    assert not torch.equal(stem(1), first)


def test_layer_ids_name_every_parameter() -> None:
    network = load_network("timm:resnet10t", scratch=True, preprocess=SMALL)
    ids = network.layer_ids()
    assert list(ids) == [name for name, _ in network.chain.named_parameters()]
    assert set(ids.values()) == {0, 1, 2, 3, 4}


def test_weights_lie_channels_last() -> None:
    weight = load_network("timm:resnet10t", scratch=True, preprocess=SMALL).chain[1].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_timm_weights_from_a_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("test_vit")
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    network = load_network("timm:test_vit", weights=tmp_path / "w.safetensors")
    assert network.pretrained_on == "weights file w.safetensors"
    assert torch.equal(network.chain[1].attn.qkv.weight, model.blocks[0].attn.qkv.weight)
    smaller = load_network(
        "timm:test_vit", weights=tmp_path / "w.safetensors", preprocess={"size": 96}
    )
    assert smaller.dim == network.dim
    with pytest.raises(BackboneError, match="fewer than 99 %"):
        load_network("timm:test_vit2", weights=tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:resnet10t"])
def test_a_saved_network_comes_back(tmp_path: Path, name: str) -> None:
    size = 64
    network = load_network(name, scratch=True, preprocess={"size": size, "white": 4095})
    network = replace(network, pretrained_on="tiles", saw_labels_of=frozenset({"b", "a"}))
    save_network(network, tmp_path / "network.safetensors")
    for path in (tmp_path, tmp_path / "network.safetensors"):
        again = load_network(str(path), random_state=9)
        assert again.record() == network.record()
        assert again.layers == network.layers
        np.testing.assert_array_equal(
            vectors(again, noise(side=size)), vectors(network, noise(side=size))
        )
    other = load_network(str(tmp_path), preprocess={"size": 32})
    assert other.preprocess == Preprocess.from_dict({**network.preprocess.to_dict(), "size": 32})
    assert vectors(other, noise()).shape == (2, network.dim)
    with pytest.raises(BackboneError, match="'size' of a Preprocess"):
        load_network(str(tmp_path), preprocess={"size": 0})
    with pytest.raises(BackboneError, match=r"Weights go with a timm model\. Got the run"):
        load_network(str(tmp_path), weights=tmp_path / "w.safetensors")
    fresh = load_network(str(tmp_path), scratch=True, preprocess={"size": 32})
    assert vectors(fresh, noise()).shape == (2, network.dim)
    assert fresh.pretrained_on == "nothing" and not fresh.saw_labels_of


def test_a_network_of_ones_own_is_loaded_into_its_chain(tmp_path: Path) -> None:
    network, other = own(), own()
    nn.init.normal_(other.chain[0].weight)
    save_network(network, tmp_path / "network.safetensors")
    with pytest.raises(BackboneError, match=r"a module of your own.*load_weights"):
        load_network(str(tmp_path))
    load_weights(other, tmp_path / "network.safetensors")
    assert torch.equal(other.chain[0].weight, network.chain[0].weight)
    with pytest.raises(BackboneError, match=r"not those of 'own'.*size mismatch"):
        load_weights(own(5), tmp_path / "network.safetensors")


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"12")
    for name in ("other", "damaged", "absent"):
        with pytest.raises(BackboneError, match=f"{name}.safetensors.*not a network that handful"):
            load_network(str(tmp_path / f"{name}.safetensors"))


def test_wrong_names_and_arguments_are_refused() -> None:
    with pytest.raises(BackboneError, match="did you mean 'efficientnet_lite0'"):
        load_network("efficientnet_lite1")
    with pytest.raises(BackboneError, match="Weights go with a timm model"):
        load_network(weights=Path("w.safetensors"))
    with pytest.raises(BackboneError, match="'size' of a Preprocess"):
        load_network(preprocess={"size": 0})
    with pytest.raises(BackboneError, match="VisionTransformer"):
        load_network("timm:swin_tiny_patch4_window7_224", scratch=True)
