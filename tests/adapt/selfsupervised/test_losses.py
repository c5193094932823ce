"""Losses agree with lightly's and obey their laws."""

from __future__ import annotations

import math
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the train extra")

from handful.adapt.augment import cutmix  # noqa: E402
from handful.adapt.selfsupervised.contrastive import nt_xent  # noqa: E402
from handful.adapt.selfsupervised.predictive import negative_cosine  # noqa: E402

grid = [
    pytest.mark.parametrize("n", [2, 3, 8, 33]),
    pytest.mark.parametrize("width", [2, 16, 128]),
    pytest.mark.parametrize("temperature", [0.07, 0.2, 0.5, 1.0]),
]


def on_grid(test):
    for mark in grid:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def lightly_loss():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTLY_DID_VERSION_CHECK", "True")
        return pytest.importorskip("lightly.loss", reason="the oracle")


def pair(n: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    z = torch.randn(2, n, width, generator=torch.Generator().manual_seed(seed))
    return z[0].requires_grad_(), z[1].requires_grad_()


def same_with_gradients(ours, theirs, n: int, width: int) -> None:
    z, other = pair(n, width), pair(n, width)
    a, b = ours(*z), theirs(*other)
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    a.backward()
    b.backward()
    for mine, its in zip(z, other, strict=True):
        if mine.grad is not None:
            torch.testing.assert_close(mine.grad, its.grad, atol=1e-5, rtol=1e-4)


@on_grid
def test_nt_xent_is_lightlys(n: int, width: int, temperature: float, lightly_loss) -> None:
    theirs = lightly_loss.NTXentLoss(temperature=temperature)
    same_with_gradients(lambda a, b: nt_xent(a, b, temperature), theirs, n, width)


@on_grid
def test_decoupled_is_lightlys(n: int, width: int, temperature: float, lightly_loss) -> None:
    theirs = lightly_loss.DCLLoss(temperature=temperature)
    same_with_gradients(lambda a, b: nt_xent(a, b, temperature, decoupled=True), theirs, n, width)


@grid[0]
@grid[1]
def test_negative_cosine_is_lightlys(n: int, width: int, lightly_loss) -> None:
    criterion = lightly_loss.NegativeCosineSimilarity()
    (p0, p1), (z0, z1) = pair(n, width), pair(n, width, 1)
    ours = (negative_cosine(p0, z1) + negative_cosine(p1, z0)) / 2
    theirs = 0.5 * (criterion(p0, z1.detach()) + criterion(p1, z0.detach()))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    ours.backward()
    assert z0.grad is None and z1.grad is None
    torch.testing.assert_close(p0.grad, torch.autograd.grad(theirs, p0)[0], atol=1e-5, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 12), seed=st.integers(0, 999), factor=st.floats(0.1, 30))
def test_laws_of_nt_xent(n: int, seed: int, factor: float) -> None:
    z0, z1 = (z.detach() for z in pair(n, 8, seed))
    loss = nt_xent(z0, z1, 0.3)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    for same in (
        nt_xent(z1, z0, 0.3),
        nt_xent(z0 * factor, z1, 0.3),
        nt_xent(z0[order], z1[order], 0.3),
    ):
        torch.testing.assert_close(loss, same, atol=1e-4, rtol=1e-4)
    assert loss >= 0
    assert nt_xent(z0, z1, 0.3, decoupled=True) <= loss
    assert nt_xent(z0, z0, 0.3) <= loss + 1e-5


def test_equal_vectors_give_the_logarithm_of_the_others() -> None:
    z = torch.ones(5, 3)
    assert float(nt_xent(z, z, 0.5)) == pytest.approx(math.log(9), abs=1e-5)
    assert float(nt_xent(z, z, 0.5, decoupled=True)) == pytest.approx(math.log(8), abs=1e-5)


def test_half_precision_is_computed_in_float32() -> None:
    z0, z1 = (z.detach().bfloat16() for z in pair(16, 32))
    exact = nt_xent(z0.float(), z1.float(), 0.07)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(z0, z1, 0.07)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact)


def _rank(rank: int, port: int, folder: str) -> None:
    from torch import distributed

    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    z0, z1 = (z.detach().chunk(2)[rank].clone().requires_grad_() for z in pair(6, 8))
    for decoupled in (False, True):
        loss = nt_xent(z0, z1, 0.2, decoupled=decoupled)
        gradient = torch.autograd.grad(loss, (z0, z1))
        torch.save((loss.detach(), *gradient), f"{folder}/{rank}-{int(decoupled)}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_rank, (port, str(tmp_path)), nprocs=2)
    for decoupled in (False, True):
        z = pair(6, 8)
        loss = nt_xent(*z, 0.2, decoupled=decoupled)
        loss.backward()
        parts = [torch.load(tmp_path / f"{rank}-{int(decoupled)}.pt") for rank in range(2)]
        torch.testing.assert_close(sum(part[0] for part in parts) / 2, loss.detach())
        for view in range(2):  # gradients are averaged over processes, as DDP does
            found = torch.cat([part[1 + view] for part in parts]) / 2
            torch.testing.assert_close(found, z[view].grad, atol=1e-6, rtol=1e-4)


def test_a_cutmix_of_one_image_is_itself() -> None:
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(cutmix(x)[0], x)
