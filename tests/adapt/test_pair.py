"""Pairs in open_clip's own format, and how well they find each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")
open_clip = pytest.importorskip("open_clip", reason="needs open_clip_torch")

import torch  # noqa: E402

from handful.adapt import ContrastiveText, new_towers, save_pair, tokens_of  # noqa: E402
from handful.adapt.retrieval import retrieval_hits  # noqa: E402
from handful.core import AdaptError, BackboneError  # noqa: E402


@pytest.mark.parametrize("loss", ["clip", "siglip"])
def test_open_clip_loads_a_pair_and_gives_the_same_vectors(loss: str, tmp_path: Path) -> None:
    texts = ["a photo of a hat", "a red shoe on a table"]
    tokens = tokens_of(texts)
    towers = new_towers("timm:test_efficientnet", size=32, dim=8, context=tokens.shape[1], loss=loss,  # type: ignore[arg-type]
                        width=64, layers=1, scratch=True)  # fmt: skip
    method = ContrastiveText(towers.image, towers.model.text, texts=tokens, first=np.arange(3), size=32, loss=loss)  # type: ignore[arg-type]  # fmt: skip
    with torch.no_grad():
        method.logit_scale.fill_(1.5)
    save_pair(towers, method, tmp_path)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    method.eval()
    model.eval()
    x = torch.randn(2, 3, 32, 32)
    own = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(texts)
    assert torch.equal(own, tokens)
    with torch.no_grad():
        images = model.encode_image(x, normalize=True)
        words = model.encode_text(own, normalize=True)
        assert torch.allclose(images, method.encode_images(x), atol=1e-6)
        assert torch.allclose(words, method.encode_texts(tokens), atol=1e-6)
    assert model.logit_scale.item() == 1.5
    if loss == "siglip":
        assert model.logit_bias.item() == -10
    assert list(preprocess.transforms[-1].mean) == pytest.approx(list(towers.found.mean))


def test_the_packaged_network_is_an_image_tower_with_its_own_weights() -> None:
    towers = new_towers("efficientnet_lite0", size=32, dim=8, context=None, loss="clip")
    assert towers.model is None
    before = towers.found.module.eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(towers.image.trunk.eval()(x), before(x))
    with pytest.raises(BackboneError, match="No network"):
        new_towers("nothing", size=32, dim=8, context=None, loss="clip")


def test_a_caption_that_does_not_fit_is_named() -> None:
    with pytest.raises(AdaptError, match="1 captions have more than 75 tokens: 'word word"):
        tokens_of(["short", "word " * 90])


def test_recall_counts_what_is_nearer_than_a_right_answer() -> None:
    similarity = torch.tensor([[0.9, 0.8, 0.0], [0.7, 0.6, 0.1], [0.2, 0.95, 0.3]])
    hits = retrieval_hits(similarity, torch.tensor([0, 1, 2]))
    assert hits["text_recall_1"].tolist() == [True, False, False]
    assert hits["image_recall_1"].tolist() == [True, False, True]
    assert hits["text_recall_5"].all()
    twice = retrieval_hits(similarity, torch.tensor([0, 1, 1]))
    assert twice["image_recall_1"].tolist()[:2] == [True, True]
