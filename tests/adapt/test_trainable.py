"""What trains, and that all else is bit-equal after a step."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from handful.images import Preprocess

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("timm", reason="needs the train extra")
from torch import nn  # noqa: E402

from handful.adapt.lora import add_lora  # noqa: E402
from handful.adapt.network import Network  # noqa: E402
from handful.adapt.trainable import (  # noqa: E402
    first_unfrozen,
    frozen_prefix,
    interpolate,
    layer_rates,
    parameter_groups,
    select_trainable,
    train_mode,
    unfrozen_at,
)


def block(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(), nn.Dropout(0.1)
    )


@pytest.fixture
def chain() -> nn.Sequential:
    torch.manual_seed(0)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8))
    return nn.Sequential(block(3, 8), block(8, 8), block(8, 8), pool)


def step(chain: nn.Sequential, *, frozen_norms: bool) -> set[str]:
    """Take one step and return the names of the tensors that it changed."""
    torch.manual_seed(1)
    train_mode(chain, frozen_norms=frozen_norms)
    before = copy.deepcopy(chain.state_dict())
    optimizer = torch.optim.AdamW(parameter_groups(chain, 0.1, 0.1))
    (chain(torch.randn(4, 3, 8, 8)) * torch.randn(4, 8)).sum().backward()
    optimizer.step()
    return {
        name for name, value in chain.state_dict().items() if not torch.equal(value, before[name])
    }


@pytest.mark.parametrize("frozen_norms", [True, False])
@pytest.mark.parametrize(
    ("how", "moving"),
    [
        ("all", ["0", "1", "2", "3"]),
        ("last:1", ["2", "3"]),
        ("last:2", ["1", "2", "3"]),
        ("last:3", ["0", "1", "2", "3"]),
    ],
)
def test_frozen_blocks_are_bit_equal_after_a_step(
    chain: nn.Sequential, how: str, moving: list[str], frozen_norms: bool
) -> None:
    select_trainable(chain, how)
    expected = {
        name
        for name in chain.state_dict()
        if name[0] in moving and not (frozen_norms and ("running" in name or "num_b" in name))
    }
    expected -= (
        {f"{n}.0.bias" for n in "012"} if not frozen_norms else set()
    )  # BatchNorm takes them out
    changed = step(chain, frozen_norms=frozen_norms)
    assert changed - {f"{n}.0.bias" for n in "012"} == expected - {f"{n}.0.bias" for n in "012"}
    assert frozen_prefix(chain) == 4 - len(moving)


def test_norms_and_biases(chain: nn.Sequential) -> None:
    select_trainable(chain, "norm_and_bias")
    changed = step(chain, frozen_norms=True)
    assert changed == {f"{n}.{part}" for n in "012" for part in ("0.bias", "1.weight", "1.bias")} | {
        "3.2.weight", "3.2.bias",
    }  # fmt: skip


def test_lora_alone_moves(chain: nn.Sequential) -> None:
    select_trainable(chain, "lora:2")
    chain[0][0].parametrizations["weight"][0].up.data.normal_()
    changed = step(chain, frozen_norms=False)
    assert changed and all(name.endswith((".up", ".down")) for name in changed)
    select_trainable(chain, "lora:2")  # again: the updates that are there are kept


def test_head_freezes_the_chain(chain: nn.Sequential) -> None:
    select_trainable(chain, "head")
    train_mode(chain)
    assert not any(part.training for part in chain.modules() if part is not chain)
    assert parameter_groups(chain, 0.1, 0.1) == []
    assert frozen_prefix(chain) == 4


@pytest.mark.parametrize("how", ["last:0", "last:4", "last", "lora:", "everything", "last:-1"])
def test_other_selections_are_refused(chain: nn.Sequential, how: str) -> None:
    with pytest.raises(ValueError, match=rf"Got '{how}' instead"):
        select_trainable(chain, how)
    with pytest.raises(ValueError, match="'rank' of LoRA"):
        select_trainable(chain, "lora:0")


def test_mode_of_norms_follows_their_weights(chain: nn.Sequential) -> None:
    select_trainable(chain, "last:1")
    train_mode(chain, frozen_norms=False)
    assert [b[1].training for b in chain[:3]] == [False, False, True]
    assert [b[3].training for b in chain[:3]] == [False, False, True]
    train_mode(chain, frozen_norms=True)
    assert not chain[2][1].training and chain[2][3].training
    train_mode(chain, False)
    assert not chain[2][3].training


def test_gradual_unfreezing_goes_from_the_last_block_to_the_first(chain: nn.Sequential) -> None:
    firsts = [first_unfrozen(18, progress / 100) for progress in range(101)]
    assert firsts == sorted(firsts, reverse=True)
    assert (firsts[0], firsts[49], firsts[50], firsts[-1]) == (17, 0, 0, 0)
    assert first_unfrozen(1, 0.0) == 0
    select_trainable(chain, "last:2")
    for progress, expected in [(0.0, 2), (0.2, 1), (1.0, 1), (0.0, 2)]:
        unfrozen_at(chain, progress)
        assert frozen_prefix(chain) == expected
        groups = parameter_groups(
            chain, 0.1, 0.1
        )  # what is frozen for now stays with the optimizer
        assert sum(len(group["params"]) for group in groups) == 10


def test_groups_hold_each_parameter_once_and_spare_norms_and_biases(chain: nn.Sequential) -> None:
    network = Network(chain, Preprocess(size=8), (0.5,) * 3, (0.5,) * 3, "own")
    rates = layer_rates(network, 0.5)
    assert (rates["0.0.weight"], rates["2.1.bias"], rates["3.2.weight"]) == (0.125, 0.5, 1.0)
    groups = parameter_groups(chain, 0.1, 0.02, rates)
    names = {id(parameter): name for name, parameter in chain.named_parameters()}
    found: dict[str, Any] = {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }
    assert found.keys() == rates.keys() and sum(len(group["params"]) for group in groups) == len(
        found
    )
    assert found["0.0.weight"] == (pytest.approx(0.0125), 0.02)
    assert {name for name, (_, decay) in found.items() if decay} == {f"{n}.0.weight" for n in "012"}


def test_layer_rates_know_the_updates_of_lora(chain: nn.Sequential) -> None:
    network = Network(chain, Preprocess(size=8), (0.5,) * 3, (0.5,) * 3, "own")
    add_lora(chain, rank=2)
    rates = layer_rates(network, 0.5)
    assert rates["1.0.parametrizations.weight.0.up"] == 0.25
    assert len(parameter_groups(chain, 0.1, 0.02, rates)) == 3


def test_a_state_between_two(chain: nn.Sequential) -> None:
    start = copy.deepcopy(chain.state_dict())
    step(chain, frozen_norms=False)
    end = chain.state_dict()
    for weight, state in [(0.0, start), (1.0, end)]:
        found = interpolate(start, end, weight)
        floats = {name for name in state if state[name].is_floating_point()}
        assert all(torch.equal(found[name], state[name]) for name in floats)
    middle = interpolate(start, end, 0.25)
    torch.testing.assert_close(
        middle["0.0.weight"], 0.75 * start["0.0.weight"] + 0.25 * end["0.0.weight"]
    )
    torch.testing.assert_close(
        middle["0.1.running_var"], 0.75 * start["0.1.running_var"] + 0.25 * end["0.1.running_var"]
    )
    assert middle["0.1.num_batches_tracked"] == 1
    chain.load_state_dict(middle)
    with pytest.raises(ValueError, match=r"in \[0, 1\]\. Got 2"):
        interpolate(start, end, 2)
    with pytest.raises(ValueError, match="two architectures: a"):
        interpolate({**start, "a": start["0.0.weight"]}, end, 0.5)
