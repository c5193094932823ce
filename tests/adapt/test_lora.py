"""Low-rank updates: nothing changes before training, and nothing by merging."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the train extra")
timm_layers = pytest.importorskip("timm.layers", reason="needs the train extra")
from torch import nn  # noqa: E402

from handful.adapt.lora import (  # noqa: E402
    LowRank,
    add_lora,
    can_adapt,
    has_lora,
    merge_lora,
    n_lora_parameters,
)


def disturbed(chain: nn.Sequential) -> nn.Sequential:
    """Give the updates values, as training would."""
    for part in chain.modules():
        if isinstance(part, LowRank):
            nn.init.normal_(part.up)
    return chain


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.sampled_from([1, 2, 3, 5]), stride=st.integers(1, 3), groups=st.sampled_from([1, 2, 8]),
    dilation=st.integers(1, 2), rank=st.integers(1, 3), alpha=st.sampled_from([None, 0.5, 4.0]), same=st.booleans(),
)  # fmt: skip
def test_merging_changes_nothing(
    kernel: int, stride: int, groups: int, dilation: int, rank: int, alpha: Any, same: bool
) -> None:
    torch.manual_seed(0)
    conv = timm_layers.create_conv2d(
        8, 16, kernel, stride=stride, groups=groups, dilation=dilation, padding="same" if same else 1
    )  # fmt: skip
    chain = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 16))
    x = torch.randn(2, 8, 11, 11)
    before, names_before = chain(x), {name for name, _ in chain.named_parameters()}
    names = add_lora(chain, rank=rank, alpha=alpha)
    assert names == (["0", "3"] if groups == 1 else ["3"])
    assert torch.equal(chain(x), before)
    adapted = disturbed(chain)(x)
    assert not torch.allclose(adapted, before, atol=1e-3)
    merged = merge_lora(copy.deepcopy(chain))
    assert not has_lora(merged) and has_lora(chain)
    torch.testing.assert_close(merged(x), adapted, rtol=1e-5, atol=1e-5)
    assert {name for name, _ in merged.named_parameters()} == names_before


def test_a_conv_update_is_a_conv_to_the_rank_and_a_1x1() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 10, 3, stride=2, padding=1)
    chain = nn.Sequential(conv, nn.Flatten())
    x, rank, alpha = torch.randn(2, 6, 9, 9), 2, 3.0
    before = conv(x)
    add_lora(chain, rank=rank, alpha=alpha)
    disturbed(chain)
    update = conv.parametrizations["weight"][0]
    inner = nn.functional.conv2d(x, update.down.reshape(rank, 6, 3, 3), stride=2, padding=1)
    outer = nn.functional.conv2d(inner, update.up.reshape(10, rank, 1, 1))
    torch.testing.assert_close(conv(x), before + alpha / rank * outer, rtol=1e-5, atol=1e-5)


def test_only_updates_train_and_they_are_counted() -> None:
    chain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 8))
    names = add_lora(chain, rank=2, where=lambda name, layer: isinstance(layer, nn.Linear))
    assert names == ["3"]
    trained = {name for name, parameter in chain.named_parameters() if parameter.requires_grad}
    assert trained == {"3.parametrizations.weight.0.down", "3.parametrizations.weight.0.up"}
    assert n_lora_parameters(chain) == 2 * (32 + 8)
    assert all(parameter.requires_grad for parameter in list(merge_lora(chain)[3].parameters())[1:])


def test_layers_that_a_low_rank_does_not_suit_are_left() -> None:
    assert can_adapt(nn.Conv2d(64, 64, 1), 8)
    assert can_adapt(nn.Linear(192, 576), 8)
    assert not can_adapt(nn.Conv2d(64, 64, 3, groups=64), 1)
    assert not can_adapt(nn.Conv2d(64, 64, 3, groups=2), 8)
    assert not can_adapt(nn.Linear(16, 16), 8)
    assert not can_adapt(nn.BatchNorm2d(64), 1)


def test_wrong_use_is_refused() -> None:
    chain = nn.Sequential(nn.Linear(8, 8), nn.Flatten())
    with pytest.raises(ValueError, match=r"'rank' of LoRA must be at least 1\. Got 0"):
        add_lora(chain, rank=0)
    with pytest.raises(ValueError, match="No layer can be adapted at rank 4"):
        add_lora(chain, rank=4)
    add_lora(chain, rank=1)
    with pytest.raises(ValueError, match="has LoRA already"):
        add_lora(chain, rank=1)
