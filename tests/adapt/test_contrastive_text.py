"""Image–text losses against their formulas and open_clip's, and gradient caching against plain gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor, nn

from handful.adapt.contrastive_text import ContrastiveText, clip_loss, siglip_loss


def pairs(n: int = 7, d: int = 5) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    images, texts = (nn.functional.normalize(torch.randn(n, d, generator=random)) for _ in range(2))
    return images.requires_grad_(), texts.requires_grad_()


def test_the_losses_are_the_papers_formulas() -> None:
    images, texts = (x.detach().double().numpy() for x in pairs())
    logits = 3.0 * images @ texts.T
    log_rows = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    log_columns = logits - np.log(np.exp(logits).sum(axis=0, keepdims=True))
    expected = -(np.diag(log_rows).mean() + np.diag(log_columns).mean()) / 2
    scale = torch.tensor(3.0)
    assert clip_loss(*pairs(), scale).item() == pytest.approx(expected, abs=1e-5)
    z = np.where(np.eye(7) > 0, 1, -1) * (logits - 2.0)
    expected = np.log1p(np.exp(-z)).sum() / 7
    assert siglip_loss(*pairs(), scale, torch.tensor(-2.0)).item() == pytest.approx(expected, abs=1e-5)  # fmt: skip


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_losses_and_gradients_equal_open_clips(name: str) -> None:
    open_clip = pytest.importorskip("open_clip", reason="needs open_clip_torch")
    found = []
    for ours in (True, False):
        images, texts = pairs()
        scale = torch.tensor(4.0, requires_grad=True)
        bias = torch.tensor(-3.0, requires_grad=True)
        if name == "clip":
            loss = clip_loss if ours else open_clip.loss.ClipLoss()
            value = loss(images, texts, scale)
        else:
            loss = siglip_loss if ours else open_clip.loss.SigLipLoss()
            value = loss(images, texts, scale, bias)
        value.backward()
        used = (images, texts, scale) if name == "clip" else (images, texts, scale, bias)
        found.append([value.detach(), *(x.grad for x in used)])
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def method(chunk: int | None, loss: str, *, norm: bool = False) -> ContrastiveText:
    torch.manual_seed(0)
    image = nn.Sequential(nn.Conv2d(3, 4, 3), *[nn.BatchNorm2d(4)] * norm, nn.ReLU(),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.0), nn.Linear(4, 5))  # fmt: skip
    text = nn.Sequential(nn.Embedding(9, 6), nn.Flatten(), nn.Linear(12, 5))
    tokens = torch.arange(12).reshape(6, 2) % 9
    return ContrastiveText(image, text, texts=tokens, first=np.arange(7), size=8, loss=loss, chunk=chunk)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("loss", ["clip", "siglip"])
@pytest.mark.parametrize("chunk", [1, 4])
def test_gradient_caching_is_the_plain_gradient(chunk: int, loss: str) -> None:
    x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    gradients = []
    for size in (None, chunk):
        own = method(size, loss)
        torch.manual_seed(2)
        own((x,), torch.full((6,), -1), torch.arange(6))["loss"].backward()
        gradients.append([p.grad for p in own.parameters()])
    for plain, cached in zip(*gradients, strict=True):
        assert plain is not None and torch.allclose(plain, cached, atol=1e-6)
        assert plain.abs().sum() > 0


def test_a_chunk_moves_the_statistics_of_batchnorm_once() -> None:
    x = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    cached, plain = method(3, "clip", norm=True), method(None, "clip", norm=True)
    cached((x,), torch.full((6,), -1), torch.arange(6))["loss"].backward()
    for part in x.split(3):
        plain.image_tower(part)
    assert torch.allclose(cached.image_tower[1].running_mean, plain.image_tower[1].running_mean)
    assert cached.image_tower[1].momentum == 0.1


def test_each_image_is_shown_one_of_its_own_captions() -> None:
    own = method(None, "clip")
    own.first = torch.tensor([0, 3, 4])
    seen: list[Tensor] = []
    own.encode_texts = lambda texts: seen.append(texts) or torch.eye(2, 5)  # type: ignore[method-assign, assignment, func-returns-value]
    for seed in range(30):
        torch.manual_seed(seed)
        own((torch.randn(2, 3, 8, 8),), torch.full((2,), -1), torch.arange(2))
    shown = {tuple(texts[0].tolist()) for texts in seen}
    assert shown == {tuple(row) for row in own.texts[:3].tolist()}
    assert {tuple(texts[1].tolist()) for texts in seen} == {tuple(own.texts[3].tolist())}


def _one_of_two(rank: int, place: str, loss: str) -> None:
    """Save the loss and the mean gradients of one process, which has half of the batch."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{place}/meet", rank=rank, world_size=2)
    own, half = method(None, loss), slice(3 * rank, 3 * rank + 3)
    found = own((torch.load(f"{place}/images.pt")[half],), torch.zeros(3), torch.arange(6)[half])
    found["loss"].backward()
    for parameter in own.parameters():
        torch.distributed.all_reduce(parameter.grad)
    gradients = [parameter.grad / 2 for parameter in own.parameters()]  # as DDP does
    torch.save([found["loss"].detach(), *gradients], f"{place}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["clip", "siglip"])
def test_two_processes_see_the_whole_batch(loss: str, tmp_path: Path) -> None:
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.save(images, tmp_path / "images.pt")
    torch.multiprocessing.spawn(_one_of_two, (str(tmp_path), loss), nprocs=2)
    alone = method(None, loss)
    expected = alone((images,), torch.zeros(6), torch.arange(6))["loss"]
    expected.backward()
    whole = [expected.detach(), *(parameter.grad for parameter in alone.parameters())]
    for rank in range(2):
        for mine, theirs in zip(torch.load(tmp_path / f"{rank}.pt"), whole, strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
