"""Randomly initialised small models of open_clip, saved to disk and loaded by name and by folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.backbones import load_backbone, load_clip_text
from handful.core import BackboneError, MissingExtraError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
open_clip = pytest.importorskip("open_clip", reason="needs the extra 'clip'")
pytest.importorskip("onnxscript", reason="needs the extra 'train'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
TEXTS = ["a photo of a dress", "Hat", "a très long été"]
VISION = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
CLIP = {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT}
TIMM = {"timm_model_name": "test_vit", "image_size": 32, "timm_pool": "", "timm_proj": "linear"}
SIGLIP = {**CLIP, "init_logit_bias": -10, "custom_text": True, "vision_cfg": TIMM,
          "text_cfg": {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last"}}  # fmt: skip
SQUASH = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"}
Saver = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def saved(tmp_path: Path) -> Saver:
    """Save a random model as open_clip does, and return its folder."""

    def save(config: dict[str, Any], preprocess: dict[str, Any] | None = None) -> Path:
        from safetensors.torch import save_file

        torch.manual_seed(0)
        own = {key: value for key, value in config.items() if key != "custom_text"}
        model = (open_clip.CustomTextCLIP if "custom_text" in config else open_clip.CLIP)(**own)
        folder = tmp_path / f"model{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
        content = {"model_cfg": config, "preprocess_cfg": preprocess or {}}
        (folder / "open_clip_config.json").write_text(json.dumps(content))
        return folder

    return save


def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((180, 100), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("config", "preprocess"), [(CLIP, {}), (SIGLIP, SQUASH)])
def test_images_and_texts_equal_open_clips(
    config: dict[str, Any], preprocess: dict[str, Any], saved: Saver
) -> None:
    folder = saved(config, preprocess)
    backbone, encoder = load_backbone(f"clip:{folder}"), load_clip_text(str(folder))
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    settings = backbone.spec.preprocess
    assert settings.resize == preprocess.get("resize_mode", "shortest")
    with torch.inference_mode():
        images = model.encode_image(transform(photo())[None], normalize=True).numpy()
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
        texts = model.encode_text(tokens, normalize=True).numpy()
        scale = model.logit_scale.exp().item()
    # Pillow resizes on another path than torchvision's: a level of brightness here and there
    np.testing.assert_allclose(backbone.embed(settings(photo())[None]), images, atol=5e-3)
    np.testing.assert_allclose(encoder.embed_text(TEXTS), texts, atol=1e-5)
    assert encoder.logit_scale == pytest.approx(scale)
    assert encoder.logit_bias == config.get("init_logit_bias")


def test_the_graph_is_exported_once(saved: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(CLIP)
    first = load_backbone(f"clip:{folder}")
    monkeypatch.setattr("handful.backbones.clip.from_torch", None)
    again = load_backbone(f"clip:{folder}")
    assert again.spec.fingerprint == first.spec.fingerprint


def test_a_name_needs_weights_of_its_own_architecture(saved: Saver, tmp_path: Path) -> None:
    for name, config in (("tiny", CLIP), ("tiny-siglip", SIGLIP)):
        (tmp_path / f"{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(tmp_path / f"{name}.json")
    clip, siglip = (saved(each) / "open_clip_model.safetensors" for each in (CLIP, SIGLIP))
    assert load_backbone("clip:tiny", weights=clip).spec.dim == 8
    deep = saved({**CLIP, "text_cfg": {**TEXT, "layers": 2}}) / "open_clip_model.safetensors"
    wrong = {
        ("tiny", siglip): "beside the weights, is of another model.*logit bias.*Write 'clip:",
        (
            "tiny",
            deep,
        ): r"12 unknown to it \(transformer.resblocks.1.*Give the weights of this very",
    }
    for (name, weights), said in wrong.items():
        with pytest.raises(BackboneError, match=said):
            load_backbone(f"clip:{name}", weights=weights)
    for weights in (clip, siglip):
        (weights.parent / "open_clip_config.json").unlink()
    with pytest.raises(BackboneError, match=r"are SigLIP's .* and 'tiny' is a CLIP model"):
        load_backbone("clip:tiny", weights=siglip)
    with pytest.raises(
        BackboneError, match=r"'tiny-siglip' is a SigLIP model, .* lack its logit bias"
    ):
        load_backbone("clip:tiny-siglip", weights=clip)


def test_what_is_not_known_is_said() -> None:
    wrong = {
        "clip:ViT-B-23": "open_clip has no model 'ViT-B-23' \\(did you mean 'ViT-B-32'",
        "clip:ViT-B-32.openia": "knows no weights 'openia' of 'ViT-B-32' \\(did you mean 'openai'",
        "clip:ViT-B-32": "Whose weights.*TAG is one of",
        "clip:ViT-B-32.laion2b_s34b_b79k": "not on this machine",
    }
    for name, said in wrong.items():
        with pytest.raises(BackboneError, match=said):
            load_backbone(name)


def test_weights_whose_images_were_prepared_in_two_ways_need_a_tag(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"2 ways to prepare images.*'clip:ViT-L-14.laion"):
        load_backbone("clip:ViT-L-14", weights=tmp_path / "any.safetensors")


def test_another_size_and_long_texts_are_refused(saved: Saver) -> None:
    folder = saved(CLIP)
    with pytest.raises(BackboneError, match="images of 32 px only, not of 64 px"):
        load_backbone(f"clip:{folder}", preprocess={"size": 64})
    with pytest.raises(
        BackboneError, match="30 pieces of words, and this text encoder reads at most 14"
    ):
        load_clip_text(str(folder)).embed_text(["word " * 30])


def test_a_tokenizer_that_is_named_is_read_beside_the_weights(
    saved: Saver, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tokenizers
    import transformers

    text = {
        **TEXT,
        "hf_tokenizer_name": "nobody/nothing",
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    folder = saved({**SIGLIP, "text_cfg": {**SIGLIP["text_cfg"], **text}}, SQUASH)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "transformers", None)
        with pytest.raises(MissingExtraError, match=r"'transformers'.*handful\[clip\]"):
            load_clip_text(str(folder))
    with pytest.raises(
        BackboneError, match=r"tokenizer 'nobody/nothing'.*tokenizer.json beside the weights"
    ):
        load_clip_text(str(folder))
    words = {"<pad>": 0, "<unk>": 1, "a": 2, "dress": 3, "hat": 4}
    own = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=own, unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    encoder = load_clip_text(str(folder))
    assert encoder.tokenizer.encode("A, dress!") == [0, 2, 3, 0]
    assert encoder.tokenizer.unknown_words("a river") == ["river"]
    vectors = encoder.embed_text(["a dress", "A Dress.", "a hat"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert vectors[0] @ vectors[2] < 0.999


def test_vit_b_32_saved_locally(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32").eval()
    path = tmp_path / "vit-b-32.safetensors"
    save_file(model.state_dict(), path)
    backbone = load_backbone("clip:ViT-B-32", weights=path)
    assert (backbone.spec.dim, backbone.spec.preprocess.size) == (512, 224)
    images = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    mean, std = (torch.tensor(each).reshape(1, 3, 1, 1)
                 for each in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))  # fmt: skip
    with torch.inference_mode():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        expected = model.encode_image((x - mean) / std, normalize=True).numpy()
    np.testing.assert_allclose(backbone.embed(images), expected, atol=1e-4)
