"""Every supported family taken apart and compared with the model itself."""

from __future__ import annotations

from typing import Any

import pytest

from handful.core import BackboneError

torch = pytest.importorskip("torch", reason="needs the train extra")
timm = pytest.importorskip("timm", reason="needs the train extra")
from torch import nn  # noqa: E402

from handful.adapt.chain import as_chain, evaluation, layers_of  # noqa: E402

TINY_VIT: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 8,
    "depth": 2,
    "embed_dim": 48,
    "num_heads": 3,
}
MODELS = [
    ("tf_efficientnet_lite0", {}, 18),
    ("test_efficientnet", {"drop_path_rate": 0.2}, None),
    ("mobilenetv3_small_050", {}, 13),
    ("mobilenetv4_conv_small_035", {}, None),
    ("resnet10t", {}, 5),
    ("test_resnet", {}, 5),
    ("test_convnext", {}, 10),
    ("vit_tiny_patch16_224", TINY_VIT, 3),
    ("vit_tiny_patch16_224", {**TINY_VIT, "global_pool": "avg"}, 3),
    ("vit_tiny_patch16_224", {**TINY_VIT, "reg_tokens": 2, "no_embed_class": True}, 3),
    ("vit_tiny_patch16_224", {**TINY_VIT, "class_token": False, "global_pool": "avg", "pre_norm": True}, 3),
    ("vit_tiny_patch16_224", {**TINY_VIT, "dynamic_img_size": True}, 3),
    ("vit_tiny_patch16_224", {**TINY_VIT, "dynamic_img_size": True, "no_embed_class": True, "img_size": 64}, 3),
    ("deit3_small_patch16_224", TINY_VIT, 3),
    ("vit_small_patch14_dinov2", {**TINY_VIT, "drop_path_rate": 0.1}, 3),
]  # fmt: skip
NAMES = [f"{name}-{number}" for number, (name, *_) in enumerate(MODELS)]


def model_of(name: str, settings: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7, **settings)
    model.train()
    return model


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings", "n_blocks"), MODELS, ids=NAMES)
def test_a_chain_gives_the_models_vectors(
    name: str, settings: dict[str, Any], n_blocks: int | None
) -> None:
    model = model_of(name, settings)
    chain = as_chain(model, size=32)
    assert model.training and all(block.training for block in chain)
    assert n_blocks is None or len(chain) - 1 == n_blocks
    model.reset_classifier(0)
    images = torch.randn(2, 3, 32, 32)
    with evaluation(model), evaluation(chain), torch.no_grad():
        torch.testing.assert_close(chain(images), model(images), rtol=0, atol=1e-5)
        assert chain[:-1](images).ndim == (3 if "patch" in name else 4)
    assert_layers_are_timms(model, chain)


def assert_layers_are_timms(model: Any, chain: Any) -> None:
    layers = layers_of(model, chain)
    assert layers[0] == 0 and list(layers) == sorted(layers) and len(layers) == len(chain)
    ids = timm.models.group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    theirs = {id(parameter): ids[key] for key, parameter in model.named_parameters()}
    ours = {id(p): layer for block, layer in zip(chain, layers, strict=True) for p in block.parameters()}  # fmt: skip
    assert ours == theirs


def test_only_heads_after_pooling_have_weights_in_the_last_block() -> None:
    assert not list(as_chain(model_of("resnet10t", {}))[-1].parameters())
    assert list(as_chain(model_of("mobilenetv3_small_050", {}))[-1].parameters())


def test_a_sequential_is_its_own_chain() -> None:
    chain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert as_chain(chain) is chain
    assert layers_of(chain, chain) == (0, 1, 2)


def test_a_chain_ends_in_vectors() -> None:
    with pytest.raises(BackboneError, match=r"one vector an image.*shape \(4, 62, 62\).*flatten"):
        as_chain(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))


def test_another_family_is_refused_with_the_supported_ones() -> None:
    with pytest.raises(
        BackboneError, match=r"A Linear cannot be taken apart.*EfficientNet.*ConvNeXt"
    ):
        as_chain(nn.Linear(3, 3))


def test_a_model_that_does_more_than_its_blocks_is_refused() -> None:
    class Doubled(timm.models.resnet.ResNet):
        def forward_features(self, x: Any) -> Any:
            return 2 * super().forward_features(x)

    model = Doubled(timm.models.resnet.BasicBlock, (1, 1, 1, 1))
    with pytest.raises(
        BackboneError, match=r"Doubled computes something that its blocks.*Supported"
    ):
        as_chain(model, size=32)


def test_poolings_that_cannot_be_chained_are_refused() -> None:
    with pytest.raises(BackboneError, match="The pooling 'map'"):
        as_chain(
            model_of(
                "vit_tiny_patch16_224", {**TINY_VIT, "global_pool": "map", "class_token": False}
            )
        )


def test_evaluation_gives_each_module_its_own_mode_back() -> None:
    chain = nn.Sequential(nn.BatchNorm2d(3), nn.Sequential(nn.BatchNorm2d(3)))
    chain[0].eval()
    with evaluation(chain):
        assert not any(part.training for part in chain.modules())
    assert [part.training for part in chain.modules()] == [True, False, True, True]
